"""Scenes to train the detector on: one picture turned and scaled, mosaics of several, rooms without a face.

97 of 100 heads in the pictures are upright and few are small: turning, scaling and mosaics make up for it. Rooms and
things are few (610), so they are turned upside down and inside out as well, and those that look like a face come
more often.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.vision.detectors.ferd import PLACE_UNIT, SIZE_UNIT, grid
from training.face_degrade import degrade
from training.face_net import HEIGHT, WIDTH
from training.face_teacher import Gray, Labelled

CELLS = grid((WIDTH, HEIGHT))
RANGES = {8: (0.0, 56.0), 16: (42.0, 120.0), 32: (92.0, 1e9)}  # longer sides that a grid answers for, pixels
_OF_STRIDE = [CELLS[:, 2] == stride for stride in RANGES]
LEAST, MOST = (np.select(_OF_STRIDE, [span[end] for span in RANGES.values()]) for end in (0, 1))
SMALLEST = 13.0  # below: neither a face nor none
FLIPPED = [1, 0, 2, 4, 3]
Floats = NDArray[np.float32]


@dataclass
class Scene:
    picture: Gray
    boxes: Floats  # (n, 4) x y w h
    points: Floats  # (n, 5, 2)
    ignored: NDArray[np.bool_]  # (n,) too small or cut off: no loss there


class Pool:
    """Pictures to draw from, each as often as it weighs."""

    def __init__(self, pictures: list[Labelled], weights: list[float]) -> None:
        self._pictures = pictures
        self._steps = np.cumsum(weights)

    def draw(self, rng: np.random.Generator) -> Labelled:
        return self._pictures[int(np.searchsorted(self._steps, rng.uniform(0, self._steps[-1]), "right"))]


@dataclass(frozen=True)
class Mix:
    """Shares: of scenes that show one picture with faces, and several of them (the rest shows none); among scenes of
    one picture, of those that are letterboxed as in use."""

    single: float
    mosaic: float
    boxed: float


EARLY, LATE = Mix(0.33, 0.45, 0.0), Mix(0.38, 0.27, 0.5)
"""First many faces of all sizes; then more pictures as they are met in use."""


def make(faces: Pool, empty: Pool, mix: Mix, rng: np.random.Generator) -> Scene:
    kind = rng.random()
    with_faces = kind < mix.single + mix.mosaic
    whole = kind < mix.single or (not with_faces and rng.random() < 0.5)
    areas = [(0, 0, WIDTH, HEIGHT)] if whole else list(_mosaic(rng))
    if whole and rng.random() < mix.boxed:
        part = _letterboxed(faces.draw(rng) if with_faces else _disguised(empty.draw(rng), rng), rng)
        part.picture = degrade(part.picture, rng)
        return part
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    parts = []
    for x, y, w, h in areas:
        if with_faces and (len(areas) == 1 or rng.random() < 0.8):
            source = faces.draw(rng)
        else:
            source = _disguised(empty.draw(rng), rng)
        behind = empty.draw(rng).grays[0] if rng.random() < 0.6 else None
        part = _place(source, (w, h), behind, rng)
        canvas[y : y + h, x : x + w] = part.picture
        part.boxes[:, :2] += (x, y)
        part.points += (x, y)
        parts.append(part)
    if len(areas) == 1 and rng.random() < 0.3:  # the black bar of other shapes
        canvas[HEIGHT - 16 :] = 0
    return Scene(
        degrade(canvas, rng),
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.ignored for p in parts]),
    )


def _disguised(empty: Labelled, rng: np.random.Generator) -> Labelled:
    """Upside down, on its side, as a negative: no face in any of them."""
    gray = empty.grays[0 if rng.random() < 0.6 else 1]
    if rng.random() < 0.3:
        gray = np.rot90(gray, int(rng.integers(1, 4)))
    if rng.random() < 0.15:
        gray = 255 - gray
    gray = np.ascontiguousarray(gray)
    return replace(empty, grays=(gray, gray))


def _mosaic(rng: np.random.Generator) -> Iterator[tuple[int, int, int, int]]:
    """Two to nine areas that fill the picture."""
    columns, rows = ((2, 1), (2, 2), (3, 2), (3, 3), (1, 2))[rng.integers(5)]
    xs = [0, *(int((i + rng.uniform(-0.15, 0.15)) * WIDTH / columns) for i in range(1, columns)), WIDTH]
    ys = [0, *(int((i + rng.uniform(-0.15, 0.15)) * HEIGHT / rows) for i in range(1, rows)), HEIGHT]
    for x, x2 in pairwise(xs):
        for y, y2 in pairwise(ys):
            yield x, y, x2 - x, y2 - y


def _place(source: Labelled, size: tuple[int, int], behind: Gray | None, rng: np.random.Generator) -> Scene:
    """The picture, turned, scaled and shifted into an area of `size`; what it leaves free shows another or black."""
    gray = source.grays[0 if rng.random() < 0.75 else 1]
    height, width = gray.shape
    boxes = source.boxes
    fits = min(size[0] / width, size[1] / height)
    centre = np.array([width / 2, height / 2])
    if len(boxes):
        chosen = boxes[rng.integers(len(boxes))]
        longest = min(size) * 1.05
        # Half of the faces are small: those are the hard ones, and rare in the pictures.
        wanted = math.exp(rng.uniform(math.log(15), math.log(40.0 if rng.random() < 0.5 else max(40.0, longest))))
        if rng.random() < 0.25:
            scale = fits * rng.uniform(0.85, 1.1)
        else:
            scale = min(max(wanted / max(chosen[2:]), 0.1 * fits), 3.5 * fits)
        if rng.random() < 0.8:
            centre = chosen[:2] + chosen[2:] / 2
    else:
        scale = fits * rng.uniform(0.85, 1.1)
        if rng.random() < 0.5:
            scale = fits * math.exp(rng.uniform(-0.3, 1.4))
            centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    angle = _roll(rng)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = scale * np.array([[math.cos(angle) * flip, -math.sin(angle)], [math.sin(angle) * flip, math.cos(angle)]])
    half = scale * (max(chosen[2:]) / 2 if len(boxes) else 0.0)
    room = np.maximum(np.array(size) / 2 - half * 0.8, np.array(size) * 0.05)
    goal = np.array(size) / 2 + rng.uniform(-1, 1, 2) * room
    matrix = np.column_stack([turn, goal - turn @ centre])
    picture = _warp(gray, matrix, scale, size)
    if behind is not None:
        mask = cv2.warpAffine(np.full(gray.shape, 255, np.uint8), matrix, size)
        back = cv2.resize(behind, size, interpolation=cv2.INTER_AREA)
        picture = np.where(mask > 0, picture, back)
    return Scene(picture, *_moved(source, matrix, angle, scale, flip, size))


def _letterboxed(source: Labelled, rng: np.random.Generator) -> Scene:
    """The whole picture in the top left corner, or its mirror image, as the detector will see it."""
    gray = source.grays[0 if rng.random() < 0.75 else 1]
    scale = min(WIDTH / gray.shape[1], HEIGHT / gray.shape[0])
    flip = -1.0 if rng.random() < 0.5 else 1.0
    shift = gray.shape[1] * scale if flip < 0 else 0.0
    matrix = np.array([[scale * flip, 0, shift], [0, scale, 0]])
    size = WIDTH, HEIGHT
    return Scene(_warp(gray, matrix, scale, size), *_moved(source, matrix, 0.0, scale, flip, size))


def _roll(rng: np.random.Generator) -> float:
    """Radians: most upright or nearly so, three in ten tilted by up to 45 degrees, one in twelve at any angle."""
    kind = rng.random()
    if kind < 0.62:
        return math.radians(float(np.clip(rng.normal(0, 8), -40, 40))) if kind > 0.28 else 0.0
    return math.radians(float(rng.uniform(-45, 45) if kind < 0.92 else rng.uniform(-180, 180)))


def _warp(gray: Gray, matrix: NDArray[np.float64], scale: float, size: tuple[int, int]) -> Gray:
    """Averaged down first where it shrinks by more than a third: a bilinear warp alone would alias."""
    if scale < 0.67:
        small = cv2.resize(gray, None, fx=scale * 1.2, fy=scale * 1.2, interpolation=cv2.INTER_AREA)
        factor = np.array([gray.shape[1] / small.shape[1], gray.shape[0] / small.shape[0]])
        matrix = np.column_stack([matrix[:, :2] * factor, matrix[:, 2]])
        gray = small
    shifted = matrix.copy()
    shifted[:, 2] += shifted[:, :2] @ (0.5, 0.5) - 0.5
    return np.asarray(cv2.warpAffine(gray, shifted, size, flags=cv2.INTER_LINEAR), np.uint8)


def _moved(
    source: Labelled, matrix: NDArray[np.float64], angle: float, scale: float, flip: float, size: tuple[int, int]
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Boxes, points and which to ignore. A turned box is the upright box around the turned ellipse in the old one."""
    boxes, points = source.boxes, source.points
    half = boxes[:, 2:] / 2 * scale
    centres = (boxes[:, :2] + boxes[:, 2:] / 2) @ matrix[:, :2].T + matrix[:, 2]
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    new_half = np.column_stack(
        [np.hypot(half[:, 0] * cos, half[:, 1] * sin), np.hypot(half[:, 0] * sin, half[:, 1] * cos)]
    )
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    if flip < 0:
        moved = moved[:, FLIPPED]
    low, high = centres - new_half, centres + new_half
    seen = np.prod(np.clip(np.minimum(high, size) - np.maximum(low, 0), 0, None), axis=1) / np.prod(
        np.maximum(high - low, 1e-3), axis=1
    )
    inside = seen > 0.1
    ignored = source.doubted | (seen < 0.6) | (np.max(high - low, axis=1) < SMALLEST)
    new = np.column_stack([low, high - low])
    return new[inside].astype(np.float32), moved[inside].astype(np.float32), ignored[inside]


