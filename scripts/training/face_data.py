"""Pictures with faces and without, in memory, and which of them are held back.

The boxes of faces.jsonl are YuNet's, but some hundred of them lie beside the face by up to half its width (they
belong to a picture that was shifted). So the teacher looks again: see `looked_at_again`.
"""

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
from tqdm import tqdm

from ferd.data import Box, Face, Points
from ferd.face import score

HELD_PARTS = 6  # one group in so many is kept for validation
HELD_EMPTY = 3  # one picture without a face in so many
UNSURE, SURE = 0.5, 0.75  # the teacher's score: below the first it says nothing, from the second on it is believed
AGREE, NEAR = 0.75, 0.06  # overlap, point error
LARGE = 480  # pixels, longer side
Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Labelled:
    """`grays`: the picture as luma and as its red channel (what infrared comes nearest to), each (H, W).

    `boxes` (n, 4): x, y, w, h; `points` (n, 5, 2), in pixels; `doubted` (n,): perhaps a face, perhaps not.
    """

    file: str
    grays: tuple[Gray, Gray]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    doubted: NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    faces: list[Labelled]
    empty: list[Labelled]
    held_faces: list[dict[str, Any]]  # rows of faces.jsonl
    held_empty: list[Path]
    held_again: list[list[Face]]  # the held faces as the teacher sees them now


def load(folder: Path) -> Data:
    rows = [json.loads(line) for line in (folder / "faces.jsonl").read_text(encoding="utf-8").splitlines()]
    held = [row for row in rows if _aside(person(row["file"]), HELD_PARTS)]
    empty = sorted((folder / "no_faces").glob("*.jpg"))
    held_empty = [file for file in empty if _aside(file.name, HELD_EMPTY)]
    teacher = Teacher(folder)
    photos = [f for f in sorted((folder / "photos").glob("*/*.jpg")) if not _aside(re.sub(r"[_\d]+$", "", f.stem), 8)]
    none = _arrays([])
    return Data(
        [_labelled(folder, row, teacher) for row in tqdm(rows, "teacher", mininterval=5) if row not in held]
        + [teacher.photo(file) for file in tqdm(photos, "photos", mininterval=5)],
        [Labelled(file.name, _grays(file), *none) for file in empty if file not in held_empty],
        held,
        held_empty,
        [[face for face, doubted in teacher(folder, row) if not doubted] for row in held],
    )


class Teacher:
    """YuNet on the whole picture at its own size, large pictures (with small faces) enlarged somewhat."""

    def __init__(self, folder: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(str(next((folder / "yunet").glob("*.onnx"))), "", (320, 320), UNSURE)

    def __call__(self, folder: Path, row: dict[str, Any]) -> list[tuple[Face, bool]]:
        picture = cv2.imread(str(folder / row["file"]))
        if picture is None:
            raise ValueError(f"{folder / row['file']} is not a picture that OpenCV can read")
        return looked_at_again(score.true_faces(row), self._look(picture, 1.25 if max(picture.shape) >= LARGE else 1.0))

    def photo(self, file: Path) -> Labelled:
        """A press photo of one face, cut rather tightly."""
        grays = _grays(file)
        edge = max(grays[0].shape) // 3
        wide = cv2.copyMakeBorder(cv2.imread(str(file)), edge, edge, edge, edge, cv2.BORDER_REPLICATE)
        seen = [(_shifted(face, -edge), face.score < SURE) for face in self._look(wide, 1.5)]
        return Labelled(str(file), grays, *_arrays(seen))

    def _look(self, picture: NDArray[np.uint8], zoom: float) -> list[Face]:
        if zoom > 1:
            picture = np.asarray(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), np.uint8)
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        found = self._net.detect(picture)[1]
        return [] if found is None else [_face(values, 1 / zoom) for values in found]


def _shifted(face: Face, by: float) -> Face:
    x, y, w, h = face.box
    assert face.points
    return Face(Box(x + by, y + by, w, h), Points(*((px + by, py + by) for px, py in face.points)), face.score)


def looked_at_again(told: list[Face], seen: list[Face]) -> list[tuple[Face, bool]]:
    """The faces to learn from, each with whether to doubt it.

    What the file tells holds where the teacher agrees; where both lie apart, what the teacher sees now holds. A
    face that only one of them knows is doubted, unless the teacher is sure of it now.
    """
    out = []
    left = list(told)
    for face in seen:
        same = max(left, key=lambda t: t.box.overlap(face.box), default=None)
        if same is not None and same.box.overlap(face.box) > 0.25:
            left.remove(same)
            agree = same.box.overlap(face.box) > AGREE and score.point_error(same.points, face.points, face.box) < NEAR
            out.append((same if agree else face, False))
        else:
            out.append((face, face.score < SURE))
    return out + [(face, True) for face in left]


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


def _labelled(folder: Path, row: dict[str, Any], teacher: Teacher) -> Labelled:
    return Labelled(row["file"], _grays(folder / row["file"]), *_arrays(teacher(folder, row)))


def _arrays(faces: list[tuple[Face, bool]]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    boxes = np.array([face.box for face, _ in faces], np.float32).reshape(-1, 4)
    points = np.array([face.points for face, _ in faces], np.float32).reshape(-1, 5, 2)
    return boxes, points, np.array([doubted for _, doubted in faces], bool)


def _face(values: NDArray[np.float32], factor: float) -> Face:
    """A row of YuNet's, scaled."""
    x, y, w, h, *places = (float(v) * factor for v in values[:14])
    return Face(Box(x, y, w, h), Points(*zip(places[::2], places[1::2], strict=True)), float(values[14]))


def _grays(file: Path) -> tuple[Gray, Gray]:
    picture = cv2.imread(str(file))
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8), np.ascontiguousarray(picture[:, :, 2])
