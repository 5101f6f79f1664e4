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
from numpy.typing import NDArray

from ferd.data import Box, Face, Picture, Points

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


def cut(picture: Picture, face: Face, crop: Crop, detector: str, size: tuple[int, int]) -> Picture:
    """The face as (height, width[, 3]) uint8, `size` = (width, height). Outside the picture its edge is repeated."""
    relation = crop.relations.get(detector, Relation())
    if face.points and crop.eyes:
        least = crop.least * relation.scale * max(face.box.w, face.box.h)
        matrix = _by_eyes(face.points, crop.eyes, least, size)
    else:
        matrix = _by_box(face.box, relation, size)
    return _warp(picture, matrix, size)


def _by_eyes(points: Points, eyes: Eyes, least: float, size: tuple[int, int]) -> NDArray[np.float64]:
    """2x3 similarity that takes the two eyes to their places in the crop, or their middle where `least` forbids it."""
    right, left = complex(*points.right_eye), complex(*points.left_eye)
    to_right, to_left = (complex(x * size[0], y * size[1]) for x, y in eyes)
    turn = (to_left - to_right) / ((left - right) or 1)  # rotation and scale as one complex factor
    if abs(turn) * least > size[0]:
        turn *= size[0] / (abs(turn) * least)
    shift = (to_right + to_left) / 2 - turn * (right + left) / 2
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _by_box(box: Box, relation: Relation, size: tuple[int, int]) -> NDArray[np.float64]:
    side = relation.scale * max(box.w, box.h)
    left = box.x + box.w / 2 + relation.dx * box.w - side / 2
    top = box.y + box.h / 2 + relation.dy * box.h - side / 2
    sx, sy = size[0] / side, size[1] / side
    return np.array([[sx, 0.0, -left * sx], [0.0, sy, -top * sy]])


def _warp(picture: Picture, matrix: NDArray[np.float64], size: tuple[int, int]) -> Picture:
    """Bilinear warp; where it makes the face smaller, its surroundings are first averaged down by a whole factor.

    Bilinear alone would pick single pixels of a large face (aliasing), which no training picture shows.
    """
    shrink = 1 / max(math.hypot(matrix[0, 0], matrix[1, 0]), 1e-6)
    factor = max(round(shrink), 1)
    if factor > 1:
        picture, left, top = _shrunk(picture, matrix, size, factor)
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (left, top)
        matrix[:, :2] *= factor
    # OpenCV counts from the centre of the first pixel, we from its corner: half a pixel on either side.
    matrix = matrix + np.array([[0, 0, matrix[0, 0] / 2 + matrix[0, 1] / 2 - 0.5],
                                [0, 0, matrix[1, 0] / 2 + matrix[1, 1] / 2 - 0.5]])  # fmt: skip
    crop = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.uint8)


def _shrunk(
    picture: Picture, matrix: NDArray[np.float64], size: tuple[int, int], factor: int
) -> tuple[Picture, int, int]:
    """The part of the picture that the crop sees, `factor` times smaller; and its left and top in the picture."""
    back = cv2.invertAffineTransform(matrix)
    corners = back[:, :2] @ np.array([[0, size[0], 0, size[0]], [0, 0, size[1], size[1]]]) + back[:, 2:]
    height, width = picture.shape[:2]
    # A part that lies outside still has one row of the picture's edge, which is then repeated.
    left = int(min(max(corners[0].min() - 2 * factor, 0), max(width - factor, 0)))
    top = int(min(max(corners[1].min() - 2 * factor, 0), max(height - factor, 0)))
    columns = max(1, int(min(corners[0].max() + 2 * factor, width) - left) // factor)
    rows = max(1, int(min(corners[1].max() + 2 * factor, height) - top) // factor)
    part = picture[top : top + rows * factor, left : left + columns * factor]
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8), left, top
