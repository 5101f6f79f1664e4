"""Read 40 landmarks, the head pose and the presence of a face from one small gray crop.

The crop comes from a detector's box or, without a detector, from the landmarks of the frame before. Angles are in
degrees: yaw is positive when the face turns to the right side of the picture, pitch when it looks down, roll when the
head tilts clockwise in the picture. Right and left in the names of the landmarks are the subject's own.
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.types import LandmarkReading, Landmarks
from ferd.vision.images import in_mirror, to_gray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferd.models.bundle import Bundle

Image = NDArray[np.uint8]
Points = NDArray[np.float32]

NAME = "landmarks"
SIDE = 64
"""Width and height of the input, in pixels."""
AROUND = 1.4
"""Side of the crop, in units of the longer side of the landmarks' extent (upright)."""
LABELS = (
    *(f"right_eye_{part}" for part in ("outer", "upper_outer", "upper", "upper_inner", "inner")),
    *(f"right_eye_{part}" for part in ("lower_inner", "lower", "lower_outer")),
    *(f"left_eye_{part}" for part in ("outer", "upper_outer", "upper", "upper_inner", "inner")),
    *(f"left_eye_{part}" for part in ("lower_inner", "lower", "lower_outer")),
    *(f"right_brow_{part}" for part in ("outer", "middle", "inner")),
    *(f"left_brow_{part}" for part in ("outer", "middle", "inner")),
    *("nose_tip", "nose_right", "nose_left"),
    *("mouth_right", "lip_upper_outer", "mouth_left", "lip_lower_outer"),
    *("mouth_right_inner", "lip_upper_inner", "mouth_left_inner", "lip_lower_inner"),
    *("chin", "jaw_right", "jaw_left", "cheek_right", "cheek_left"),
    *("right_iris", "left_iris"),
)
_SIDES = {"right": "left", "left": "right"}
IN_MIRROR = [LABELS.index("_".join(_SIDES.get(word, word) for word in label.split("_"))) for label in LABELS]
"""The landmark that each one becomes in a mirror."""
VALUES = 4 + 2 * len(LABELS)
"""Outputs: presence (a logit), yaw, pitch, roll (degrees / ANGLE), then x and y of each landmark in half crops."""
ANGLE = 45.0
RIGHT_EYE, LEFT_EYE = slice(0, 8), slice(8, 16)
UPPER, LOWER = (1, 2, 3), (7, 6, 5)
"""Landmarks of one eye whose distances, pair by pair, are the lids' aperture."""
_LIDS = tuple(zip(UPPER, LOWER, strict=True))
LEAST_FACE = 24.0
"""Smallest extent of a face in pixels of the picture that is read; below it there is nothing to measure."""
PRESENT = 0.5
LATER_LOOKS = ((True, 2 / 3), (False, 2 / 5))
"""The second and third look at a new face: whether it is in the mirror, and its share of the mean of the looks so far.

On frontal faces held back the error is 4.6 % of the eye distance after one look, 4.1 after two and 4.0 after three."""
CONTRAST, LEAST_SPREAD = 48.0, 5.0
"""Crops are brought to mean 128 and this standard deviation; flat ones are not amplified further than from the second:
they would be noise. Infrared pictures spread over 10 to 20 of the 256 steps only."""
LEAST_UNIT = 1e-3
"""Pixels that the eye distance counts as at least: no division by zero where all landmarks lie in one place."""
LEAST_COSINE = 0.5
"""A head turned by more than 60 degrees counts as turned by 60 where its eye distance is the unit of a measure."""


def index(label: str) -> int:
    """Return the index of a landmark by its name."""
    return LABELS.index(label)


MOUTH_RIGHT, MOUTH_LEFT = index("mouth_right"), index("mouth_left")
LIP_UPPER, LIP_LOWER = index("lip_upper_inner"), index("lip_lower_inner")
NOSE_TIP = index("nose_tip")


class Crop(NamedTuple):
    """A square of the picture: centre and side in pixels, turned by `roll` degrees (clockwise)."""

    x: float
    y: float
    side: float
    roll: float = 0.0


def eye_distance(points: Points, yaw: float = 0.0) -> float:
    """Return the distance of the eyes' middles in pixels as if the head faced the camera."""
    return _eye_distance(_places(points), yaw)


