"""Read 40 landmarks, the head pose and the presence of a face from one small gray crop.

The crop comes from a detector's box or, without a detector, from the landmarks of the frame before. Angles are in
degrees: yaw is positive when the face turns to the right side of the picture, pitch when it looks down, roll when the
head tilts clockwise in the picture. Right and left in the names of the landmarks are the subject's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

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
VALUES = 4 + 2 * len(LABELS)
"""Outputs: presence (a logit), yaw, pitch, roll (degrees / ANGLE), then x and y of each landmark in half crops."""
ANGLE = 45.0
RIGHT_EYE, LEFT_EYE = slice(0, 8), slice(8, 16)
UPPER, LOWER = (1, 2, 3), (7, 6, 5)
"""Landmarks of one eye whose distances, pair by pair, are the lids' aperture."""
LEAST_FACE = 24.0
"""Smallest extent of a face in pixels of the picture that is read; below it there is nothing to measure."""
PRESENT = 0.5
CONTRAST, LEAST_SPREAD = 48.0, 5.0
"""Crops are brought to mean 128 and this standard deviation; flat ones are not amplified further than from the second:
they would be noise. Infrared pictures spread over 10 to 20 of the 256 steps only."""
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


@dataclass(frozen=True, slots=True)
class LandmarkReading:
    """What the model reads from one crop.

    `points`: (40, 2) float32 in pixels of the picture. `presence`: probability that the crop shows a face. Angles in
    degrees. `right_aperture`, `left_aperture`: distance of the lids, `mouth_aperture`: distance of the inner lips, in
    units of the eye distance that this head would have if it faced the camera.
    """

    points: Points
    presence: float
    yaw: float
    pitch: float
    roll: float
    right_aperture: float
    left_aperture: float
    mouth_aperture: float


def eye_distance(points: Points, yaw: float = 0.0) -> float:
    """Return the distance of the eyes' middles in pixels as if the head faced the camera."""
    between = points[LEFT_EYE].mean(axis=0) - points[RIGHT_EYE].mean(axis=0)
    return float(np.hypot(*between)) / max(math.cos(math.radians(yaw)), LEAST_COSINE)


def lid_apertures(points: Points, yaw: float = 0.0) -> tuple[float, float]:
    """Return the aperture of the right and the left eye in eye distances: an open eye has 0.12 to 0.2, a shut one 0.

    Signed across the line between the eye's corners, so that noise of a shut eye averages to zero over time.
    """
    unit = max(eye_distance(points, yaw), 1e-3)
    return _gap(points[RIGHT_EYE], 1.0) / unit, _gap(points[LEFT_EYE], -1.0) / unit


def mouth_aperture(points: Points, yaw: float = 0.0) -> float:
    """Return the distance of the inner lips in eye distances: a yawn has 0.6 and more."""
    return float(np.hypot(*(points[LIP_LOWER] - points[LIP_UPPER]))) / max(eye_distance(points, yaw), 1e-3)


def five(points: Points) -> Points:
    """Return (5, 2): the eyes' middles, the nose's tip and the corners of the mouth, right before left."""
    eyes = points[RIGHT_EYE].mean(axis=0), points[LEFT_EYE].mean(axis=0)
    return np.stack([*eyes, points[NOSE_TIP], points[MOUTH_RIGHT], points[MOUTH_LEFT]]).astype(np.float32)


