"""The same pictures, seen worse: those of `ferd model eval --stress`, and faces that were badly cut."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ferd.evaluation import stress
from ferd.types import Image


def cut_otherwise(scale: float, shift: float = 0) -> Callable[[Image], Image]:
    """A square that is `scale` times as large, and `shift` of its side too far to the right."""

    def run(tile: Image) -> Image:
        middle = (tile.shape[1] - 1) / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), 0, 1 / scale)
        matrix[0, 2] -= shift * tile.shape[1]
        size = tile.shape[1::-1]
        return np.asarray(cv2.warpAffine(tile, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return run


def dark(tile: Image) -> Image:
    """An evening room: a third of the light, and the camera's noise."""
    noise = np.random.default_rng(8322).normal(0, 4, tile.shape)
    return (tile / 3 + noise).clip(0, 255).astype(np.uint8)


STRESSES: dict[str, Callable[[Image], Image]] = {
    **{name: spoil for name, spoil in stress.STRESSES.items() if name != "as it is"},
    "a third of the light, noise": dark,
    "cut 15 % too large": cut_otherwise(1.15),
    "cut 15 % too small": cut_otherwise(0.85),
    "cut a tenth too far right": cut_otherwise(1.0, 0.1),
}
