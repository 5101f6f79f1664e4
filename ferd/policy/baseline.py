"""What wide open looks like for this person: narrow eyes, heavy lids or glasses read as half closed all day.

After the idea of openpilot's per-driver offsets: learned while driving, cautiously, and forgotten slowly.
"""

from __future__ import annotations

import math

STEPS = 20
LEARN_S = 30.0
"""Nothing is concluded from less than so many observed seconds."""
MEMORY_S = 300.0
"""What was seen so long ago counts a third (1/e) of what is seen now."""
REFRESH_S = 1.0
MOST = 0.5
"""No person's open eyes are taken to read as more closed than this: somebody who dozes off while it learns must not
teach it that shut is open."""


class Baseline:
    """The median of how closed the eyes were read, weighted by seconds. Awake, they are open most of the time."""

    def __init__(self) -> None:
        self._seconds = [0.0] * STEPS
        self._weight = 1.0  # of a second now: it grows in place of all others shrinking
        self._pending_s = 0.0
        self._value = 0.0

    def add(self, length_s: float, closed: float) -> None:
        """`closed`: 0 to 1, as read, for so many seconds."""
        self._weight *= math.exp(length_s / MEMORY_S)
        self._seconds[min(int(closed * STEPS), STEPS - 1)] += length_s * self._weight
        self._pending_s += length_s
        if self._pending_s >= REFRESH_S:
            self._refresh()

    @property
    def value(self) -> float:
        """0 until enough was seen."""
        return self._value

    def degree(self, closed: float) -> float:
        """How closed the eyes are for this person: 0 as open as usual, 1 shut."""
        return min(max((closed - self._value) / (1 - self._value), 0.0), 1.0)

    def _refresh(self) -> None:
        self._pending_s = 0.0
        self._seconds = [seconds / self._weight for seconds in self._seconds]
        self._weight = 1.0
        total = sum(self._seconds)
        if total >= LEARN_S:
            self._value = min(self._median(total / 2), MOST)

    def _median(self, half: float) -> float:
        """Within its step, in proportion."""
        below = 0.0
        for step, seconds in enumerate(self._seconds):
            if seconds and below + seconds >= half:
                return (step + (half - below) / seconds) / STEPS
            below += seconds
        return 1.0
