"""Pictures with faces and without, in memory, and which of them are held back."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.sources import YUNET, Source

NEEDED = (
    Source("faces.jsonl", "boxes and points of the faces, YuNet's, checked by eye on samples"),
    Source("faces", "the pictures of faces.jsonl"),
    Source("no_faces", "pictures without a face: rooms, things, nature"),
    Source("yunet", YUNET.origin, needed=False),
)
HELD_PARTS = 6  # one group in so many is kept for validation
HELD_EMPTY = 3  # one picture without a face in so many
Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """`grays`: the picture as luma and as its red channel (what infrared comes nearest to), each (H, W).

    `boxes` (n, 4): x, y, w, h; `points` (n, 5, 2), in pixels.
    """

    file: str
    grays: tuple[Gray, Gray]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    faces: list[Labelled]
    empty: list[Labelled]
    held_faces: list[dict[str, Any]]  # rows of faces.jsonl
    held_empty: list[Path]


def load(folder: Path) -> Data:
    rows = [json.loads(line) for line in (folder / "faces.jsonl").read_text(encoding="utf-8").splitlines()]
    held = [row for row in rows if _aside(person(row["file"]), HELD_PARTS)]
    empty = sorted((folder / "no_faces").glob("*.jpg"))
    held_empty = [file for file in empty if _aside(file.name, HELD_EMPTY)]
    none = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
    return Data(
        [_labelled(folder, row) for row in rows if row not in held],
        [Labelled(file.name, _grays(file), *none) for file in empty if file not in held_empty],
        held,
        held_empty,
    )


def person(file: str) -> str:
    """The group of a picture: one name where many pictures show the same person, else its own."""
    stem = Path(file).stem
    if stem.startswith(("p1_keypoints", "p2_keypoints", "p3_keypoints")):
        return re.sub(r"^p\d_keypoints_|_\d+$", "", stem)
    if match := re.match(r"nomask_chandrika_\d+_\d+_(\w+)_\d+$", stem):
        return match.group(1)
    return stem


def _aside(name: str, parts: int) -> bool:
    return zlib.crc32(name.encode()) % parts == 0


def _labelled(folder: Path, row: dict[str, Any]) -> Labelled:
    boxes = np.array([face["box"] for face in row["faces"]], np.float32).reshape(-1, 4)
    points = np.array([face["points"] for face in row["faces"]], np.float32).reshape(-1, 5, 2)
    return Labelled(row["file"], _grays(folder / row["file"]), boxes, points)


def _grays(file: Path) -> tuple[Gray, Gray]:
    picture = cv2.imread(str(file))
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), np.ascontiguousarray(picture[:, :, 2])
