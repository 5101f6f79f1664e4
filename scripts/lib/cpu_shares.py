"""Measure who used the processor, so that a bench can say what was its limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

INTERVAL_S = 3.0
BUSY = 0.9
"""A processor that is used for more than this part of the time makes everything on it wait."""

Shares = dict[str, float]
"""Parts of the whole processor (all cores are 1) by component, with "other work" and "idle"."""


class CpuShares:
    """Add up the seconds of CPU of each component in a thread of its own.

    ``components``: for each a function that returns the seconds that each of its processes has used. A process that is
    replaced begins at zero again; what it used since the last look is lost. Their order must stay the same.
    """

    def __init__(self, components: Mapping[str, Callable[[], Sequence[float]]], ticks: int) -> None:
        self._components, self._ticks = components, ticks
        self._last: dict[str, Sequence[float]] = {}
        self._used = dict.fromkeys(components, 0.0)
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def totals(self) -> Shares:
        """Return the seconds of CPU so far: by component, of the whole machine ("all") and unused ("idle")."""
        self._look()
        fields = [int(it) / self._ticks for it in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return {**self._used, "all": sum(fields), "idle": fields[3] + fields[4]}

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        with self._lock:
            for name, used in self._components.items():
                with suppress(OSError, ValueError):  # a process that ends meanwhile
                    self._used[name] += _growth(self._last.get(name, ()), now := list(used()))
                    self._last[name] = now


def _growth(before: Sequence[float], now: Sequence[float]) -> float:
    if len(before) != len(now):
        return max(0.0, sum(now) - sum(before))
    return sum(new - old if new >= old else new for old, new in zip(before, now, strict=True))


def shares(before: Shares, after: Shares) -> Shares:
    """Return the parts of the processor between two totals."""
    whole = max(after["all"] - before["all"], 1e-9)
    parts = {name: (after[name] - before[name]) / whole for name in after if name not in ("all", "idle")}
    idle = (after["idle"] - before["idle"]) / whole
    return {**parts, "other work": max(0.0, 1 - idle - sum(parts.values())), "idle": idle}


def text(parts: Shares) -> str:
    return ", ".join(f"{name} {100 * part:.0f} %" for name, part in parts.items())


def limit(parts: Shares) -> str:
    """Say in one sentence whether the processor was the limit, and who used it."""
    if parts["idle"] > 1 - BUSY:
        return f"not the processor ({text(parts)})"
    used = {name: part for name, part in parts.items() if name != "idle"}
    return f"the processor, mostly {max(used, key=lambda it: used[it])} ({text(parts)}): take fewer nodes or more cores"
