"""Search again for faces that are so near that the edges of the picture cut them off.

A detector looks for whole faces. With a margin around the picture, made of its own edge, a face that fills it or is cut
off becomes one of ordinary size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.detectors.base import Detector

MARGINS = (1 / 3, 1 / 2)
"""On each side, in widths and heights of the picture. Each finds faces that the other does not."""
LEAST_SHARE = 0.3
"""Least length of a near face's longer side, in shorter sides of the picture: smaller ones the plain search finds."""
LONGEST = 640
"""Pixels of the longer side, without the margin, at which is searched: near faces are large enough in it."""
EVERY_S = 1.0
"""Shortest time between two searches with a margin in live pictures: each costs as much as a plain one."""

ShowsFace = Callable[[Image, Face], bool]


def near_faces(detector: Detector, shows_face: ShowsFace, frame: Frame) -> list[Face]:
    """Return the near faces of a single picture in which the detector finds none.

    Args:
        shows_face: another model's word on what was found: an image (H, W) or (H, W, 3) and a face in it.
    """
    tries = (_near_faces(detector, shows_face, frame, margin) for margin in MARGINS)
    return next(filter(None, tries), [])


class NearSearch:
    """Search a camera's frames: where the detector finds nobody, with a margin too. Frames come with rising `t`."""

    def __init__(self, detector: Detector, shows_face: ShowsFace) -> None:
        """See `near_faces`."""
        self._detector, self._shows_face = detector, shows_face
        self._margins = itertools.cycle(MARGINS)
        self._last = -math.inf

    def __call__(self, frame: Frame) -> list[Face]:
        found = self._detector(frame)
        if found or 0 <= frame.t - self._last < EVERY_S:
            return found
        self._last = frame.t
        return _near_faces(self._detector, self._shows_face, frame, next(self._margins))


def _near_faces(detector: Detector, shows_face: ShowsFace, frame: Frame, margin: float) -> list[Face]:
    factor = min(1.0, LONGEST / max(frame.width, frame.height))
    image = (
        frame.image
        if factor == 1.0
        else cv2.resize(frame.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    )
    height, width = image.shape[:2]
    down, right = round(height * margin), round(width * margin)
    wider = np.asarray(cv2.copyMakeBorder(image, down, down, right, right, cv2.BORDER_REPLICATE), np.uint8)
    least = LEAST_SHARE * min(width, height)
    near = (face for face in detector(Frame(frame.t, wider)) if max(face.box.w, face.box.h) >= least)
    return [_outside(face, right, down, 1 / factor) for face in near if shows_face(wider, face)]


def _outside(face: Face, right: float, down: float, factor: float) -> Face:
    """Return a face of the picture with a margin in pixels of the frame."""
    x, y, w, h = face.box
    box = Box((x - right) * factor, (y - down) * factor, w * factor, h * factor)
    points = face.points and Landmarks(*(((x - right) * factor, (y - down) * factor) for x, y in face.points))
    return replace(face, box=box, points=points)
