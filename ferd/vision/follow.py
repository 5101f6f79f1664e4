"""Follow faces by their landmarks from frame to frame, and search the whole frame only now and then.

The landmarks model looks where a face was; its presence output says whether the face is still there. The detector runs
while nothing is followed, after a face was lost, and every SEARCH_S for newcomers: seconds, so that it holds at any
frame rate. MediaPipe's face mesh works in this way (Kartynnik et al. 2019, arXiv 1907.06724).
"""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ferd.types import Box, Face, Frame, LandmarkReading
from ferd.vision.detectors.landmarked import LandmarkedDetector
from ferd.vision.landmarks import PRESENT, Crop, crop_of_points, five
from ferd.vision.turns import Turns

SEARCH_S = 0.5
"""The detector searches for newcomers after this long: with the tracker's confirmation they are reported within 1 s."""
FIND_AGAIN_S = 0.5
"""After a face was lost, the detector searches in every frame for this long, as long as the tracker keeps its track."""
SAME_FACE = 0.3
"""Boxes that overlap by more than this (intersection over union) are one face."""
UNFOUND_S = 10.0
"""A face that is followed and was not found by the detector for this long is dropped: heads turn back sooner."""
DOUBTED = 0.8
"""A followed face that the detector did not find in its last search needs at least this presence."""
NEWEST = 0.5
"""Weight of the newest measure of how the detector's box lies around the landmarks."""

FEW = 4
"""Up to so many faces are all looked at in every frame."""
OTHERS_PER_S = 60.0
"""Looks a second at all faces but the first together, where there are more: nine others have 7 each."""


class BoxRelation(NamedTuple):
    """How the detector's box lies around the landmarks, in sides of the landmarks' crop, upright."""

    shift: complex
    width: float
    height: float

    @classmethod
    def of(cls, box: Box, crop: Crop) -> BoxRelation:
        """Measure it on a face that the detector found."""
        off = complex(*box.centre) - complex(crop.x, crop.y)
        return cls(off * cmath.rect(1 / crop.side, -math.radians(crop.roll)), box.w / crop.side, box.h / crop.side)

    def towards(self, other: BoxRelation) -> BoxRelation:
        """Return the mean with a newer measure, by NEWEST."""
        return BoxRelation(
            self.shift + NEWEST * (other.shift - self.shift),
            self.width + NEWEST * (other.width - self.width),
            self.height + NEWEST * (other.height - self.height),
        )

    def box(self, crop: Crop) -> Box:
        """Return the box of a face whose landmarks' crop this is now."""
        centre = complex(crop.x, crop.y) + self.shift * cmath.rect(crop.side, math.radians(crop.roll))
        w, h = self.width * crop.side, self.height * crop.side
        return Box(centre.real - w / 2, centre.imag - h / 2, w, h)


@dataclass(frozen=True, slots=True)
class _Followed:
    """A face with landmarks.

    Attributes:
        number: which face this is.
        crop: around its landmarks: where to look in the next frame.
        looked: when its landmarks were read. found: when the detector last found it. doubted: its last search did not.
    """

    number: int
    face: Face
    crop: Crop
    relation: BoxRelation
    looked: float
    found: float
    doubted: bool = False


class FaceFollower:
    """Find the faces of one camera's frames. For each frame call `follow`, and `add` if it is `due`; then read `faces`.

    Frames come with rising `t`.

    Attributes:
        first: one of `faces`: it is looked at in every frame, the others in turn where they are more than FEW.
    """

    def __init__(self, detector: LandmarkedDetector, search_s: float = SEARCH_S) -> None:
        """`search_s`: seconds between two searches for newcomers; 0: in every frame."""
        self.detector = detector
        self._search_s = search_s
        self.first: Face | None = None
        self._turns = Turns(OTHERS_PER_S)
        self._numbers = itertools.count()
        self._followed: list[_Followed] = []
        self._unread: list[Face] = []
        self._searched = -math.inf
        self._lost = -math.inf

    @property
    def faces(self) -> list[Face]:
        """The faces of the frame that was followed or searched last."""
        return [*(followed.face for followed in self._followed), *self._unread]

    def follow(self, frame: Frame) -> None:
        """Look at each face where it was in the frame before; forget those that are not there any more."""
        turns = self._looks(frame.t)
        looked = (self._look(frame, one) if one.number in turns else one for one in self._followed)
        kept = list(_distinct(filter(None, looked)))
        if len(kept) < len(self._followed):
            self._lost = frame.t
        self._followed = kept

    def looked_at(self, face: Face, t: float) -> bool:
        """Whether one of `faces` was looked at in the frame of this time."""
        return all(one.looked >= t for one in self._followed if one.face is face)

    def _looks(self, t: float) -> Collection[int]:
        """Return the numbers of the faces to look at now."""
        numbers = [one.number for one in self._followed]
        if len(numbers) <= FEW or self.due(t):  # what the detector finds is compared with where they are now
            return numbers
        return self._turns(t, numbers, next((one.number for one in self._followed if one.face is self.first), None))

    def due(self, t: float) -> bool:
        """Return True when the whole frame has to be searched."""
        followed_only = bool(self._followed) and not self._unread
        since = t - self._searched
        return not (followed_only and 0 <= since < self._search_s and t - self._lost > FIND_AGAIN_S)

    def add(self, frame: Frame, found: Sequence[Face]) -> None:
        """Join what the detector found with what is followed: newcomers are followed from now on."""
        self._searched = frame.t
        rest = list(found)
        self._followed = [f for f in (self._confirm(frame.t, f, rest) for f in self._followed) if f]
        read = [self.detector.read(frame.image, face) for face in rest]
        new = [self._newcomer(face, face.landmarks, frame.t) for face in read if face.landmarks]
        self._followed = list(_distinct([*self._followed, *new]))
        self._unread = [face for face in read if not face.landmarks]

    def _look(self, frame: Frame, followed: _Followed) -> _Followed | None:
        reading = self.detector.landmarks.read(frame.image, followed.crop)
        if reading is None or reading.presence < (DOUBTED if followed.doubted else PRESENT):
            return None
        crop, relation = crop_of_points(reading.points, reading.roll), followed.relation
        face = Face(relation.box(crop), five(reading.points), followed.face.score, reading)
        return _Followed(followed.number, face, crop, relation, frame.t, followed.found, followed.doubted)

    def _confirm(self, t: float, followed: _Followed, rest: list[Face]) -> _Followed | None:
        """Take a followed face's own detection out of the rest; return None when it has been without one for long."""
        mine = [face for face in rest if face.box.overlap(followed.face.box) > SAME_FACE]
        if not mine:
            return None if t - followed.found > UNFOUND_S else replace(followed, doubted=True)
        for face in mine:
            rest.remove(face)
        best = max(mine, key=lambda face: face.box.overlap(followed.face.box))
        face = replace(followed.face, box=best.box, score=best.score)
        relation = followed.relation.towards(BoxRelation.of(face.box, followed.crop))
        return replace(followed, face=face, relation=relation, found=t, doubted=False)

    def _newcomer(self, face: Face, reading: LandmarkReading, t: float) -> _Followed:
        crop = crop_of_points(reading.points, reading.roll)
        return _Followed(next(self._numbers), face, crop, BoxRelation.of(face.box, crop), t, t)


def _distinct(followed: Iterable[_Followed]) -> Iterator[_Followed]:
    """Yield the followed faces, without those that moved onto an earlier one."""
    kept: list[Box] = []
    for one in followed:
        if all(one.face.box.overlap(box) <= SAME_FACE for box in kept):
            kept.append(one.face.box)
            yield one
