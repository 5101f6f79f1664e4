"""Who is the driver: the main face stays the main face, though a passenger leans in, nearer to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist

from ferd.types import Box, Track

NEAR = 1.0
"""A new track counts as the driver's when it begins within so many face widths of where the driver was last seen."""
WAIT_S = 10.0
"""So long a driver who is not seen is waited for; then whoever is largest drives."""
LARGER, LARGER_FOR_S = 1.4, 30.0
"""A face so much larger for so long is the driver's after all: at the start it may have been somebody else's."""


class StickyPrimaryFace:
    """Call it with the time and the tracks of each frame; it gives the driver's track id, None while there is none."""

    def __init__(self) -> None:
        self._id: int | None = None
        self._box: Box | None = None
        self._seen = 0.0
        self._rival: tuple[int, float] | None = None

    def __call__(self, t: float, tracks: Sequence[Track]) -> int | None:
        by_id = {track.id: track for track in tracks}
        if self._id not in by_id:
            self._id = self._successor(t, tracks)
        if self._id is None:
            return None
        self._challenge(t, by_id)
        self._box, self._seen = by_id[self._id].face.box, t
        return self._id

    def _successor(self, t: float, tracks: Sequence[Track]) -> int | None:
        self._rival = None
        if self._box is None or t - self._seen >= WAIT_S:
            return max(tracks, key=_area).id if tracks else None
        last = self._box
        near = [track for track in tracks if dist(track.face.box.centre, last.centre) <= NEAR * last.w]
        return min(near, key=lambda track: dist(track.face.box.centre, last.centre)).id if near else None

    def _challenge(self, t: float, by_id: dict[int, Track]) -> None:
        assert self._id is not None
        largest = max(by_id.values(), key=_area)
        if _area(largest) <= LARGER * _area(by_id[self._id]):
            self._rival = None
        elif self._rival is None or self._rival[0] != largest.id:
            self._rival = largest.id, t
        elif t - self._rival[1] >= LARGER_FOR_S:
            self._id, self._rival = largest.id, None


def _area(track: Track) -> float:
    return track.face.box.area
