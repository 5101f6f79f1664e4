"""Bound what many faces cost: one face has its turn in every frame, the others share a budget. Pure: no clock."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

BURST_S = 0.25
"""After a pause the others have at most as many turns as in this time: bounds the cost of one frame."""


class Turns:
    """Choose in each frame who has a turn. Call it at rising times.

    `per_s`: turns of all but the first in a second.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s * BURST_S
        self._t: float | None = None
        self._count = itertools.count()
        self._last: dict[int, int] = {}

    def __call__(self, t: float, numbers: Sequence[int], first: int | None) -> Collection[int]:
        """Return those who have a turn now: the first one, and of the others those who waited longest.

        Args:
            t: seconds.
            numbers: of all who are here.
            first: who has a turn in every frame; None for nobody.
        """
        passed = 0.0 if self._t is None else max(0.0, t - self._t)
        self._t = t
        self._left = min(self._left + passed * self._per_s, self._per_s * BURST_S)
        others = [number for number in numbers if number != first]
        if not others:
            self._last = {number: self._last[number] for number in numbers if number in self._last}
            return () if first is None else (first,)
        places = int(self._left + 1e-9)
        if len(others) > places:
            others = sorted(others, key=lambda number: self._last.get(number, -1))[:places]
        self._left -= len(others)
        self._last = {number: self._last[number] for number in numbers if number in self._last}
        self._last |= zip(others, self._count, strict=False)
        return {*others} if first is None else {first, *others}
