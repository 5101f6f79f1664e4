"""YuNet, the teacher: what it sees in a picture, also in one that lies on its side, and what to believe of it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.types import Box, Face, Landmarks
from ferd.vision import score

UNSURE, SURE = 0.5, 0.75  # the teacher's score: below the first it says nothing, from the second on it is believed
AGREE, NEAR = 0.75, 0.06  # overlap, point error
LARGE = 480  # pixels, longer side
Gray = NDArray[np.uint8]
Doubted = list[tuple[Face, bool]]


@dataclass(frozen=True)
class Labelled:
    """`grays`: the picture as luma and as its red channel (what infrared comes nearest to), each (H, W).

    `boxes` (n, 4): x, y, w, h; `points` (n, 5, 2), in pixels; `doubted` (n,): perhaps a face, perhaps not; `weight`:
    how often it is drawn.
    """

    file: str
    grays: tuple[Gray, Gray]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    doubted: NDArray[np.bool_]
    weight: float = 1.0


def labelled(file: str, picture: NDArray[np.uint8], faces: Doubted, weight: float = 1.0) -> Labelled:
    boxes = np.array([face.box for face, _ in faces], np.float32).reshape(-1, 4)
    points = np.array([face.points for face, _ in faces], np.float32).reshape(-1, 5, 2)
    gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    grays = gray, np.ascontiguousarray(picture[:, :, 2])
    return Labelled(file, grays, boxes, points, np.array([doubted for _, doubted in faces], bool), weight)


def read(file: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(file))
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    return np.asarray(picture, np.uint8)


class Teacher:
    def __init__(self, folder: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(str(next((folder / "yunet").glob("*.onnx"))), "", (320, 320), UNSURE)

    def faces(self, picture: NDArray[np.uint8], told: list[Face]) -> Doubted:
        """At the picture's own size; large pictures (with small faces) somewhat enlarged."""
        return looked_at_again(told, self._look(picture, 1.25 if max(picture.shape) >= LARGE else 1.0))

    def close(self, picture: NDArray[np.uint8]) -> Doubted:
        """A picture of one face, perhaps cut tightly: enlarged, with a margin."""
        edge = max(picture.shape) // 3
        wide = cv2.copyMakeBorder(picture, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
        return [(_shifted(face, -edge), face.score < SURE) for face in self._look(np.asarray(wide, np.uint8), 1.5)]

    def turned(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Doubted]:
        """The picture turned by the eighth of a circle at which the teacher is surest of a face, and its faces."""
        height, width = picture.shape[:2]
        side = round(1.2 * max(height, width))
        best: tuple[float, NDArray[np.uint8], list[Face]] = (0.0, picture, [])
        for degrees in range(0, 360, 45):
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
            matrix[:, 2] += (side - width) / 2, (side - height) / 2
            shown = np.asarray(cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            seen = self._look(shown, 1.0)
            surest = max((face.score for face in seen), default=0.0)
            if surest > best[0] + (0.02 if best[0] else 0.0):
                best = (surest, shown, seen)
        return best[1], [(face, face.score < SURE) for face in best[2]]

    def _look(self, picture: NDArray[np.uint8], zoom: float) -> list[Face]:
        if zoom > 1:
            picture = np.asarray(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), np.uint8)
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        found = self._net.detect(picture)[1]
        return [] if found is None else [_face(values, 1 / zoom) for values in found]


def by_file(lines: list[str]) -> dict[str, list[Face] | None]:
    """What each picture's lines tell; None where several lines tell of one picture."""
    rows = defaultdict(list)
    for line in lines:
        row = json.loads(line)
        rows[str(row["file"])].append(score.true_faces(row))
    return {file: told[0] if len(told) == 1 else None for file, told in rows.items()}


def looked_at_again(told: list[Face], seen: list[Face]) -> Doubted:
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


def _shifted(face: Face, by: float) -> Face:
    x, y, w, h = face.box
    assert face.points
    return Face(Box(x + by, y + by, w, h), Landmarks(*((px + by, py + by) for px, py in face.points)), face.score)


def _face(values: NDArray[np.float32], factor: float) -> Face:
    """A row of YuNet's, scaled."""
    x, y, w, h, *places = (float(v) * factor for v in values[:14])
    return Face(Box(x, y, w, h), Landmarks(*zip(places[::2], places[1::2], strict=True)), float(values[14]))
