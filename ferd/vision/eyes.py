"""Read from the landmarks of a face whether eyes are closed and the mouth is wide open.

The crops around eyes and mouth were placed by matching mean images of the training crops with mean images of 600
frontal faces (scripts/training/eyes_data.py cuts by the same functions). The unit of all sizes is the eye distance.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import Bundle
from ferd.types import EyeMouthState, EyesHidden, Face, Image, LandmarkReading, Landmarks
from ferd.vision.align import cut_turned
from ferd.vision.classifier import Classifier
from ferd.vision.geometry import head_pitch
from ferd.vision.images import to_gray

LABELS = ("eye_closed", "eye_open", "mouth_closed", "mouth_open", "other")
"""Classes of the model. `other`: sunglasses, a hand, an ear, a misplaced crop."""

EYE_SIDE, EYE_DOWN = 0.65, -0.05
"""Square around an eye: its side, and how far its centre lies below the eye landmark, in eye distances."""
MOUTH_SIDE, MOUTH_DOWN = 1.0, 0.12
"""Square around the mouth: the same, from the middle between the mouth's corners."""
HEIGHTS = (0.0, -0.12, 0.12)
"""Each eye is read at these heights, in eye distances from its landmark, which is often a little off: in a clip of a
driver in glasses the eyes are then read in 65 % of the frames instead of 42, and drawn closed ones in all poses."""
CERTAIN = 0.9
"""At this `sure` the other heights are not read: 1.3 readings an eye instead of 3, the same results on 266 faces."""
LEAST_BY_MOUTH = 0.9
"""The eye distance counts as at least this share of the distance from eyes to mouth: the eyes of a turned head lie
close together. In frontal faces eyes and mouth are 0.94 eye distances apart (median of 1,600; 5th to 95th percentile
0.73 to 1.21)."""

LEAST_EYE_DISTANCE = 16.0
"""Pixels between the eyes below which nothing is read: a face of about 32 pixels. Whole faces made smaller step by step
(328, most of them known to the model): of the certain readings 97 to 98 % are right down to 12 pixels, as at full size;
93.7 % at 9, 84.5 % at 7."""
LEAST_INSIDE = 0.75
"""Share of an eye's crop that must lie inside the picture: beyond its edge there is nothing but a repeated row."""
LEAST_PRESENCE = 0.5
"""Below this `presence` the landmarks model says that the crop shows no face."""
FARTHEST_TURN = 55.0
"""Degrees of yaw beyond which no eye is read, whatever the driver's own straight-ahead is: the model was trained on
heads that show both eyes. Nearer turns: ferd/policy/head.py."""

LEAST_CHANCE = 1e-3
"""No eye counts as more certain than this to be open or closed."""

CONTRAST = 48.0
LEAST_SPREAD = 5.0
"""Crops are scaled to mean 128 and this standard deviation. Flat ones (below `LEAST_SPREAD`) are not amplified further:
they would become noise. Infrared crops use only 10 to 20 of the 256 gray values."""


class EyeMouthReading(NamedTuple):
    """Reading of one eye or the mouth.

    Attributes:
        share: eyes 0 open to 1 closed, mouth 0 closed to 1 wide open.
        sure: probability of the likelier of the two answers. Near 0 when the crop shows neither.
    """

    share: float
    sure: float


UNSEEN = EyeMouthReading(0.5, 0.0)
"""Of a part that lies outside the picture."""


class Openness(NamedTuple):
    """Readings of one face in one frame. Right and left are the subject's own."""

    right_eye: EyeMouthReading
    left_eye: EyeMouthReading
    mouth: EyeMouthReading

    @property
    def eyes(self) -> EyeMouthReading:
        """Both eyes as one: their log odds are added, weighted by `sure`, so a hidden eye hardly counts."""
        both = self.right_eye, self.left_eye
        evidence = sum(eye.sure * _odds(eye.share) for eye in both)
        share = 1 / (1 + math.exp(-evidence))
        return EyeMouthReading(share, max(share, 1 - share) * max(eye.sure for eye in both))


Square = tuple[float, float, float, float]
"""A rotated square in the image: centre x, centre y, side, roll in radians."""


class CropRegions(NamedTuple):
    """Places of the three crops."""

    right_eye: Square
    left_eye: Square
    mouth: Square


