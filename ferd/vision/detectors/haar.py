"""Viola and Jones' cascade of Haar features (CVPR 2001), as OpenCV ships it: upright frontal faces, no landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferd.errors import ConfigError
from ferd.types import Box, Face, Frame, Image
from ferd.vision.detectors.base import scaled_box, working_gray

CASCADE = "haarcascade_frontalface_default.xml"
SYSTEM_FOLDERS = (Path("/usr/share/opencv4/haarcascades"), Path("/usr/share/opencv/haarcascades"))
SCALE_STEP = 1.2
"""1.1 finds a few more faces for twice the time."""
NEIGHBOURS = 5
"""So many overlapping hits make a face. OpenCV's default of 3 reports faces in patterned walls."""


def find_cascade() -> Path | None:
    """The cascade file: in OpenCV's wheel, else where Debian's opencv-data puts it. None when there is neither."""
    if not hasattr(cv2, "CascadeClassifier"):
        return None
    # Debian's python3-opencv has no cv2.data.
    wheel = [Path(cv2.data.haarcascades)] if hasattr(cv2, "data") else []  # type: ignore[attr-defined,unused-ignore]
    return next((f / CASCADE for f in (*wheel, *SYSTEM_FOLDERS) if (f / CASCADE).is_file()), None)


class HaarDetector:
    name = "haar"
    gray = True

    def __init__(self, cascade: Path, min_face_px: int) -> None:
        """`min_face_px` in pixels of the frame. Raises ConfigError when the file is no cascade."""
        self._cascade = _load(cascade)
        self._min_face = min_face_px
        self._least = 24

    def __call__(self, frame: Frame) -> list[Face]:
        gray = self.prepare(frame)
        factor = frame.width / gray.shape[1]
        self._least = max(24, round(self._min_face / factor))  # the cascade's window is 24 pixels
        return [Face(scaled_box(Box(*map(float, box)), factor)) for box in self.search(gray)]

    def prepare(self, frame: Frame) -> Image:
        return np.asarray(cv2.equalizeHist(working_gray(frame)), np.uint8)

    def search(self, picture: Image) -> Any:
        """Rows of x, y, w, h in pixels of the picture."""
        return self._cascade.detectMultiScale(
            picture, scaleFactor=SCALE_STEP, minNeighbors=NEIGHBOURS, minSize=(self._least, self._least)
        )


def _load(cascade: Path) -> cv2.CascadeClassifier:
    """A missing file constructs without a word, a broken one raises SystemError or cv2.error."""
    try:
        loaded = cv2.CascadeClassifier(str(cascade))
    except (cv2.error, SystemError):
        loaded = None
    if loaded is None or loaded.empty():
        raise ConfigError(f"{cascade}: is not a cascade file; install the package that it came with again")
    return loaded