def crop_of_points(points: Points, roll: float) -> Crop:
    """Return the crop for the next frame: a square around the landmarks, turned upright by `roll` degrees."""
    turn = complex(math.cos(math.radians(roll)), -math.sin(math.radians(roll)))
    upright = _complex(points) * turn
    low = complex(upright.real.min(), upright.imag.min())
    high = complex(upright.real.max(), upright.imag.max())
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
    """Return the crop as (size, size) gray. Outside the picture its edge is repeated.

    A crop that shrinks the picture is averaged first: a bilinear warp alone picks single pixels (aliasing).
    """
    gray, factor, left, top = image, 1, 0, 0
    while crop.side / factor > 1.7 * size:
        factor *= 2
    if factor > 1:
        reach = crop.side * (abs(math.cos(math.radians(crop.roll))) + abs(math.sin(math.radians(crop.roll)))) / 2
        left, right = _blocks(crop.x - reach, crop.x + reach, image.shape[1], factor)
        top, bottom = _blocks(crop.y - reach, crop.y + reach, image.shape[0], factor)
        part = image[top:bottom, left:right]
        small = (max(1, (right - left) // factor), max(1, (bottom - top) // factor))
        gray = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), np.uint8)
    turn = size / crop.side * complex(math.cos(math.radians(crop.roll)), -math.sin(math.radians(crop.roll)))
    shift = complex(size, size) / 2 - turn * (complex(crop.x, crop.y) - complex(left, top))
    turn *= factor
    # OpenCV counts from the centre of the first pixel, these coordinates from its corner.
    shift += (turn - 1) * (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return np.asarray(
        cv2.warpAffine(gray, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def normalise(crop: Image) -> Image:
    """Return the crop with mean 128 and the standard deviation CONTRAST."""
    mean, spread = (float(v[0, 0]) for v in cv2.meanStdDev(crop))
    gain = CONTRAST / max(spread, LEAST_SPREAD)
    table = np.clip(np.rint((np.arange(256) - mean) * gain + 128), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, table), np.uint8)


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

        `image`: (H, W) gray, uint8. A face at a box is read twice, the second time at its own landmarks. Returns None
        when the face cannot be read: too small, mostly outside of the picture, numbers that are not finite. A
        `presence` below PRESENT in the result means that the crop shows no face (any more).
        """
        crop = _crop(where)
        result = None if crop is None else self._look(image, crop)
        if result is None or isinstance(where, (LandmarkReading, Crop)) or result.presence < PRESENT:
            return result
        return self._look(image, crop_of_points(result.points, result.roll)) or result

    def _look(self, image: Image, crop: Crop) -> LandmarkReading | None:
        if not readable(image, crop):
            return None
        values = self.values(cut(image, crop))
        return reading(values, crop) if np.isfinite(values).all() else None

    def values(self, crop: Image) -> NDArray[np.float32]:
        """Return the network's outputs, (VALUES,) float32, for a crop of (SIDE, SIDE) gray."""
        stored = self.network.invoke(self._lookup[normalise(crop)][None, :, :, None])
        return self.network.outputs[0].dequantise(stored).reshape(-1)

    def __repr__(self) -> str:
        return f"<LandmarkModel {self.network!r}>"


def reading(values: NDArray[np.float32], crop: Crop) -> LandmarkReading:
    """Return what the network's outputs mean in the picture that the crop was cut from."""
    turn = crop.side / 2 * complex(math.cos(math.radians(crop.roll)), math.sin(math.radians(crop.roll)))
    places = _complex(values[4:].reshape(-1, 2)) * turn + complex(crop.x, crop.y)
    points = np.stack([places.real, places.imag], axis=1).astype(np.float32)
    yaw, pitch, roll = (float(v) * ANGLE for v in values[1:4])
    right, left = lid_apertures(points, yaw)
    return LandmarkReading(
        points,
        1 / (1 + math.exp(-max(-60.0, min(60.0, float(values[0]))))),
        yaw,
        pitch,
        (roll + crop.roll + 180) % 360 - 180,
        right,
        left,
        mouth_aperture(points, yaw),
    )


def readable(image: Image, crop: Crop) -> bool:
    """Return True when the crop is large enough and at least half of it lies inside the picture."""
    if image.ndim != 2 or image.size == 0 or not all(map(math.isfinite, crop)) or crop.side < AROUND * LEAST_FACE:
        return False
    height, width = image.shape
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


def _gap(eye: Points, outwards: float) -> float:
    """Return the mean distance of the lids in pixels, positive when the upper lid lies above the lower one."""
    across = (eye[4] - eye[0]) * outwards  # towards the right side of an upright picture
    length = max(float(np.hypot(*across)), 1e-6)
    down = np.array([-across[1], across[0]], np.float32) / np.float32(length)
    return float(((eye[list(LOWER)] - eye[list(UPPER)]) @ down).mean())


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1], np.complex128)


def _blocks(first: float, last: float, length: int, factor: int) -> tuple[int, int]:
    """Return begin and end of whole blocks of `factor` pixels that cover first to last inside 0 to length."""
    begin = int(min(max(first - 2 * factor, 0), max(length - factor, 0)))
    end = int(max(min(last + 2 * factor, length), begin + min(factor, length)))
    return begin, begin + max(1, (end - begin) // factor) * factor if end - begin >= factor else end
