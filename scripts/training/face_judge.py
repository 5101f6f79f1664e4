"""Recall, point error and false alarms on the pictures held back, of the float net and of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from ferd.data import Box, Face, Points
from ferd.face import score
from ferd.face.own import decode, letterbox, merge
from training.face_data import Data
from training.face_net import HEIGHT, WIDTH
from training.face_scene import CELLS
from training.fit import to_input

ALARMS = 0.01  # in a picture without a face
LOWEST = 0.02  # scores below are never looked at
MIN_FACE = 36  # pixels: faces of 40 are asked for, and boxes are never exact; below, neither face nor alarm counts


@dataclass(frozen=True)
class Held:
    """Letterboxed pictures (n, 256, 320), by how much each was scaled, and their faces: as the teacher sees them
    now (`true`) and as the file tells them (`told`)."""

    pictures: np.ndarray
    scales: list[float]
    true: list[list[Face]]
    told: list[list[Face]]
    empty: np.ndarray
    empty_scales: list[float]


def preview(data: Data, folder: Path) -> Held:
    boxed = [letterbox(_gray(folder / row["file"]), (WIDTH, HEIGHT)) for row in data.held_faces]
    empty = [letterbox(_gray(file), (WIDTH, HEIGHT)) for file in data.held_empty]
    told = [score.true_faces(row) for row in data.held_faces]
    return Held(
        np.stack([p for p, _ in boxed]), [s for _, s in boxed], data.held_again, told,
        np.stack([p for p, _ in empty]), [s for _, s in empty],
    )  # fmt: skip


def judge_net(net: nn.Module, held: Held) -> dict[str, float]:
    """Figures of the float net at the threshold that gives ALARMS on the held back pictures without a face."""
    found, empty = _faces(net, held.pictures, held.scales), _faces(net, held.empty, held.empty_scales)
    figures = at_alarms(found, held.true, empty)
    told = at_alarms(found, held.told, empty)
    return figures | {"recall_told": told["recall"], "point_error_told": told["point_error"]}


def at_alarms(found: list[list[Face]], true: list[list[Face]], empty: list[list[Face]]) -> dict[str, float]:
    threshold = score.threshold_for(empty, ALARMS)
    figures = score.faces(zip([above(f, threshold) for f in found], true, strict=True))
    loose = score.faces(zip([above(f, 0.3) for f in found], true, strict=True))
    return {
        "recall": figures.recall,
        "point_error": figures.point_error,
        "threshold": threshold,
        "recall_at_0.3": loose.recall,
        "alarms_at_0.3": score.false_alarms_per_picture([above(f, 0.3) for f in empty]),
    }


def above(faces: list[Face], threshold: float) -> list[Face]:
    return [face for face in faces if face.score >= threshold]


def _faces(net: nn.Module, pictures: np.ndarray, scales: list[float]) -> list[list[Face]]:
    with torch.no_grad():
        said = torch.cat([net(to_input(p)) for p in torch.from_numpy(pictures).split(16)]).numpy()
    return [_decoded(values, scale) for values, scale in zip(said, scales, strict=True)]


def _decoded(values: np.ndarray, scale: float) -> list[Face]:
    picked = values[:, 0] > np.log(LOWEST / (1 - LOWEST))
    rows = merge(decode(values[picked], CELLS[picked]))
    faces = []
    for row in rows:
        numbers = [float(v) / scale for v in row[1:]]
        points = Points(*zip(numbers[4::2], numbers[5::2], strict=True))
        faces.append(Face(Box(*numbers[:4]), points, float(row[0])))
    return [face for face in faces if max(face.box.w, face.box.h) >= MIN_FACE]


def rolled(picture: np.ndarray, true: list[Face], degrees: float) -> tuple[np.ndarray, list[Face]]:
    """The picture turned around its middle on a larger canvas; the true boxes as in training, points turned."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    turned = cv2.warpAffine(picture, matrix, size)
    faces = []
    for face in true:
        middle = matrix[:, :2] @ face.box.centre + matrix[:, 2]
        a, b = face.box.w / 2, face.box.h / 2
        w, h = np.hypot(a * cos, b * sin), np.hypot(a * sin, b * cos)
        points = None
        if face.points:
            moved = np.array(face.points) @ matrix[:, :2].T + matrix[:, 2]
            points = Points(*((float(x), float(y)) for x, y in moved))
        faces.append(Face(Box(float(middle[0] - w), float(middle[1] - h), float(2 * w), float(2 * h)), points))
    return turned, faces


def _gray(file: Path) -> np.ndarray:
    picture = cv2.imread(str(file))
    if picture is None:
        raise ValueError(f"{file} is not a picture that OpenCV can read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
