"""Measure what is wrong with the image of a face, so that it is clear what to change about the camera. Pure.

The limits were set on the demo scene and on webcams: they ask for a second look, they do not judge a reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from cv2.typing import MatLike

from ferd.types import Face, Image, Landmarks

MIN_LIGHT, MAX_LIGHT = 50.0, 215.0
"""Mean gray level of the face, 0 to 255."""
MIN_CONTRAST = 14.0
"""Standard deviation of its gray levels: less is haze, or light from behind."""
MIN_SHARPNESS = 25.0
"""Variance of the Laplacian of the face at MEASURED_SIZE pixels: less is motion blur or a wrong focus."""
MEASURED_SIZE = 96
MIN_FACE_PX = 60.0
"""Width of the box in pixels: the models were trained on faces of 48 and more."""
MAX_TURN = 0.30
"""Distance of the nose from the middle of the eyes, in eye distances."""
MAX_TILT = 0.45
"""Slope of the line through the eyes."""


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """``light``: mean gray level, 0 to 255. ``sharpness``: variance of the Laplacian. ``size``: width in pixels."""

    light: float
    sharpness: float
    size: float
    hints: tuple[str, ...]


def measure_quality(image: Image, face: Face) -> ImageQuality | None:
    """Measure one face; None for a face outside of the image."""
    height, width = image.shape[:2]
    box = face.box
    left, top = max(0, int(box.x)), max(0, int(box.y))
    crop = image[top : min(height, int(box.y + box.h)), left : min(width, int(box.x + box.w))]
    if crop.shape[0] < 8 or crop.shape[1] < 8:
        return None
    small = cv2.resize(crop, (MEASURED_SIZE, MEASURED_SIZE), interpolation=cv2.INTER_AREA)
    gray = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    light, contrast = _mean_and_deviation(gray)
    sharpness = _mean_and_deviation(cv2.Laplacian(gray, cv2.CV_16S))[1] ** 2
    return ImageQuality(light, sharpness, box.w, tuple(_hints(light, contrast, sharpness, face)))


def _mean_and_deviation(values: MatLike) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(values)
    return float(mean[0, 0]), float(deviation[0, 0])


def _hints(light: float, contrast: float, sharpness: float, face: Face) -> list[str]:
    hints = []
    if light < MIN_LIGHT:
        hints.append("too dark: more light from the front")
    elif light > MAX_LIGHT:
        hints.append("too bright: less light on the face")
    elif contrast < MIN_CONTRAST:
        hints.append("little contrast: is there a light behind?")
    if face.box.w < MIN_FACE_PX:
        hints.append("too small: move closer, or use a higher resolution")
    elif sharpness < MIN_SHARPNESS:
        hints.append("blurred: adjust the focus, or add light against motion blur")
    return hints + (_pose_hints(face.points) if face.points else [])


def _pose_hints(points: Landmarks) -> list[str]:
    (rx, ry), (lx, ly), (nx, _) = points.right_eye, points.left_eye, points.nose
    distance = abs(lx - rx)
    if distance < 1:
        return ["turned away: the camera should see both eyes"]
    hints = []
    if abs(nx - (rx + lx) / 2) / distance > MAX_TURN:
        hints.append("turned away: put the camera in front")
    if abs(ly - ry) / distance > MAX_TILT:
        hints.append("tilted: is the camera upright?")
    return hints
