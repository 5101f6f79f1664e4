"""The same pictures under another lamp, out of focus, far away, with a tilted head: why a model fails elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ferd.types import Image

SMALL = 24
"""Pixels: a face at the far end of a room, as a 640x480 camera sees it."""


def brighter(factor: float) -> Callable[[Image], Image]:
    return lambda picture: np.clip(picture.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def gamma(power: float) -> Callable[[Image], Image]:
    table = (255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda picture: table[picture]


def blurred(share: float) -> Callable[[Image], Image]:
    """Gaussian blur with a sigma of so much of the face's width."""

    def run(picture: Image) -> Image:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), share * picture.shape[1]), np.uint8)

    return run


def small(side: int) -> Callable[[Image], Image]:
    """As if the face had only so many pixels."""

    def run(picture: Image) -> Image:
        height, width = picture.shape[:2]
        if max(height, width) <= side:
            return picture
        tiny = cv2.resize(picture, (side, max(1, round(side * height / width))), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(tiny, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    return run


def rolled(degrees: float) -> Callable[[Image], Image]:
    """A head that is tilted: turned about the picture's middle."""

    def run(picture: Image) -> Image:
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
        turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8)

    return run


STRESSES: dict[str, Callable[[Image], Image]] = {
    "as it is": lambda picture: picture,
    "brightness -40 %": brighter(0.6),
    "brightness +40 %": brighter(1.4),
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
    "slight blur": blurred(0.02),
    f"{SMALL}x{SMALL} pixels": small(SMALL),
    "roll +15 degrees": rolled(15),
    "roll -15 degrees": rolled(-15),
}
