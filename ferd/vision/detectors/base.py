"""Define what a face detector is, and the helpers that detectors share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.images import to_gray

WORKING_WIDTH = 320
"""Longer side of the image that YuNet and Haar search: a face of 48 pixels at 640 is then 24, the least they find."""


class Detector(Protocol):
    """Find faces in a frame. Boxes and landmarks are in pixels of `frame.image`.

    `prepare` and `search` are its two halves, so that `ferd bench` can measure the bare search.
    """

    name: str
    gray: bool
    """True when it needs no colours."""

    def __call__(self, frame: Frame) -> list[Face]: ...

    def prepare(self, frame: Frame) -> Image:
        """Return the image that is searched: smaller, and in the detector's colour."""

    def search(self, image: Image) -> Any:
        """Make the library's own call on a prepared image, and return its result."""


def outside_zones(faces: Sequence[Face], zones: Sequence[tuple[int, int, int, int]]) -> list[Face]:
    """Return the faces whose centre lies in none of the rectangles (left, top, width, height)."""
    return [face for face in faces if not any(contains(zone, face.box.centre) for zone in zones)]


def contains(box: Sequence[float], point: tuple[float, float]) -> bool:
    """Whether a point lies in a rectangle (left, top, width, height)."""
    x, y, w, h = box
    return x <= point[0] < x + w and y <= point[1] < y + h


def working_size(frame: Frame) -> tuple[int, int]:
    """Return (width, height) at which a detector searches the frame: never larger than the frame itself."""
    scale = min(1.0, WORKING_WIDTH / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def working_gray(frame: Frame) -> Image:
    """Return the frame in gray at working size, from the camera's own low-resolution stream where there is one."""
    size = working_size(frame)
    image = frame.small if frame.small is not None else frame.image
    if image.shape[1::-1] != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return to_gray(image)


def scaled_box(box: Box, factor: float) -> Box:
    """Multiply all coordinates by a factor."""
    return Box(*(value * factor for value in box))


def scaled_landmarks(points: Landmarks, factor: float) -> Landmarks:
    """Multiply all coordinates by a factor."""
    return Landmarks(*((x * factor, y * factor) for x, y in points))
