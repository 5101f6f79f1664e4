"""Analyse half of the frames while the board is throttled, until it has been cool for a while."""

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
"""The board must run unthrottled for this long first: near its limit it is throttled and released every few seconds."""
COOL_C = 75.0
"""A Raspberry Pi is throttled from 80 degrees on (raspberrypi.com, frequency management and thermal control)."""
THROTTLED_BY: frozenset[Throttling] = frozenset(("frequency_capped", "throttled", "soft_temperature_limit"))
"""Under-voltage alone throttles nothing; its consequence is one of these."""


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """``throttled``: analyse half of the frames. ``calm_since``: monotonic seconds; None while the board is not."""

    throttled: bool = False
    calm_since: float | None = None


def judge(
    before: ThrottleState, throttled: Collection[Throttling] | None, celsius: float | None, now: float
) -> ThrottleState:
    """Return the state that follows. `throttled` and `celsius` are None where the machine has no such reading."""
    if THROTTLED_BY.intersection(throttled or ()):
        return ThrottleState(throttled=True)
    if not before.throttled:
        return before
    if celsius is not None and celsius >= COOL_C:
        return replace(before, calm_since=None)
    since = now if before.calm_since is None else before.calm_since
    return ThrottleState(throttled=now - since < CALM_S, calm_since=since)


class ThrottleMonitor:
    """Read the board's state every LOOK_EVERY_S and log changes."""

    def __init__(self, thermal: Path = THERMAL, throttled: Path = THROTTLED) -> None:
        self._thermal, self._throttled = thermal, throttled
        self._state, self._due = ThrottleState(), float("-inf")

    def look(self, now: float) -> bool:
        """Return True while half of the frames are to be analysed. `now` is in monotonic seconds."""
        if now < self._due:
            return self._state.throttled
        self._due = now + LOOK_EVERY_S
        throttled, celsius = read_throttled(self._throttled), read_temperature_c(self._thermal)
        before, self._state = self._state, judge(self._state, throttled, celsius, now)
        if self._state.throttled != before.throttled:
            _log_change(throttled or (), celsius, started=self._state.throttled)
        return self._state.throttled


def _log_change(throttled: Collection[Throttling], celsius: float | None, *, started: bool) -> None:
    degrees = "unknown" if celsius is None else f"{celsius:.0f}"
    if started:
        log.warning(
            "thermal throttling started, half of the frame rate is analysed: cool the board, or check its power supply "
            "reasons=%s temperature_c=%s", ",".join(throttled), degrees,
        )  # fmt: skip
    else:
        log.info("thermal throttling cleared, full frame rate restored temperature_c=%s", degrees)
