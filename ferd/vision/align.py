"""Cut a face out of an image in the way in which the model saw faces in training.

With landmarks the eyes are moved to where they lie in the training images (a similarity transform: shift, scale, roll).
Without them a square in a fixed relation to the detector's box is cut.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from ferd.models.preprocess import Crop, Eyes, Relation
from ferd.types import Box, Face, Image, Landmarks

ROUND_UP = 0.25
"""After averaging, the bilinear warp still shrinks by a factor between 0.84 and 1.68."""


class Similarity(NamedTuple):
    """Shift, scale and roll as complex numbers: a point z = x + iy of the image moves to turn * z + shift."""

    turn: complex
    shift: complex

    @property
    def scale(self) -> float:
        return abs(self.turn)


def cut(image: Image, face: Face, crop: Crop, detector: str, size: tuple[int, int]) -> Image:
    """Cut a face out as (height, width[, 3]) uint8; `size` is (width, height).

    Outside the image its edge is repeated.
    """
    relation = crop.relations.get(detector, Relation())
    if face.points and crop.eyes:
        least = crop.least * relation.scale * max(face.box.w, face.box.h)
        transform = _by_eyes(face.points, crop.eyes, least, size)
    else:
        transform = _by_box(face.box, relation, size)
    return _warp(image, transform, size)


def cut_turned(
    image: Image, centre: tuple[float, float], side: float, roll: float, size: int | tuple[int, int]
) -> Image:
    """Cut a rotated part of the image as (height, width[, 3]) uint8, so that what is tilted by `roll` becomes upright.

    Args:
        side: width of the part, in pixels of the image.
        roll: in radians.
        size: (width, height) of the result, or one number for both.
    """
    width, height = (size, size) if isinstance(size, int) else size
    turn = width / max(side, 1e-6) * complex(math.cos(roll), -math.sin(roll))
    transform = Similarity(turn, complex(width, height) / 2 - turn * complex(*centre))
    return _warp(image, transform, (width, height))


def middle_square(image: Image, size: tuple[int, int]) -> Image:
    """Cut the middle square of the whole image as (height, width[, 3]) uint8, as Teachable Machine sees a webcam."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    # Browsers scale bilinearly too, and averaging by an uneven factor takes six times as long.
    method = cv2.INTER_AREA if side > 3 * size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, size, interpolation=method), np.uint8)


def _by_eyes(points: Landmarks, eyes: Eyes, least: float, size: tuple[int, int]) -> Similarity:
    """Move the two eyes to their places in the crop, or only their middle where `least` forbids it."""
    right, left = complex(*points.right_eye), complex(*points.left_eye)
    to_right, to_left = (complex(x * size[0], y * size[1]) for x, y in eyes)
    turn = (to_left - to_right) / ((left - right) or 1)
    if abs(turn) * least > size[0]:
        turn *= size[0] / (abs(turn) * least)
    return Similarity(turn, (to_right + to_left) / 2 - turn * (right + left) / 2)


def _by_box(box: Box, relation: Relation, size: tuple[int, int]) -> Similarity:
    scale = size[0] / (relation.scale * max(box.w, box.h, 1e-6))
    x, y = box.centre
    middle = complex(x + relation.dx * box.w, y + relation.dy * box.h)
    return Similarity(complex(scale), complex(*size) / 2 - scale * middle)


def _warp(image: Image, transform: Similarity, size: tuple[int, int]) -> Image:
    """Warp bilinearly; where that shrinks the face, its surroundings are first averaged down by a power of two.

    Bilinear alone would pick single pixels of a large face (aliasing), which no training image shows.
    """
    factor = 2 ** max(0, math.floor(math.log2(1 / max(transform.scale, 1e-6)) + ROUND_UP))
    if factor > 1:
        image, corner = _shrunk(image, transform, size, factor)
        transform = Similarity(transform.turn * factor, transform.turn * corner + transform.shift)
    # OpenCV counts from the centre of the first pixel, we from its corner: half a pixel on either side.
    turn, shift = transform.turn, transform.shift + (transform.turn - 1) * (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.uint8)


def _shrunk(image: Image, transform: Similarity, size: tuple[int, int], factor: int) -> tuple[Image, complex]:
    """Return the part of the image that the crop covers, `factor` times smaller, and where its corner lies."""
    width, height = size
    corners = [(complex(x, y) - transform.shift) / transform.turn for x in (0, width) for y in (0, height)]
    across, down = [z.real for z in corners], [z.imag for z in corners]
    left, columns = _span(min(across), max(across), image.shape[1], factor)
    top, rows = _span(min(down), max(down), image.shape[0], factor)
    part = image[top : top + rows * factor, left : left + columns * factor]
    while factor > 1:  # by halves: OpenCV averages 2x2 pixels far quicker than blocks of any other size
        factor //= 2
        smaller = cv2.resize(part, (columns * factor, rows * factor), interpolation=cv2.INTER_AREA)
        part = np.asarray(smaller, np.uint8)
    return part, complex(left, top)


def _span(first: float, last: float, length: int, factor: int) -> tuple[int, int]:
    """Return the begin and number of blocks of `factor` pixels that hold first to last, inside 0 to length.

    A range outside of the image still gets one block at the image's edge, which is then repeated.
    """
    begin = int(min(max(first - 2 * factor, 0), max(length - factor, 0)))
    return begin, max(1, (int(min(last + 2 * factor, length)) - begin) // factor)