def crop_regions(points: Landmarks) -> CropRegions:
    """Place the crops, upright along the line between the eyes."""
    right, left = complex(*points.right_eye), complex(*points.left_eye)
    mouth = (complex(*points.mouth_right) + complex(*points.mouth_left)) / 2
    between = left - right
    unit = max(abs(between), LEAST_BY_MOUTH * abs(mouth - (right + left) / 2), 1e-3)
    along = between / abs(between) if abs(between) > 1e-3 else complex(1, 0)
    roll, down = math.atan2(along.imag, along.real), along * 1j * unit

    def square(centre: complex, side: float, lower: float) -> Square:
        at = centre + lower * down
        return at.real, at.imag, side * unit, roll

    return CropRegions(
        square(right, EYE_SIDE, EYE_DOWN), square(left, EYE_SIDE, EYE_DOWN), square(mouth, MOUTH_SIDE, MOUTH_DOWN)
    )


def cut_square(image: Image, square: Square, size: int) -> Image:
    """Cut a square of a gray image (H, W), upright, as (size, size) uint8. Outside the image its edge is repeated."""
    x, y, side, roll = square
    return cut_turned(image, (x, y), side, roll, size)


def normalise_contrast(crop: Image) -> Image:
    """Bring a crop to the contrast of the training: mean 128, standard deviation CONTRAST."""
    mean, spread = cv2.meanStdDev(crop)
    table = (_GRAYS - mean.item()) * (CONTRAST / max(spread.item(), LEAST_SPREAD)) + 128
    np.rint(table, out=table)
    table = np.minimum(np.maximum(table, 0, out=table), 255, out=table)  # np.clip takes as long as all of this
    return np.asarray(cv2.LUT(crop, table.astype(np.uint8)), np.uint8)


_GRAYS = np.arange(256, dtype=np.float64)


class EyeReader:
    """Read eyes and mouth of one face by the eyes model."""

    def __init__(self, bundle: Bundle) -> None:
        """Load a bundle. Raises ModelError when the file is broken or is not an eyes model."""
        if bundle.labels != LABELS:
            raise ModelError(f"{bundle.path}: is not an eyes model: its labels are not {', '.join(LABELS)}")
        self._classifier = Classifier(bundle)
        self.size = self._classifier.input.width
        self.threshold = float(bundle.card.get("threshold", 0.6))
        """Below this `sure` a reading is discarded."""

    def __call__(self, image: Image, points: Landmarks) -> Openness:
        """Read a face. `image`: (H, W, 3) BGR or (H, W) gray, uint8; `points` in its pixels."""
        gray = to_gray(image)
        right, left, mouth = crop_regions(points)
        down = (complex(*points.left_eye) - complex(*points.right_eye)) * 1j
        return Openness(
            self._eye(gray, right, down) if is_inside(gray, right) else UNSEEN,
            self._eye(gray, left, down) if is_inside(gray, left) else UNSEEN,
            self._part(normalise_contrast(cut_square(gray, mouth, self.size)), "mouth")
            if is_inside(gray, mouth)
            else UNSEEN,
        )

    def read(self, crop: Image, what: Literal["eye", "mouth"]) -> EyeMouthReading:
        """Read a crop that was cut elsewhere, gray or BGR, of any size: for evaluation."""
        gray = to_gray(crop)
        shrinks = gray.shape[0] > self.size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return self._part(
            normalise_contrast(np.asarray(cv2.resize(gray, (self.size, self.size), interpolation=method))), what
        )

    def sure(self, part: EyeMouthReading) -> bool:
        """Whether a reading is certain enough to be used."""
        return part.sure >= self.threshold

    def _eye(self, gray: Image, square: Square, down: complex) -> EyeMouthReading:
        """Return the most certain reading of the heights: without an eye in it, a crop is classified as `other`."""
        x, y, side, roll = square
        best = UNSEEN
        for shift in HEIGHTS:
            at = complex(x, y) + shift * down
            crop = normalise_contrast(cut_square(gray, (at.real, at.imag, side, roll), self.size))
            best = max(best, self._part(crop, "eye"), key=lambda part: part.sure)
            if best.sure >= CERTAIN:
                break
        return best

    def _part(self, crop: Image, what: Literal["eye", "mouth"]) -> EyeMouthReading:
        closed, opened = _two(self._classifier(crop), what)
        if not math.isfinite(closed + opened):
            return UNSEEN
        share = (closed if what == "eye" else opened) / max(closed + opened, 1e-9)
        return EyeMouthReading(share, max(closed, opened))

    def __repr__(self) -> str:
        return f"<EyeReader {self._classifier!r}>"


