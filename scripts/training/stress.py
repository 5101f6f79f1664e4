"""The same pictures, seen worse: what a far, tilted, dark or badly cut face costs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data import SIDE

Tile = NDArray[np.uint8]
SEED = 8322


def far(tile: Tile) -> Tile:
    """A face of 24 pixels, enlarged again."""
    small = cv2.resize(tile, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def tilted(tile: Tile) -> Tile:
    """A head on its side by 15 degrees."""
    return _place(tile, degrees=15)


def badly_cut(tile: Tile) -> Tile:
    """A box a tenth too far to the right and a tenth too large."""
    return _place(tile, scale=0.9, shift=-0.1)


def dark(tile: Tile) -> Tile:
    """An evening room: a third of the light, and the camera's noise."""
    noise = np.random.default_rng(SEED).normal(0, 4, tile.shape)
    return (tile / 3 + noise).clip(0, 255).astype(np.uint8)


def blurred(tile: Tile) -> Tile:
    """Out of focus, or moving."""
    return cv2.GaussianBlur(tile, (0, 0), 1.2)


STRESSES: dict[str, Callable[[Tile], Tile]] = {
    "face_of_24_pixels": far,
    "tilted_15_degrees": tilted,
    "cut_a_tenth_off": badly_cut,
    "dark_and_noisy": dark,
    "blurred": blurred,
}


def _place(tile: Tile, degrees: float = 0, scale: float = 1, shift: float = 0) -> Tile:
    middle = (SIDE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), degrees, scale)
    matrix[0, 2] += shift * SIDE
    return cv2.warpAffine(tile, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