def lid_apertures(points: Points, yaw: float = 0.0) -> tuple[float, float]:
    """Return the aperture of the right and the left eye in eye distances: an open eye has 0.12 to 0.2, a shut one 0.

    Signed across the line between the eye's corners, so that noise of a shut eye averages to zero over time.
    """
    places = _places(points)
    unit = max(_eye_distance(places, yaw), LEAST_UNIT)
    return _gap(places[RIGHT_EYE], 1.0) / unit, _gap(places[LEFT_EYE], -1.0) / unit


def mouth_aperture(points: Points, yaw: float = 0.0) -> float:
    """Return the distance of the inner lips in eye distances: a yawn has 0.6 and more."""
    places = _places(points)
    return abs(places[LIP_LOWER] - places[LIP_UPPER]) / max(_eye_distance(places, yaw), LEAST_UNIT)


def mouth_width(points: Points) -> float:
    """Return the distance of the mouth's corners in eye distances; a turn of the head shortens both."""
    places = _places(points)
    return abs(places[MOUTH_LEFT] - places[MOUTH_RIGHT]) / max(_eye_distance(places, 0.0), LEAST_UNIT)


FIVE_OFFSET = (0.013 + 0.014j, -0.020 + 0.011j, -0.004 + 0.034j, 0.019 + 0.029j, -0.020 + 0.019j)
"""How far these five lie beside YuNet's, in eye distances along (x) and across (y) the eyes' line: medians of 533
frontal faces. The other models' crops were cut by points like YuNet's."""


def five(points: Points) -> Landmarks:
    """Return the eyes' middles, the nose's tip and the corners of the mouth, where YuNet would see them."""
    places = _places(points)
    right, left = _middle(places[RIGHT_EYE]), _middle(places[LEFT_EYE])
    along = left - right
    where = (right, left, places[NOSE_TIP], places[MOUTH_RIGHT], places[MOUTH_LEFT])
    moved = [place - off * along for place, off in zip(where, FIVE_OFFSET, strict=True)]
    return Landmarks(*[(place.real, place.imag) for place in moved])


def crop_of_points(points: Points, roll: float) -> Crop:
    """Return the crop for the next frame: a square around the landmarks, turned upright by `roll` degrees."""
    turn = cmath.rect(1.0, -math.radians(roll))
    upright = [place * turn for place in _places(points)]
    across, down = [place.real for place in upright], [place.imag for place in upright]
    low, high = complex(min(across), min(down)), complex(max(across), max(down))
    middle = (low + high) / 2 / turn
    extent = max(high.real - low.real, high.imag - low.imag)
    return Crop(middle.real, middle.imag, AROUND * extent, roll)


def crop_of_box(box: Sequence[float], roll: float = 0.0) -> Crop:
    """Return the crop for a detector's box (x, y, width, height) of a face."""
    x, y, w, h = (float(v) for v in box)
    down = complex(-math.sin(math.radians(roll)), math.cos(math.radians(roll))) * BOX_DOWN * h
    return Crop(x + w / 2 + down.real, y + h / 2 + down.imag, BOX_SCALE * AROUND * max(w, h), roll)


BOX_DOWN, BOX_SCALE = 0.13, 0.8
"""How the landmarks lie in the boxes of ferd's detector and YuNet: their middle lower by a share of the height, their
extent as a share of the longer side (medians of the training pictures)."""


