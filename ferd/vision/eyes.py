"""Are eyes closed, is the mouth wide open: crops placed by the five points of a face, and the model that reads them.

How the crops lie was measured by matching mean pictures of the training crops with mean pictures of 600 frontal
faces (scripts/training/eyes_data.py cuts by the same functions). Unit of all sizes is the eye distance.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import Bundle
from ferd.types import Image, Landmarks
from ferd.vision.align import cut_turned
from ferd.vision.classifier import Classifier

LABELS = ("eye_closed", "eye_open", "mouth_closed", "mouth_open", "other")
"""What the model tells apart. `other`: sunglasses, a hand, an ear, a crop that lies wrong."""

EYE_SIDE, EYE_DOWN = 0.65, -0.05
"""The square around an eye: its side, and how far its centre lies below the eye point, in eye distances."""
MOUTH_SIDE, MOUTH_DOWN = 1.0, 0.12
"""The square around the mouth: the same, from the middle between the mouth's corners."""
HEIGHTS = (-0.12, 0.0, 0.12)
"""Eyes are looked for at these heights, in eye distances from the eye point, which is often a little off: in a clip
of a driver in glasses they are then read in 65 % of the frames instead of 42, and drawn shut ones in all poses."""
LEAST_BY_MOUTH = 0.9
"""The eye distance counts as at least this share of the way from eyes to mouth: a turned head has its eyes close
together. In frontal faces the way is 0.94 eye distances (median of 1,600; 0.73 to 1.21 from the 5th to the 95th
percentile)."""

LEAST_CHANCE = 1e-3
"""No eye is taken to be surer than this of being open or closed."""

CONTRAST = 48.0
LEAST_SPREAD = 5.0
"""Crops are brought to mean 128 and this standard deviation; flat ones (below `LEAST_SPREAD`) are not blown up
further, they would be noise. Infrared crops spread over 10 to 20 of the 256 steps only."""


class EyeOrMouth(NamedTuple):
    """One eye or the mouth. `share`: eyes 0 open to 1 closed, mouth 0 closed to 1 wide open.

    `sure`: the probability of the likelier of the two answers. Near 0 when the crop shows neither.
    """

    share: float
    sure: float


class Openness(NamedTuple):
    """What one face says in one frame. Right and left are the subject's own."""

    right_eye: EyeOrMouth
    left_eye: EyeOrMouth
    mouth: EyeOrMouth

    @property
    def eyes(self) -> EyeOrMouth:
        """Both eyes as one: their evidence adds up, the surer eye counts more, a hidden one hardly."""
        both = self.right_eye, self.left_eye
        evidence = sum(eye.sure * _odds(eye.share) for eye in both)
        share = 1 / (1 + math.exp(-evidence))
        return EyeOrMouth(share, max(share, 1 - share) * max(eye.sure for eye in both))


Square = tuple[float, float, float, float]
"""A turned square in the picture: centre x, centre y, side, roll in radians."""


class CropRegions(NamedTuple):
    """Where the three crops lie."""

    right_eye: Square
    left_eye: Square
    mouth: Square


def crop_regions(points: Landmarks) -> CropRegions:
    """Where the crops lie, upright by the line between the eyes."""
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


def cut_square(picture: Image, square: Square, size: int) -> Image:
    """(size, size) uint8 of a gray picture (H, W), upright. Outside the picture its edge is repeated."""
    x, y, side, roll = square
    return cut_turned(picture, (x, y), side, roll, size)


def normalise_contrast(crop: Image) -> Image:
    """The same crop in the light of the training: mean 128, standard deviation CONTRAST."""
    mean, spread = (float(v[0, 0]) for v in cv2.meanStdDev(crop))
    gain = CONTRAST / max(spread, LEAST_SPREAD)
    table = np.clip(np.rint((np.arange(256) - mean) * gain + 128), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, table), np.uint8)


class EyeReader:
    """The eyes model, loaded. Call it with a picture and the points of one face in it."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises ModelError when the file is broken or is not an eyes model."""
        if bundle.labels != LABELS:
            raise ModelError(f"{bundle.path}: is no eyes model: its labels are not {', '.join(LABELS)}")
        self._classifier = Classifier(bundle)
        self.size = self._classifier.input.width
        self.threshold = float(bundle.card.get("threshold", 0.6))
        """Below this `sure`, the answer is "cannot tell"."""

    def __call__(self, picture: Image, points: Landmarks) -> Openness:
        """`picture`: (H, W, 3) BGR or (H, W) gray, uint8; `points` in its pixels."""
        gray = picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        right, left, mouth = crop_regions(points)
        down = (complex(*points.left_eye) - complex(*points.right_eye)) * 1j
        return Openness(
            self._eye(gray, right, down),
            self._eye(gray, left, down),
            self._part(normalise_contrast(cut_square(gray, mouth, self.size)), "mouth"),
        )

    def read(self, crop: Image, what: Literal["eye", "mouth"]) -> EyeOrMouth:
        """One crop that somebody else has cut, gray or BGR, any size: for evaluating."""
        gray = crop if crop.ndim == 2 else np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)
        shrinks = gray.shape[0] > self.size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return self._part(
            normalise_contrast(np.asarray(cv2.resize(gray, (self.size, self.size), interpolation=method))), what
        )

    def sure(self, part: EyeOrMouth) -> bool:
        return part.sure >= self.threshold

    def _eye(self, gray: Image, square: Square, down: complex) -> EyeOrMouth:
        """The surest reading of three heights: where no eye is the model says `other`, so it is never the surest."""
        x, y, side, roll = square
        places = (complex(x, y) + shift * down for shift in HEIGHTS)
        crops = (normalise_contrast(cut_square(gray, (at.real, at.imag, side, roll), self.size)) for at in places)
        return max((self._part(crop, "eye") for crop in crops), key=lambda part: part.sure)

    def _part(self, crop: Image, what: Literal["eye", "mouth"]) -> EyeOrMouth:
        said = self._classifier(crop)
        closed, opened = _two(said, what)
        share = (closed if what == "eye" else opened) / max(closed + opened, 1e-9)
        return EyeOrMouth(share, max(closed, opened))

    def __repr__(self) -> str:
        return f"<EyeReader {self._classifier!r}>"


def _odds(share: float) -> float:
    """The logarithm of the odds, finite also for a share of 0 or 1."""
    share = min(max(share, LEAST_CHANCE), 1 - LEAST_CHANCE)
    return math.log(share / (1 - share))


def _two(said: NDArray[np.float32], what: Literal["eye", "mouth"]) -> tuple[float, float]:
    first = 0 if what == "eye" else 2
    return float(said[first]), float(said[first + 1])
