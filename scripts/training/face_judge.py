"""Recall, point error and false alarms on the pictures held back, of the float net and of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from ferd.types import Box, Face, Landmarks
from ferd.vision import score
from ferd.vision.detectors.ferd import decode, letterbox, weighted_nms
from training.face_data import Data, HeldFace
from training.face_net import HEIGHT, WIDTH
from training.face_scene import CELLS
from training.face_teacher import read
from training.fit import to_input

ALARMS = 0.01  # in a picture without a face
LOWEST = 0.02  # scores below are never looked at
MIN_FACE = 32  # pixels, as `ferd model eval` looks: faces of 40 are asked for, and boxes are never exact


@dataclass(frozen=True)
class Held:
    """Letterboxed pictures (n, 256, 320), by how much each was scaled, and their faces as the teacher sees them."""

    pictures: np.ndarray
    scales: list[float]
    true: list[list[Face]]


def preview(pictures: list[HeldFace]) -> Held:
    boxed = [letterbox(gray(held.file), (WIDTH, HEIGHT)) for held in pictures]
    return Held(np.stack([p for p, _ in boxed]), [s for _, s in boxed], [held.again for held in pictures])


class Judge:
    """Figures of the float net at the threshold that gives ALARMS on the held back pictures without a face."""

    def __init__(self, data: Data) -> None:
        self._faces = preview(data.held_faces)
        self._drivers = preview(data.held_drivers)
        self._empty = preview([HeldFace(file, [], None) for file in data.held_empty])

    def __call__(self, net: nn.Module) -> dict[str, float]:
        empty = found(net, self._empty)
        drivers = at_alarms(found(net, self._drivers), self._drivers.true, empty)
        figures = at_alarms(found(net, self._faces), self._faces.true, empty)
        return figures | {"recall_drivers": drivers["recall"], "point_error_drivers": drivers["point_error"]}


def at_alarms(faces: list[list[Face]], true: list[list[Face]], empty: list[list[Face]]) -> dict[str, float]:
    threshold = score.threshold_for(empty, ALARMS)
    figures = score.faces(zip([above(f, threshold) for f in faces], true, strict=True))
    loose = score.faces(zip([above(f, 0.3) for f in faces], true, strict=True))
    return {
        "recall": figures.recall,
        "point_error": figures.point_error,
        "threshold": threshold,
        "recall_at_0.3": loose.recall,
        "alarms_at_0.3": score.false_alarms_per_picture([above(f, 0.3) for f in empty]),
    }


def above(faces: list[Face], threshold: float) -> list[Face]:
    return [face for face in faces if face.score >= threshold]


def found(net: nn.Module, held: Held) -> list[list[Face]]:
    with torch.no_grad():
        said = torch.cat([net(to_input(p)) for p in torch.from_numpy(held.pictures).split(16)]).numpy()
    return [_decoded(values, scale) for values, scale in zip(said, held.scales, strict=True)]


def resemblance(net: nn.Module, pictures: np.ndarray) -> list[float]:
    """(n, 256, 320) uint8 -> the best score of each."""
    with torch.no_grad():
        best = [net(to_input(p))[:, :, 0].amax(dim=1).sigmoid() for p in torch.from_numpy(pictures).split(16)]
    return [float(score) for score in torch.cat(best)]


def _decoded(values: np.ndarray, scale: float) -> list[Face]:
    picked = values[:, 0] > np.log(LOWEST / (1 - LOWEST))
    rows = weighted_nms(decode(values[picked], CELLS[picked]))
    faces = []
    for row in rows:
        numbers = [float(v) / scale for v in row[1:]]
        points = Landmarks(*zip(numbers[4::2], numbers[5::2], strict=True))
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
            points = Landmarks(*((float(x), float(y)) for x, y in moved))
        faces.append(Face(Box(float(middle[0] - w), float(middle[1] - h), float(2 * w), float(2 * h)), points))
    return turned, faces


def gray(file: Path) -> np.ndarray:
    return np.asarray(cv2.cvtColor(read(file), cv2.COLOR_BGR2GRAY), np.uint8)
