"""Awareness: one number from 1 (wide awake) to 0, which falls while the eyes are shut and rises while they are open.

After the shape of openpilot's driver monitoring (selfdrive/monitoring: `awareness`, levels from intervals). It
differs where a daemon without a car must: openpilot's intervals (3, 5 and 11 s) count a driver who looks away or has
the eyes closed, ours count closed eyes only; its recovery is quickest when awareness is lowest, ours when the driver
is nearly awake, so that a short look up does not end an alarm.
"""

from __future__ import annotations

import math

from ferd.policy.episodes import ROUNDING, EpisodeDetector
from ferd.policy.intervals import Interval
from ferd.policy.measures import Look

SLOWEST, QUICKEST = 1.25, 5.0
"""Awareness recovers so many times as fast as it falls: at 0, and at 1 (the factors of openpilot)."""
YAWNING = 1 / 3
"""With the mouth wide open, shut eyes count for a third: they belong to a yawn or a laugh."""


class Awareness:
    """`full_s`: seconds of shut eyes that take it from 1 to 0. `first_s`: those that bring the first level."""

    def __init__(self, full_s: float, first_s: float) -> None:
        self._full_s, self._first_s = full_s, first_s
        self.value = 1.0
        self._when_open = 1.0
        self._from = 1.0
        self._shutting = False
        self._open_s = 0.0

    def add(self, piece: Interval[Look], shut: EpisodeDetector) -> None:
        """`shut`: the closures, which have already been told of this piece.

        While the eyes cannot be seen it stays where it is: that is no evidence of anything. Closures between which
        the eyes were not seen open add up only when the first level was reached before: then nobody has woken up.
        """
        opened = piece.state is not None and piece.state.eyes == "open"
        if spell := shut.current:
            self._open_s = 0.0 if spell.end >= piece.end else self._open_s + (piece.length if opened else 0.0)
            if not self._shutting:
                told = (1 - self.value) * self._full_s >= self._first_s - ROUNDING
                self._shutting, self._from = True, self.value if told else self._when_open
            lost = spell.length - (1 - YAWNING) * spell.marked_s
            self.value = max(min(self.value, self._from - lost / self._full_s), 0.0)
            return
        self._shutting = False
        if opened:  # the opening that was not yet sure to be one counts from its beginning
            self.value = recovered(self.value, (self._open_s + piece.length) / self._full_s)
            self._when_open, self._open_s = self.value, 0.0


def recovered(value: float, part: float) -> float:
    """After open eyes for `part` of the full time: da/dx = SLOWEST + (QUICKEST - SLOWEST) * a, solved exactly."""
    slope = QUICKEST - SLOWEST
    return min(((SLOWEST + slope * value) * math.exp(slope * part) - SLOWEST) / slope, 1.0)
