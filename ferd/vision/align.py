"""Cuts a face out of a picture in the way in which the model saw faces in training.

With landmarks the eyes are put where they lie in the training pictures (a similarity transform: shift, scale,
roll). Without them a square is taken in a fixed relation to the detector's box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np

from ferd.types import Box, Face, Image, Landmarks

ROUND_UP = 0.25
"""What is left for the bilinear warp after averaging is between 0.84 and 1.68 pixels for one."""

Eyes = tuple[tuple[float, float], tuple[float, float]]


class Relation(NamedTuple):
    """Where the square lies: its centre is the box's centre + (dx * w, dy * h), its side is scale * max(w, h)."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Crop:
    """How a model wants its faces cut. `eyes`: where the subject's right and left eye lie, in units of the side.

    `least`: the least side of a cut by the eyes, in units of the side that the box would give: the eyes of a turned
    head lie close together, and their distance alone would cut into the face. `relations`: by detector name.
    """

    eyes: Eyes | None = None
    least: float = 0.0
    relations: Mapping[str, Relation] = field(default_factory=dict)

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Crop:
        """From the `crop` of a model card. Raises KeyError, TypeError or ValueError when it is malformed."""
        relations = {
            name: Relation(float(r["dx"]), float(r["dy"]), float(r["scale"]))
            for name, r in card.items()
            if isinstance(r, Mapping)
        }
        eyes = card.get("eyes")
        if not eyes:
            return cls(relations=relations)
        (rx, ry), (lx, ly) = eyes
        return cls(((float(rx), float(ry)), (float(lx), float(ly))), float(card.get("least", 0.0)), relations)

    def to_card(self) -> dict[str, Any]:
        """What `from_card` reads."""
        card: dict[str, Any] = {name: dict(r._asdict()) for name, r in self.relations.items()}
        return {"eyes": [list(eye) for eye in self.eyes], "least": self.least} | card if self.eyes else card


class Similarity(NamedTuple):
    """Shift, scale and roll as complex numbers: a point z = x + iy of the picture lies at turn * z + shift."""

    turn: complex
    shift: complex

    @property
    def scale(self) -> float:
        return abs(self.turn)


def cut(picture: Image, face: Face, crop: Crop, detector: str, size: tuple[int, int]) -> Image:
    """The face as (height, width[, 3]) uint8, `size` = (width, height). Outside the picture its edge is repeated."""
    relation = crop.relations.get(detector, Relation())
    if face.points and crop.eyes:
        least = crop.least * relation.scale * max(face.box.w, face.box.h)
        way = _by_eyes(face.points, crop.eyes, least, size)
    else:
        way = _by_box(face.box, relation, size)
    return _warp(picture, way, size)


def cut_turned(
    picture: Image, centre: tuple[float, float], side: float, roll: float, size: int | tuple[int, int]
) -> Image:
    """A part of the picture as (height, width[, 3]) uint8, turned so that what is tilted by `roll` radians stands.

    `size`: (width, height), or one number for both; `side`: how many pixels of the picture the width is.
    """
    width, height = (size, size) if isinstance(size, int) else size
    turn = width / max(side, 1e-6) * complex(math.cos(roll), -math.sin(roll))
    way = Similarity(turn, complex(width, height) / 2 - turn * complex(*centre))
    return _warp(picture, way, (width, height))


def middle_square(picture: Image, size: tuple[int, int]) -> Image:
    """The middle square of the whole picture as (height, width[, 3]) uint8, as Teachable Machine sees a webcam."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    # Browsers scale bilinearly too, and averaging by an uneven factor takes six times as long.
    method = cv2.INTER_AREA if side > 3 * size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, size, interpolation=method), np.uint8)


def _by_eyes(points: Landmarks, eyes: Eyes, least: float, size: tuple[int, int]) -> Similarity:
    """Takes the two eyes to their places in the crop, or only their middle where `least` forbids it."""
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


def _warp(picture: Image, way: Similarity, size: tuple[int, int]) -> Image:
    """Bilinear warp; where it makes the face smaller, its surroundings are first averaged down by a power of two.

    Bilinear alone would pick single pixels of a large face (aliasing), which no training picture shows.
    """
    factor = 2 ** max(0, math.floor(math.log2(1 / max(way.scale, 1e-6)) + ROUND_UP))
    if factor > 1:
        picture, corner = _shrunk(picture, way, size, factor)
        way = Similarity(way.turn * factor, way.turn * corner + way.shift)
    # OpenCV counts from the centre of the first pixel, we from its corner: half a pixel on either side.
    turn, shift = way.turn, way.shift + (way.turn - 1) * (0.5 + 0.5j)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    crop = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.uint8)


def _shrunk(picture: Image, way: Similarity, size: tuple[int, int], factor: int) -> tuple[Image, complex]:
    """The part of the picture that the crop sees, `factor` times smaller; and where its corner lies in the picture."""
    width, height = size
    corners = [(complex(x, y) - way.shift) / way.turn for x in (0, width) for y in (0, height)]
    across, down = [z.real for z in corners], [z.imag for z in corners]
    left, columns = _span(min(across), max(across), picture.shape[1], factor)
    top, rows = _span(min(down), max(down), picture.shape[0], factor)
    part = picture[top : top + rows * factor, left : left + columns * factor]
    while factor > 1:  # by halves: OpenCV averages 2x2 pixels far quicker than blocks of any other size
        factor //= 2
        smaller = cv2.resize(part, (columns * factor, rows * factor), interpolation=cv2.INTER_AREA)
        part = np.asarray(smaller, np.uint8)
    return part, complex(left, top)


def _span(first: float, last: float, length: int, factor: int) -> tuple[int, int]:
    """Begin and number of blocks of `factor` pixels that hold first to last, inside 0 to length.

    What lies outside still has one block of the picture's edge, which is then repeated.
    """
    begin = int(min(max(first - 2 * factor, 0), max(length - factor, 0)))
    return begin, max(1, (int(min(last + 2 * factor, length)) - begin) // factor)
