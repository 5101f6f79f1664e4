"""A buzzer without pins: it says what would sound and remembers when. For PCs, and for tests of the real process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ferd.config import BuzzerConfig
from ferd.outputs.buzzer.patterns import Output

KEPT = 10_000

What = Literal["sound", "watching", "level"]
KEYS: Mapping[What, str] = {"sound": "pin", "watching": "status_led_pin", "level": "alert_led_pin"}


class Edge(NamedTuple):
    """A change of one output at ``t`` (seconds of ``clock``). ``tone``: in Hz, None for the usual one."""

    t: float
    what: What
    on: bool
    tone: float | None = None

    def __str__(self) -> str:
        tone = f" {self.tone:.0f} Hz" if self.tone else ""
        return f"{self.what} {'on' if self.on else 'off'}{tone}"


class FakeBuzzerOutput:
    """Has the outputs that the configuration names. ``edges``: the latest KEPT changes.

    ``record`` gets each of them as a line (seconds, what, state), ``echo`` is told of each. ``clock``: monotonic by
    default, so that the record of one process can be laid beside that of another.
    """

    def __init__(
        self,
        config: BuzzerConfig,
        *,
        echo: Callable[[str], object] | None = None,
        record: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.edges: deque[Edge] = deque(maxlen=KEPT)
        self._has = [what for what, key in KEYS.items() if key in config.pins]
        self._echo, self._clock = echo, clock
        self._shown = Output()
        # One line a write, so that nothing is lost when the process is killed.
        self._record = record.open("a", buffering=1, encoding="utf-8") if record else None

    def show(self, output: Output) -> None:
        before, self._shown = self._shown, output
        if (output.sound, output.tone) != (before.sound, before.tone):
            self._note("sound", output.sound, output.tone)
        if output.watching != before.watching:
            self._note("watching", output.watching)
        if output.level != before.level:
            self._note("level", output.level)

    def close(self) -> None:
        self.show(Output())
        self._note("sound", False)  # said once more, as a pin would be driven once more
        if self._record:
            self._record.close()
            self._record = None

    def __repr__(self) -> str:
        return f"FakeBuzzerOutput({self._shown})"

    def _note(self, what: What, on: bool, tone: float | None = None) -> None:
        if what not in self._has:
            return
        edge = Edge(self._clock(), what, on, tone)
        self.edges.append(edge)
        if self._record:
            self._record.write(f"{edge.t:.6f} {edge}\n")
        if self._echo:
            self._echo(f"buzzer: {edge}")
