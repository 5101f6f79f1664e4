"""Bound what many faces cost: the main face is read in every frame, the others in turn. Pure: no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ferd.types import Track

OTHERS_PER_S = 36.0
"""Readings of all other faces together in a second. Up to two others at 15 frames a second are read in every frame, nine
four times a second each: as often as a camera with 4 frames a second reads its only face."""
BURST_S = 0.25
"""After a pause the others are read at most as often as in this time: bounds the cost of one frame."""


class Turns:
    """Choose the tracks to read in each frame. Call it at rising times."""

    def __init__(self, per_s: float = OTHERS_PER_S) -> None:
        self._per_s = per_s
        self._left = per_s * BURST_S
        self._t: float | None = None
        self._read: dict[int, float] = {}

    def __call__(self, t: float, tracks: Sequence[Track], main: int | None) -> Sequence[Track]:
        """Return the main track and those of the others whose turn it is: who was not read for longest comes first.

        Args:
            t: seconds.
            tracks: those that were seen in this frame.
            main: id of the main track.
        """
        passed = 0.0 if self._t is None else max(0.0, t - self._t)
        self._t = t
        self._left = min(self._left + passed * self._per_s, self._per_s * BURST_S)
        others = [track for track in tracks if track.id != main]
        places = int(self._left + 1e-9)
        if len(others) > places:
            others = sorted(others, key=lambda track: self._read.get(track.id, -math.inf))[:places]
        self._left -= len(others)
        chosen = {track.id for track in others}
        self._read = {track.id: t if track.id in chosen else self._read.get(track.id, -math.inf) for track in tracks}
        return [track for track in tracks if track.id == main or track.id in chosen]
