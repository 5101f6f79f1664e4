"""Measure how much numbers move within a fifth of a second, averaged over the last seconds: of scores, of a mouth.

A face that changes its expression once moves once; one that talks moves all the time. Pure: no clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

LAG_S = 0.2
"""Values are compared with those of this long ago: half a syllable. The same at all frame rates: in between, values are
interpolated."""
MEMORY_S = 3.0
"""Time constant of the mean: a phrase and the pause behind it."""
STEP_S = 0.5
"""The longest time that one frame stands for."""


class Restlessness:
    """Follow some values of one face. `level` is their mean movement within LAG_S, in their own unit."""

    def __init__(self) -> None:
        self.level = 0.0
        self._past: deque[tuple[float, Sequence[float]]] = deque()

    def update(self, t: float, values: Sequence[float]) -> None:
        """Add the values of a frame; a frame that is not later than the one before is ignored."""
        past = self._past
        if past and t <= past[-1][0]:
            return
        past.append((t, values))
        then = t - LAG_S
        while len(past) > 2 and past[1][0] <= then:
            past.popleft()
        start, old = past[0]
        end, new = past[1] if len(past) > 1 else past[0]
        if start > then or end <= start:
            return  # not seen for long enough
        share = min((then - start) / (end - start), 1.0)
        moved = [abs(now - (a + share * (b - a))) for now, a, b in zip(values, old, new, strict=True)]
        passed = min(t - past[-2][0], STEP_S)
        self.level += (sum(moved) / len(moved) - self.level) * -math.expm1(-passed / MEMORY_S)