def cut(image: Image, crop: Crop, size: int = SIDE) -> Image:
    """Return the crop as (size, size) gray; the picture may be gray or BGR. Outside the picture its edge is repeated.

    A crop that shrinks the picture is averaged first: a bilinear warp alone picks single pixels (aliasing).
    """
    radians = math.radians(crop.roll)
    cos, sin = math.cos(radians), math.sin(radians)
    factor, left, top = 1, 0, 0
    while crop.side / factor > 1.7 * size:
        factor *= 2
    if factor > 1:
        reach = crop.side * (abs(cos) + abs(sin)) / 2
        left, right = _blocks(crop.x - reach, crop.x + reach, image.shape[1], factor)
        top, bottom = _blocks(crop.y - reach, crop.y + reach, image.shape[0], factor)
        width, height = right - left, bottom - top
        image, halves = image[top:bottom, left:right], factor
        while halves > 1:  # OpenCV averages 2x2 pixels far quicker than blocks of any other size
            halves, width, height = halves // 2, max(1, width // 2), max(1, height // 2)
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    turn = size / crop.side * complex(cos, -sin)
    shift = complex(size, size) / 2 - turn * complex(crop.x - left, crop.y - top)
    turn *= factor
    # OpenCV counts from the centre of the first pixel, these coordinates from its corner.
    shift += (turn - 1) * (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop_image = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return to_gray(np.asarray(crop_image, np.uint8))


def normalise(crop: Image) -> Image:
    """Return the crop with mean 128 and the standard deviation CONTRAST."""
    return np.asarray(cv2.LUT(crop, _contrast_table(crop)), np.uint8)


def _contrast_table(crop: Image) -> Image:
    mean, spread = cv2.meanStdDev(crop)
    table = GRAYS - np.float32(mean.item())
    table *= np.float32(CONTRAST / max(spread.item(), LEAST_SPREAD))
    table += 128
    np.rint(table, out=table)
    # np.clip takes as long as all of this.
    return np.asarray(np.minimum(np.maximum(table, 0, out=table), 255, out=table), np.uint8)


GRAYS = np.arange(256, dtype=np.float32)


class LandmarkModel:
    """The landmarks model, loaded. Not safe for use from two threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the file. Raises ModelError when it is broken or no landmarks model of this shape."""
        from ferd.errors import ModelError
        from ferd.models.registry import load_network

        if bundle.labels != LABELS or bundle.input is None:
            raise ModelError(
                f"{bundle.path}: its card does not name ferd's {len(LABELS)} landmarks; install ferd's own"
            )
        self.network = load_network(bundle)
        shapes = self.network.input.shape, self.network.outputs[0].shape
        if shapes != ((1, SIDE, SIDE, 1), (1, VALUES)):
            raise ModelError(
                f"{bundle.path}: maps {shapes[0]} to {shapes[1]} where (1, {SIDE}, {SIDE}, 1) to (1, {VALUES}) is "
                "expected; file and card are of different versions"
            )
        self._lookup = bundle.input.lookup_table(self.network.input)

    def read(self, image: Image, where: Sequence[float] | LandmarkReading | Crop) -> LandmarkReading | None:
        """Read the face at a detector's box (x, y, width, height), at the landmarks of the frame before, or in a crop.

        `image`: (H, W) gray or (H, W, 3) BGR, uint8. A face at a box is new (see read_new), a followed one is read
        once. Returns None when the face cannot be read: too small, mostly outside of the picture, numbers that are not
        finite. A `presence` below PRESENT in the result means that the crop shows no face (any more).
        """
        crop = _crop(where)
        if crop is None or isinstance(where, (LandmarkReading, Crop)):
            return None if crop is None else self._look(image, crop)
        return self.read_new(image, crop)

    def read_new(self, image: Image, crop: Crop) -> LandmarkReading | None:
        """Read a new face: look at it three times, each time at its landmarks so far, and return the mean.

        The looks err differently, the one in the mirror most of all. `presence` is the least of all looks.
        """
        result = self._look(image, crop)
        for mirror, share in LATER_LOOKS:
            if result is None or result.presence < PRESENT:
                break
            again = self._look(image, crop_of_points(result.points, result.roll), mirror=mirror)
            result = result if again is None else mean_of(result, again, share)
        return result

    def _look(self, image: Image, crop: Crop, *, mirror: bool = False) -> LandmarkReading | None:
        if not readable(image, crop):
            return None
        tile = cut(image, crop)
        values = mirrored(self.values(in_mirror(tile))) if mirror else self.values(tile)
        return reading(values, crop) if np.isfinite(values).all() else None

    def values(self, crop: Image) -> NDArray[np.float32]:
        """Return the network's outputs, (VALUES,) float32, for a crop of (SIDE, SIDE) gray."""
        stored = self.network.invoke(cv2.LUT(crop, self._lookup[_contrast_table(crop)])[None, :, :, None])
        return self.network.outputs[0].dequantise(stored).reshape(-1)

    def __repr__(self) -> str:
        return f"<LandmarkModel {self.network!r}>"


def mirrored(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the network's outputs, (VALUES,), for the mirror image of the crop that it was given."""
    swapped = values.copy()
    swapped[[1, 3]] *= -1  # yaw and roll
    swapped[4:] = values[4:].reshape(-1, 2)[IN_MIRROR].reshape(-1)
    swapped[4::2] *= -1
    return swapped


def mean_of(first: LandmarkReading, second: LandmarkReading, share: float) -> LandmarkReading:
    """Return the mean of two readings of one face, in which the second has this share (0 to 1).

    Its `presence` is the lesser one of both, its apertures are those of its own landmarks.
    """
    points = first.points + np.float32(share) * (second.points - first.points)
    yaw = first.yaw + share * (second.yaw - first.yaw)
    roll = first.roll + share * ((second.roll - first.roll + 180) % 360 - 180)
    turned = np.ascontiguousarray(points, np.float32).view(np.complex64).reshape(-1)
    presence = min(first.presence, second.presence)
    return _measured(turned, presence, yaw, first.pitch + share * (second.pitch - first.pitch), roll)


def reading(values: NDArray[np.float32], crop: Crop) -> LandmarkReading:
    """Return what the network's outputs mean in the picture that the crop was cut from."""
    logit, yaw, pitch, roll = values[:4].tolist()
    unturned = np.ascontiguousarray(values[4:], np.float32).view(np.complex64)
    turned = unturned * np.complex64(cmath.rect(crop.side / 2, math.radians(crop.roll)))
    turned += np.complex64(complex(crop.x, crop.y))
    presence = 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))
    return _measured(turned, presence, yaw * ANGLE, pitch * ANGLE, roll * ANGLE + crop.roll)


