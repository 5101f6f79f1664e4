"""Where a FER2013 tile lies on a face, so that ferd cuts in use as the tiles were cut.

A crop is a square: centre = box centre + (dx * w, dy * h), side = scale * max(w, h), with the
box (x, y, w, h) of a detector. Points are in units of the tile's side, 0 to 1 from its top left.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.models.preprocess import Crop, Relation
from training.data import SIDE, load_ferplus

TILES_MEASURED = 1200
ZOOM = 4
PAD = 64  # pixels of the zoomed picture: detectors want some room around a face
POINTS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")


# Rounded from measure() over 1,200 train tiles. YuNet's cut holds on press photos too; there
# Haar, which sees no background around a tile, needs a slightly wider and lower square.
CROP = Crop(
    eyes=((0.319, 0.379), (0.681, 0.379)),  # right eye, left eye, made symmetric
    least=0.85,  # of the side that the box gives: the least side of a cut by the eyes
    relations={
        "face": Relation(0.0, 0.01, 0.99),  # its boxes are in YuNet's form
        "haar": Relation(0.0, 0.02, 1.08),
        "yunet": Relation(0.0, 0.01, 0.99),
    },
)


def yunet(folder: Path, size: tuple[int, int], threshold: float = 0.7) -> cv2.FaceDetectorYN:
    model = next((folder / "yunet").glob("*.onnx"))
    return cv2.FaceDetectorYN.create(str(model), "", size, threshold)


def largest(faces: NDArray[np.float32] | None) -> NDArray[np.float64] | None:
    """The row of the largest face, if any."""
    if faces is None or len(faces) == 0:
        return None
    rows = np.asarray(faces, dtype=np.float64)
    return rows[(rows[:, 2] * rows[:, 3]).argmax()]


def measure(tiles: NDArray[np.uint8], folder: Path) -> dict[str, Any]:
    """Mean points and the cuts of both detectors over these tiles."""
    side = SIDE * ZOOM + 2 * PAD
    net = yunet(folder, (side, side))
    haar = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    points, boxes, haar_boxes = [], [], []
    for tile in tiles:
        large = cv2.resize(tile, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
        large = cv2.copyMakeBorder(large, PAD, PAD, PAD, PAD, cv2.BORDER_REPLICATE)
        face = largest(net.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))[1])
        if face is not None:
            points.append(_in_tile(face[4:14].reshape(5, 2)))
            boxes.append(_box_in_tile(face[:4]))
        hit = largest(haar.detectMultiScale(large, 1.05, 4, minSize=(80, 80)))
        if hit is not None:
            haar_boxes.append(_box_in_tile(hit[:4]))
    where = np.median(points, axis=0)
    return {
        "eyes": [[round(float(v), 3) for v in where[0]], [round(float(v), 3) for v in where[1]]],
        "mouth": [round(float(v), 3) for v in where[3:].mean(axis=0)],
        "points": dict(zip(POINTS, where.round(3).tolist(), strict=True)),
        "spread": dict(zip(POINTS, np.std(points, axis=0).round(3).tolist(), strict=True)),
        "haar": _cut(np.array(haar_boxes)),
        "yunet": _cut(np.array(boxes)),
        "n": {"tiles": len(tiles), "yunet": len(boxes), "haar": len(haar_boxes)},
    }


def print_measured(folder: Path) -> None:
    """What the constants above were rounded from."""
    fer = load_ferplus(folder)
    tiles = fer.tiles[~fer.validation]
    picked = np.random.default_rng(1).choice(len(tiles), TILES_MEASURED, replace=False)
    print(json.dumps(measure(tiles[picked], folder), indent=2))


def _in_tile(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return (points - PAD) / (SIDE * ZOOM)


def _box_in_tile(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([_in_tile(box[:2]), box[2:4] / (SIDE * ZOOM)])


def _cut(boxes: NDArray[np.float64]) -> dict[str, float]:
    """The median box, seen from the other side: the tile in units of the box."""
    x, y, w, h = boxes.T
    return {
        "dx": round(float(np.median((0.5 - (x + w / 2)) / w)), 3),
        "dy": round(float(np.median((0.5 - (y + h / 2)) / h)), 3),
        "scale": round(float(np.median(1 / np.maximum(w, h))), 3),
    }
