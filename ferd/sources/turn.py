"""Turns and mirrors the pictures of a camera that hangs upside down or looks at you like a mirror."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from ferd.sources.base import Source
from ferd.types import Frame, Image

Rotation = Literal[0, 90, 180, 270]

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class RotatedSource:
    """A source whose pictures are rotated clockwise, then mirrored left to right."""

    def __init__(self, source: Source, *, rotate: Rotation = 0, mirror: bool = False) -> None:
        self._source = source
        self._rotate = rotate
        self._mirror = mirror

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def noisy(self) -> bool:
        return self._source.noisy

    @property
    def hangs(self) -> bool:
        return self._source.hangs

    def open(self) -> None:
        self._source.open()

    def read(self) -> Frame:
        frame = self._source.read()
        small = None if frame.small is None else self._turn(frame.small)
        return Frame(t=frame.t, image=self._turn(frame.image), small=small)

    def close(self) -> None:
        self._source.close()

    def _turn(self, picture: Image) -> Image:
        return rotate_image(picture, rotate=self._rotate, mirror=self._mirror)


def rotate_image(picture: Image, *, rotate: Rotation = 0, mirror: bool = False) -> Image:
    """`picture` ((H, W) or (H, W, 3)) rotated clockwise by `rotate` degrees, then mirrored if `mirror`."""
    if rotate:
        picture = np.asarray(cv2.rotate(picture, _ROTATIONS[rotate]), np.uint8)
    if mirror:
        picture = np.asarray(cv2.flip(picture, 1), np.uint8)
    return picture