def _measured(turned: NDArray[np.complex64], presence: float, yaw: float, pitch: float, roll: float) -> LandmarkReading:
    """Return the reading with the apertures that the landmarks, x + iy, have."""
    places: list[complex] = turned.tolist()
    unit = max(_eye_distance(places, yaw), LEAST_UNIT)
    return LandmarkReading(
        turned.view(np.float32).reshape(-1, 2),
        presence,
        yaw,
        pitch,
        (roll + 180) % 360 - 180,
        _gap(places[RIGHT_EYE], 1.0) / unit,
        _gap(places[LEFT_EYE], -1.0) / unit,
        abs(places[LIP_LOWER] - places[LIP_UPPER]) / unit,
    )


def readable(image: Image, crop: Crop) -> bool:
    """Return True when the crop is large enough and at least half of it lies inside the picture."""
    if image.size == 0 or not all(map(math.isfinite, crop)) or crop.side < AROUND * LEAST_FACE:
        return False
    height, width = image.shape[:2]
    half = crop.side / 2
    across = min(crop.x + half, width) - max(crop.x - half, 0)
    down = min(crop.y + half, height) - max(crop.y - half, 0)
    return bool(across > 0 and down > 0 and across * down >= crop.side**2 / 2)


def _crop(where: Any) -> Crop | None:
    if isinstance(where, Crop):
        return where
    if isinstance(where, LandmarkReading):
        return crop_of_points(where.points, where.roll) if np.isfinite(where.points).all() else None
    return crop_of_box(where)


def _gap(eye: Sequence[complex], outwards: float) -> float:
    """Return the mean distance of the lids in pixels, positive when the upper lid lies above the lower one."""
    across = (eye[4] - eye[0]) * outwards  # towards the right side of an upright picture
    back = (across * 1j / max(abs(across), 1e-6)).conjugate()
    lids = sum([eye[low] - eye[up] for up, low in _LIDS])
    return (lids * back).real / len(_LIDS)


def _eye_distance(places: Sequence[complex], yaw: float) -> float:
    between = abs(_middle(places[LEFT_EYE]) - _middle(places[RIGHT_EYE]))
    return between / max(math.cos(math.radians(yaw)), LEAST_COSINE)


def _middle(eye: Sequence[complex]) -> complex:
    return sum(eye) / len(eye)


def _places(points: Points) -> list[complex]:
    """Return the points as plain complex numbers: for this few numpy takes three times as long."""
    places: list[complex] = np.ascontiguousarray(points, np.float32).view(np.complex64)[:, 0].tolist()
    return places


def _blocks(first: float, last: float, length: int, factor: int) -> tuple[int, int]:
    """Return begin and end of whole blocks of `factor` pixels that cover first to last inside 0 to length."""
    begin = int(min(max(first - 2 * factor, 0), max(length - factor, 0)))
    end = int(max(min(last + 2 * factor, length), begin + min(factor, length)))
    return begin, begin + max(1, (end - begin) // factor) * factor if end - begin >= factor else end
