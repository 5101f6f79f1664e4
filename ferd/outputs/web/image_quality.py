"""What is wrong with the picture of a face, so that whoever sets up a camera knows what to change. Pure.

The limits were set on the demo scene and on webcams: they ask for a second look, they do not judge a reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from cv2.typing import MatLike

from ferd.types import Face, Image, Landmarks

DARK, BRIGHT = 50.0, 215.0
"""Mean gray of the face, 0 to 255."""
FLAT = 14.0
"""Standard deviation of its gray: less is haze, or light from behind."""
BLURRED = 25.0
"""Variance of the Laplacian of the face at LOOKED_AT pixels: less is blur by motion or focus."""
LOOKED_AT = 96
SMALL = 60.0
"""Width of the box in pixels: the models were trained on faces of 48 and more."""
TURNED = 0.30
"""How far the nose may stand from the middle of the eyes, in eye distances."""
TILTED = 0.45
"""Slope of the line through the eyes."""


@dataclass(frozen=True, slots=True)
class Quality:
    """``light``: mean gray, 0 to 255. ``sharpness``: variance of the Laplacian. ``size``: width in pixels."""

    light: float
    sharpness: float
    size: float
    hints: tuple[str, ...]


def quality(picture: Image, face: Face) -> Quality | None:
    """None for a face that is not in the picture."""
    height, width = picture.shape[:2]
    box = face.box
    left, top = max(0, int(box.x)), max(0, int(box.y))
    cut = picture[top : min(height, int(box.y + box.h)), left : min(width, int(box.x + box.w))]
    if cut.shape[0] < 8 or cut.shape[1] < 8:
        return None
    small = cv2.resize(cut, (LOOKED_AT, LOOKED_AT), interpolation=cv2.INTER_AREA)
    gray = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    light, spread = _mean_and_deviation(gray)
    sharpness = _mean_and_deviation(cv2.Laplacian(gray, cv2.CV_16S))[1] ** 2
    return Quality(light, sharpness, box.w, tuple(_hints(light, spread, sharpness, face)))


def _mean_and_deviation(values: MatLike) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(values)
    return float(mean[0, 0]), float(deviation[0, 0])


def _hints(light: float, spread: float, sharpness: float, face: Face) -> list[str]:
    hints = []
    if light < DARK:
        hints.append("too dark: more light from the front")
    elif light > BRIGHT:
        hints.append("too bright: less light on the face")
    elif spread < FLAT:
        hints.append("little contrast: is there a light behind?")
    if face.box.w < SMALL:
        hints.append("too small: come nearer, or ask for a larger picture")
    elif sharpness < BLURRED:
        hints.append("blurred: focus, or more light against motion blur")
    return hints + (_turned(face.points) if face.points else [])


def _turned(points: Landmarks) -> list[str]:
    (rx, ry), (lx, ly), (nx, _) = points.right_eye, points.left_eye, points.nose
    apart = abs(lx - rx)
    if apart < 1:
        return ["turned away: the camera should see both eyes"]
    hints = []
    if abs(nx - (rx + lx) / 2) / apart > TURNED:
        hints.append("turned away: put the camera in front")
    if abs(ly - ry) / apart > TILTED:
        hints.append("tilted: is the camera upright?")
    return hints
