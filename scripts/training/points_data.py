"""Faces as tiles with their five points: what the points model learns from.

The teacher looks once more at each face, enlarged: its points are truest where a face is some 150 pixels wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from training.face_teacher import Labelled

TILE = 128  # pixels; the face takes 1 / AROUND of it
AROUND = 2.2  # in units of the box's longer side: room to turn, shift and zoom
LOOK = 320  # pixels of the enlarged face's surroundings, as the teacher sees them
LEAST = 30  # pixels: smaller faces tell nothing about points
SURE = 0.75
DRIVERS = 4.0  # drawn so many times as often: turned, yawning, in glasses, and few


@dataclass(frozen=True)
class Tiles:
    """`pixels` (n, TILE, TILE) uint8; `points` (n, 5, 2) in pixels of the tile; `sizes` (n,): the box's longer side."""

    pixels: Tensor
    points: Tensor
    sizes: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def tiles(faces: list[Labelled], folder: Path) -> Tiles:
    net = cv2.FaceDetectorYN.create(str(next((folder / "yunet").glob("*.onnx"))), "", (LOOK, LOOK), SURE)
    pixels, points, sizes, weights = [], [], [], []
    for picture in tqdm(faces, "points", mininterval=5):
        for box in picture.boxes[~picture.doubted]:
            if max(box[2:]) >= LEAST and (found := _look(net, picture.grays[0], box)) is not None:
                pixels.append(found[0])
                points.append(found[1])
                sizes.append(found[2])
                weights.append(DRIVERS if "drivers" in picture.file else picture.weight)
    return Tiles(
        torch.from_numpy(np.stack(pixels)),
        torch.from_numpy(np.stack(points)),
        torch.tensor(sizes, dtype=torch.float32),
        torch.tensor(weights, dtype=torch.float64),
    )


def _look(
    net: cv2.FaceDetectorYN, gray: NDArray[np.uint8], box: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], float] | None:
    """Tile, points and size of one face; None where the teacher, close up, is not sure of it."""
    near = _cut(gray, box, LOOK)
    seen = net.detect(cv2.cvtColor(near, cv2.COLOR_GRAY2BGR))[1]
    if seen is None:
        return None
    off = np.hypot(*(seen[:, :2] + seen[:, 2:4] / 2 - LOOK / 2).T)
    row = seen[int(off.argmin())]
    if off.min() > 0.35 * LOOK / AROUND or max(row[2:4]) < LOOK / AROUND / 2:
        return None
    tile = _cut(near, row[:4], TILE)
    scale = TILE / (AROUND * max(row[2:4]))
    middle = row[:2] + row[2:4] / 2
    return tile, ((row[4:14].reshape(5, 2) - middle) * scale + TILE / 2).astype(np.float32), TILE / AROUND


def _cut(gray: NDArray[np.uint8], box: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """A square of `side` pixels around the box, AROUND times as wide as its longer side."""
    scale = side / (AROUND * max(box[2:4]))
    if scale < 0.67:  # averaged down first: a bilinear warp alone would alias
        factor = scale * 1.2
        gray = np.asarray(cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        box, scale = box * factor, scale / factor
    x, y = box[:2] + box[2:4] / 2
    matrix = np.array([[scale, 0, side / 2 - scale * x], [0, scale, side / 2 - scale * y]])
    return np.asarray(cv2.warpAffine(gray, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)
