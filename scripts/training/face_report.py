"""Judges the int8 face file as ferd runs it, beside its teacher; sets the threshold; writes the card."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from ferd.models.bundle import read_bundle
from ferd.types import Face, Frame
from ferd.vision import score
from ferd.vision.detectors import yunet
from ferd.vision.detectors.base import Detector
from ferd.vision.detectors.ferd import FerdDetector
from training import card
from training.face_data import Data, HeldFace
from training.face_judge import ALARMS, LOWEST, MIN_FACE, above, rolled
from training.face_net import HEIGHT, WIDTH
from training.face_teacher import read
from training.net import MEAN, STD, multiply_adds

ROLLS = (-30, -15, 15, 30)
NOT_FOR = (
    "Finding faces, not recognising persons: it gives no identity and must not be used to watch people without their "
    "knowledge. It misses faces in profile, behind masks and smaller than 16 pixels of its input. " + card.NOT_FOR
)
PROTOCOL = (
    "int8 file through LiteRT, people held back from training, whole pictures letterboxed; faces of at least 40 px on "
    "their longer side (found ones from 32 on count), overlap over 0.5; the threshold gives at most one false alarm in "
    "100 held back pictures without a face at first sight; doubtful faces are then looked at once more. The truth is "
    "what YuNet finds in the picture; *_told: boxes as the data "
    "file tells them, without the pictures that it names twice with different faces. *_640x480: the same picture amid "
    "a gray one of that size. *_drivers: drivers held back. YuNet's own figures: colour, in a picture of 320 pixels, "
    "as ferd runs it."
)
UNSTATED = "pictures unstated: they are not part of ferd, only weights ship"
TRAINED_ON = [
    {
        "name": "pictures with faces",
        "what": "3,300 TV frames, street scenes, portraits and close-ups; boxes and points by YuNet (MIT)",
        "licence": UNSTATED,
    },
    {
        "name": "gray press photos",
        "what": "4,400 faces of public figures; boxes and points by YuNet (MIT)",
        "licence": "Apache-2.0",
    },
    {"name": "pictures without a face", "what": "610 of rooms, things and nature", "licence": UNSTATED},
]
Change = Callable[[np.ndarray, list[Face]], tuple[np.ndarray, list[Face]]]


def report(path: Path, net: nn.Module, data: Data, folder: Path) -> None:
    content = _card(path, multiply_adds(net, (HEIGHT, WIDTH)))
    card.write(path.with_suffix(".json"), content)
    first_look = FerdDetector(read_bundle(path), MIN_FACE, threshold=LOWEST)
    teacher = yunet.YunetDetector(next((folder / "yunet").glob("*.onnx")), MIN_FACE, 0.3)
    content["threshold"] = round(_threshold(first_look, data) + 0.0005, 3)
    card.write(path.with_suffix(".json"), content)
    content["figures"] = figures = judge(FerdDetector(read_bundle(path), MIN_FACE), data)
    content["figures"]["yunet"] = judge(teacher, data, _threshold(teacher, data))
    content["figures"]["protocol"] = PROTOCOL
    card.write(path.with_suffix(".json"), content)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {content['macs'] / 1e6:.1f} MMAC, "
          f"threshold {content['threshold']}")  # fmt: skip
    for name, value in figures.items():
        if not isinstance(value, dict | str):
            print(f"{name:<24} {value!s:>8}   YuNet {figures['yunet'][name]}")


def _threshold(detector: Detector, data: Data) -> float:
    return score.threshold_for([detector(Frame(0.0, read(file))) for file in data.held_empty], ALARMS)


def judge(detector: Detector, data: Data, threshold: float = 0.0) -> dict[str, Any]:
    """Figures of what the detector tells, as far as it reaches a threshold."""

    def find(picture: np.ndarray) -> list[Face]:
        return above(detector(Frame(0.0, picture)), threshold)

    def over(held: list[HeldFace], change: Change = _same) -> score.FaceFigures:
        pairs = []
        for one in held:
            shown, wanted = change(read(one.file), one.again)
            pairs.append((find(shown), wanted))
        return score.faces(pairs)

    plain, drivers, far = over(data.held_faces), over(data.held_drivers), over(data.held_faces, _far)
    told = over([HeldFace(held.file, held.told, None) for held in data.held_faces if held.told is not None])
    figures: dict[str, Any] = {
        "recall": plain.recall,
        "point_error": plain.point_error,
        "faces": plain.faces,
        "false_alarms_per_picture": score.false_alarms_per_picture(find(read(file)) for file in data.held_empty),
        "recall_told": told.recall,
        "point_error_told": told.point_error,
        "recall_drivers": drivers.recall,
        "point_error_drivers": drivers.point_error,
        "recall_gray": over(data.held_faces, _gray).recall,
        "recall_dark": over(data.held_faces, _dark).recall,
        "recall_640x480": far.recall,
        "point_error_640x480": far.point_error,
    }
    for roll in ROLLS:
        turned = over(data.held_faces, lambda picture, true, roll=roll: rolled(picture, true, roll))
        figures[f"recall_roll_{roll}"] = turned.recall
        figures[f"point_error_roll_{roll}"] = turned.point_error
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def _same(picture: np.ndarray, true: list[Face]) -> tuple[np.ndarray, list[Face]]:
    return picture, true


def _gray(picture: np.ndarray, true: list[Face]) -> tuple[np.ndarray, list[Face]]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)), true


def _dark(picture: np.ndarray, true: list[Face]) -> tuple[np.ndarray, list[Face]]:
    """A quarter of the light, gamma 1.5."""
    return (255 * (picture / 255.0) ** 1.5 * 0.25).astype(np.uint8), true


def _far(picture: np.ndarray, true: list[Face]) -> tuple[np.ndarray, list[Face]]:
    """In the middle of a 640x480 picture, unscaled."""
    height, width = picture.shape[:2]
    scale = min(1.0, 480 / height, 640 / width)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    canvas = np.full((480, 640, 3), 90, np.uint8)
    y, x = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    moved = []
    for face in true:
        box = [v * scale for v in face.box]
        points = [(px * scale + x, py * scale + y) for px, py in face.points or ()]
        moved.append(Face(type(face.box)(box[0] + x, box[1] + y, *box[2:]), type(face.points)(*points)))
    return canvas, moved


def _card(path: Path, macs: int) -> dict[str, Any]:
    return {
        "name": path.stem,
        "kind": "face",
        "version": 1,
        "labels": ["face"],
        "input": {"width": WIDTH, "height": HEIGHT, "colour": "gray", "mean": MEAN, "std": STD},
        "output": "logits",
        "threshold": 0.5,
        "macs": macs,
        "figures": {},
        "trained_on": TRAINED_ON,
        "not_for": NOT_FOR,
        "licence": "Apache-2.0",
        "sha256": card.digest(path),
        "created": datetime.date.today().isoformat(),
    }
