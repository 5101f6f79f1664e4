"""The detector seam: which detectors there are, and which one `auto` takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from ferd.config.models import DetectorConfig
from ferd.errors import ConfigError
from ferd.models.registry import YUNET_NAME, find_on_shelf, find_yunet
from ferd.types import Box, Face, Frame, Image, Landmarks

log = logging.getLogger(__name__)

WORKING_WIDTH = 320
"""Detectors look at a picture of this width: a face of 48 pixels at 640 is then 24, the least that they find."""


FACE_MODEL = "face"
_NO_CASCADE = (
    "this OpenCV carries no cascade files (version 5 wheels do not). "
    "Install opencv-python-headless<5 or the apt package opencv-data, or bring YuNet and set detector.yunet"
)
_MISSING = {
    "auto": f"no face detector: the face model is not on the shelf, and {_NO_CASCADE}",
    "face": 'detector.kind = "face", but the model is not on the shelf; it comes with ferd: install ferd again',
    "yunet": (
        f'detector.kind = "yunet", but there is no {YUNET_NAME}: get it from OpenCV Zoo, put it on the model shelf '
        "or name it in detector.yunet"
    ),
    "haar": f'detector.kind = "haar", but {_NO_CASCADE}',
}


class Detector(Protocol):
    """Finds faces in a frame. Boxes and points are in pixels of `frame.image`.

    `prepare` and `search` are its two halves, so that `ferd bench` can tell what the bare search costs.
    """

    name: str
    gray: bool
    """True when it needs no colours."""

    def __call__(self, frame: Frame) -> list[Face]: ...

    def prepare(self, frame: Frame) -> Image:
        """The picture that is searched: smaller, and in the detector's colour."""

    def search(self, picture: Image) -> Any:
        """The library's own call on a prepared picture, and what it returns."""


Maker = Callable[[DetectorConfig, float | None], Detector | None]


def make_detector(config: DetectorConfig, least: float | None = None) -> Detector:
    """The configured detector; `auto`: our own, then YuNet if its file is there, then Haar.

    `least`: the score from which on something is a face, instead of the detector's own; Haar knows none.

    Raises ConfigError with the remedy when it cannot be had.
    """
    makers: dict[str, Maker] = {"face": _face, "yunet": _yunet, "haar": _haar}
    if config.kind != "auto":
        makers = {config.kind: makers[config.kind]}
    for make in makers.values():
        if detector := make(config, least):
            log.info("detector chosen name=%s", detector.name)
            return detector
    raise ConfigError(_MISSING[config.kind])


def _face(config: DetectorConfig, least: float | None) -> Detector | None:
    from ferd.vision.detectors.ferd import FerdDetector
    from ferd.vision.points import with_points

    bundle = find_on_shelf(FACE_MODEL)
    return with_points(FerdDetector(bundle, config.min_face_px, least)) if bundle else None


def _yunet(config: DetectorConfig, least: float | None) -> Detector | None:
    from ferd.vision.detectors.yunet import LEAST_SCORE, YunetDetector

    file = find_yunet(config.yunet)
    return YunetDetector(file, config.min_face_px, LEAST_SCORE if least is None else least) if file else None


def _haar(config: DetectorConfig, _least: float | None) -> Detector | None:
    from ferd.vision.detectors.haar import HaarDetector, find_cascade

    cascade = find_cascade()
    return HaarDetector(cascade, config.min_face_px) if cascade else None


def outside(faces: Sequence[Face], ignore: Sequence[tuple[int, int, int, int]]) -> list[Face]:
    """The faces whose centre lies in none of the rectangles (left, top, width, height)."""
    return [face for face in faces if not any(_holds(area, face.box.centre) for area in ignore)]


def _holds(area: tuple[int, int, int, int], point: tuple[float, float]) -> bool:
    x, y, w, h = area
    return x <= point[0] < x + w and y <= point[1] < y + h


def working_size(frame: Frame) -> tuple[int, int]:
    """(width, height) in which a detector looks at the frame: never larger than the frame itself."""
    scale = min(1.0, WORKING_WIDTH / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def working_gray(frame: Frame) -> Image:
    """The frame in gray at working size; the camera's own low-resolution stream where there is one."""
    size = working_size(frame)
    picture = frame.small if frame.small is not None else frame.image
    if picture.shape[1::-1] != size:
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


def scaled_box(box: Box, factor: float) -> Box:
    return Box(*(value * factor for value in box))


def scaled_points(points: Landmarks, factor: float) -> Landmarks:
    return Landmarks(*((x * factor, y * factor) for x, y in points))
