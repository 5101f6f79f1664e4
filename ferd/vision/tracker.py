"""Follows faces over time by the overlap of their boxes, and picks the main one.

All rules are in seconds, so they hold at any frame rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferd.types import Face, Track

LEAST_OVERLAP = 0.2
"""Boxes of one face overlap at least so much from frame to frame (intersection over union)."""
SURE = 0.65
"""A track begins with a detection of at least this score; a less sure one may only continue a track. At this score
our detector finds a face in 1 of 1,000 pictures without one, at its own threshold in 10."""
EARN_S = 0.25
"""A track must be seen for so long before anybody hears of it: a detector's slips are shorter."""
GAP_S = 0.5
"""A track survives so long without being seen: a blink of the detector is not a departure."""
STEP_S = 0.5
"""One sighting counts for at most so long, however slow the frames come."""

LARGER = 1.4
"""Another face must have so many times the main face's area…"""
LARGER_FOR_S = 1.0
"""…for so long to become the main face."""


@dataclass(slots=True)
class _Candidate:
    track: Track
    earned: float = 0.0
    told: bool = False


class Tracker:
    """Call it with the time and the faces of each frame; it gives the tracks that have earned their existence.

    A track that was not seen in this frame (`track.seen < t`) is still given until it has been gone for GAP_S.
    """

    def __init__(self) -> None:
        self._candidates: list[_Candidate] = []
        self._next_id = 1
        self._t: float | None = None

    def __call__(self, t: float, faces: Sequence[Face]) -> list[Track]:
        """`t` in seconds, never decreasing. Tracks in the order of their ids."""
        step = 0.0 if self._t is None else min(max(t - self._t, 0.0), STEP_S)
        self._t = t
        rest = self._match(t, step, list(faces))
        for candidate in self._candidates:
            if candidate.track.seen < t and not candidate.told:
                candidate.earned -= step
        self._candidates = [c for c in self._candidates if _lives(c, t)]
        self._candidates += [_Candidate(Track(0, face, born=t, seen=t)) for face in rest if face.score >= SURE]
        return sorted((c.track for c in self._candidates if c.told), key=lambda track: track.id)

    def _match(self, t: float, step: float, faces: list[Face]) -> list[Face]:
        """Gives each face to the candidate that it overlaps most, best pairs first; returns those left over."""
        pairs = sorted(
            (
                (candidate.track.face.box.overlap(face.box), c, f)
                for c, candidate in enumerate(self._candidates)
                for f, face in enumerate(faces)
            ),
            key=lambda pair: -pair[0],
        )
        used_c: set[int] = set()
        used_f: set[int] = set()
        for overlap, c, f in pairs:
            if overlap < LEAST_OVERLAP or c in used_c or f in used_f:
                continue
            used_c.add(c)
            used_f.add(f)
            self._see(self._candidates[c], faces[f], t, step)
        return [face for f, face in enumerate(faces) if f not in used_f]

    def _see(self, candidate: _Candidate, face: Face, t: float, step: float) -> None:
        candidate.earned += step
        number = candidate.track.id
        if not candidate.told and candidate.earned >= EARN_S:
            candidate.told = True
            number, self._next_id = self._next_id, self._next_id + 1
        candidate.track = Track(number, face, candidate.track.born, t)


def _lives(candidate: _Candidate, t: float) -> bool:
    return t - candidate.track.seen <= GAP_S and (candidate.told or candidate.earned >= 0)


class PrimaryFace:
    """Picks the face that speaks for the camera: the largest, but not in turns when two are of similar size."""

    def __init__(self) -> None:
        self._main: int | None = None
        self._rival: int | None = None
        self._rival_since = 0.0

    def __call__(self, t: float, tracks: Sequence[Track]) -> int | None:
        """The main track's id, None when there is no track."""
        areas = {track.id: track.face.box.area for track in tracks}
        if not areas:
            self._main = self._rival = None
            return None
        largest = max(areas, key=lambda number: areas[number])
        if self._main not in areas:
            self._main, self._rival = largest, None
        elif areas[largest] > LARGER * areas[self._main]:
            if largest != self._rival:
                self._rival, self._rival_since = largest, t
            if t - self._rival_since >= LARGER_FOR_S:
                self._main, self._rival = largest, None
        else:
            self._rival = None
        return self._main
