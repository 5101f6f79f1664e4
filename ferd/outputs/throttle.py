"""Heat: while the board is slowed down, half of the pictures are read, until it has been well for a while."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from ferd.outputs.health import THERMAL, THROTTLED, read_temperature_c, read_throttled
from ferd.payloads import Throttling

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
CALM_S = 60.0
"""The board must be well for so long: it is slowed down and let go every few seconds while it stays near its limit."""
COOL_C = 75.0
"""A Raspberry Pi slows down from 80 degrees on (raspberrypi.com, frequency management and thermal control)."""
SLOWED_BY: frozenset[Throttling] = frozenset(("frequency_capped", "throttled", "soft_temperature_limit"))
"""Under-voltage alone slows nothing down; its consequence is one of these."""


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """`slowed`: half of the pictures are to be read. `well_since`: monotonic seconds, None while the board is not."""

    slowed: bool = False
    well_since: float | None = None


def judge(
    before: ThrottleState, throttled: Collection[Throttling] | None, celsius: float | None, now: float
) -> ThrottleState:
    """What holds now. `throttled` and `celsius` are None where the machine does not tell: then nothing is slowed."""
    if SLOWED_BY.intersection(throttled or ()):
        return ThrottleState(slowed=True)
    if not before.slowed:
        return before
    if celsius is not None and celsius >= COOL_C:
        return replace(before, well_since=None)
    since = now if before.well_since is None else before.well_since
    return ThrottleState(slowed=now - since < CALM_S, well_since=since)


class ThrottleMonitor:
    """Looks at the board every LOOK_EVERY_S and logs what changes."""

    def __init__(self, thermal: Path = THERMAL, throttled: Path = THROTTLED) -> None:
        self._thermal, self._throttled = thermal, throttled
        self._strain, self._due = ThrottleState(), float("-inf")

    def look(self, now: float) -> bool:
        """True while half of the pictures are to be read. `now` is in monotonic seconds."""
        if now < self._due:
            return self._strain.slowed
        self._due = now + LOOK_EVERY_S
        throttled, celsius = read_throttled(self._throttled), read_temperature_c(self._thermal)
        before, self._strain = self._strain, judge(self._strain, throttled, celsius, now)
        if self._strain.slowed != before.slowed:
            _tell(throttled or (), celsius, slowed=self._strain.slowed)
        return self._strain.slowed


def _tell(throttled: Collection[Throttling], celsius: float | None, *, slowed: bool) -> None:
    degrees = "unknown" if celsius is None else f"{celsius:.0f}"
    if slowed:
        log.warning(
            "the board is slowed down, half of the pictures are read: cool it, or look at its power supply "
            "reasons=%s temperature_c=%s", ",".join(throttled), degrees,
        )  # fmt: skip
    else:
        log.info("the board is well again, all pictures are read temperature_c=%s", degrees)
