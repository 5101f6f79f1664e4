"""Read image files, and bring images into the colour that a model or detector wants."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferd.errors import PictureError
from ferd.models.preprocess import InputSpec
from ferd.pictures import PICTURE_SUFFIXES, read_picture
from ferd.types import Image

IMAGE_SUFFIXES = PICTURE_SUFFIXES


def read_image(file: Path) -> Image | None:
    """Read a file as BGR uint8 (H, W, 3). Returns None when it is missing, too large or does not decode."""
    try:
        return read_picture(file)
    except PictureError:
        return None


def to_gray(image: Image) -> Image:
    """Convert (H, W, 3) BGR to (H, W); return a gray image as it is."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def in_mirror(image: Image) -> Image:
    """Return a picture (H, W) or (H, W, 3) in the mirror."""
    return np.asarray(cv2.flip(image, 1), np.uint8)


def to_input_colour(image: Image, spec: InputSpec) -> Image:
    """Convert a camera's image (gray or BGR) to the colour that the model wants."""
    if spec.colour == "gray":
        return to_gray(image)
    if image.ndim == 3 and spec.colour == "bgr":
        return image
    code = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(image, code), np.uint8)