class EyeMouthReader:
    """Report the state of one face's eyes, mouth and head. An uncertain reading is None, it never counts as closed."""

    def __init__(self, eyes: EyeReader) -> None:
        self._eyes = eyes

    def __call__(self, image: Image, face: Face) -> EyeMouthState:
        """Read a face. `image`: (H, W, 3) BGR or (H, W) gray, uint8.

        Whatever is wrong with the landmarks (missing, not finite, too close together, outside the picture) makes a
        state without eyes that says why; nothing raises.
        """
        head, points = _measured(face.landmarks), face.points
        if points is None or not _finite(points):
            return replace(head, hidden="no_landmarks")
        if (reason := _unreadable(points, face.landmarks)) is not None:
            return replace(head, hidden=reason)
        regions = crop_regions(points)
        if not (is_inside(image, regions.right_eye) or is_inside(image, regions.left_eye)):
            return replace(head, hidden="outside")
        read = self._eyes(image, points)
        eyes = self._if_sure(read.eyes)
        return replace(
            head,
            eyes_closed=eyes,
            mouth_open=self._if_sure(read.mouth),
            head_pitch=head_pitch(points),
            hidden="covered" if eyes is None else None,
            right_closed=self._if_sure(read.right_eye),
            left_closed=self._if_sure(read.left_eye),
        )

    def _if_sure(self, part: EyeMouthReading) -> float | None:
        return part.share if self._eyes.sure(part) else None


def is_inside(image: Image, square: Square) -> bool:
    """Return True when at least LEAST_INSIDE of a crop lies inside the picture. Its turn is neglected."""
    x, y, side, _ = square
    if not (math.isfinite(x + y + side) and side > 0):
        return False
    height, width = image.shape[:2]
    across = min(x + side / 2, width) - max(x - side / 2, 0)
    down = min(y + side / 2, height) - max(y - side / 2, 0)
    return bool(across > 0 and down > 0 and across * down >= LEAST_INSIDE * side * side)


def _measured(read: LandmarkReading | None) -> EyeMouthState:
    """Return what the landmarks model measured; nothing where it saw no face or gave a number that is not finite."""
    if read is None or not read.presence >= LEAST_PRESENCE:
        return EyeMouthState()
    lids = (read.right_aperture + read.left_aperture) / 2
    values = (read.yaw, read.pitch, read.roll, lids, read.mouth_aperture)
    if not all(map(math.isfinite, values)):
        return EyeMouthState()
    yaw, pitch, roll, lids, mouth = map(float, values)
    return EyeMouthState(yaw=yaw, pitch=pitch, roll=roll, lids=lids, mouth=mouth)


def _unreadable(points: Landmarks, read: LandmarkReading | None) -> EyesHidden | None:
    """Return why the eyes of a face are not worth reading."""
    right, left = complex(*points.right_eye), complex(*points.left_eye)
    mouth = (complex(*points.mouth_right) + complex(*points.mouth_left)) / 2
    if max(abs(left - right), LEAST_BY_MOUTH * abs(mouth - (right + left) / 2)) < LEAST_EYE_DISTANCE:
        return "too_small"
    if read is not None and not read.presence >= LEAST_PRESENCE:
        return "no_face"
    if read is not None and abs(read.yaw) > FARTHEST_TURN:
        return "turned"
    return None


def _finite(points: Landmarks) -> bool:
    return all(math.isfinite(value) for point in points for value in point)


def _odds(share: float) -> float:
    """Return the logarithm of the odds, finite also for a share of 0 or 1."""
    share = min(max(share, LEAST_CHANCE), 1 - LEAST_CHANCE)
    return math.log(share / (1 - share))


def _two(scores: NDArray[np.float32], what: Literal["eye", "mouth"]) -> tuple[float, float]:
    first = 0 if what == "eye" else 2
    return float(scores[first]), float(scores[first + 1])