def targets(scene: Scene) -> Floats:
    """(cells, 16): 1 face, 0 none, -1 no loss; box and points as the net says them; the longer side in pixels.

    A face is asked of the cells in the middle of its box, and at least of the one to four nearest to its centre.
    """
    out = np.zeros((len(CELLS), 16), np.float32)
    nearest = np.full(len(CELLS), np.inf, np.float32)
    for box, points, ignored in zip(scene.boxes, scene.points, scene.ignored, strict=True):
        longest = float(box[2:].max())
        middle = box[:2] + box[2:] / 2
        off = CELLS[:, :2] - middle
        away = off / box[2:]
        far = np.sqrt(away[:, 0] ** 2 + away[:, 1] ** 2)
        if ignored:
            out[(far < 0.6) & (out[:, 0] == 0), 0] = -1
            continue
        cell_off = np.abs(off).max(axis=1) / CELLS[:, 2]
        mine = (longest >= LEAST) & (longest < MOST)
        hit = mine & ((far < 0.2) | (cell_off <= 0.7))
        near = ~hit & ((far < 0.34) | (mine & (cell_off <= 1.0))) & (out[:, 0] != 1)
        out[near, 0] = -1
        hit &= far < nearest
        nearest[hit] = far[hit]
        s = CELLS[hit, 2:]
        out[hit, 0] = 1
        out[hit, 1:3] = -off[hit] / (s * PLACE_UNIT)
        out[hit, 3:5] = np.log(box[2:] / (s * SIZE_UNIT)) * SIZE_UNIT
        out[hit, 5:15] = (points.reshape(1, 10) - np.tile(CELLS[hit, :2], 5)) / (s * PLACE_UNIT)
        out[hit, 15] = longest
    return out
