"""YuNet (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023) through OpenCV.

The user brings the file; OpenCV runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ConfigError
from ferd.fs import is_file
from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.detectors.base import scaled_box, scaled_points, working_size

LEAST_SCORE = 0.7


class YunetDetector:
    name = "yunet"
    gray = False

    def __init__(self, file: Path, min_face_px: int, least: float = LEAST_SCORE) -> None:
        """`min_face_px` in pixels of the frame; `least`: the score of a face.

        Raises ConfigError when the file is missing or is not YuNet.
        """
        self._min_face = min_face_px
        self._size = (0, 0)
        if not is_file(file):
            raise ConfigError(f"{file}: no such file; detector.yunet must name the YuNet .onnx file")
        try:
            self._net = cv2.FaceDetectorYN.create(str(file), "", (320, 240), least)
            self._net.detect(np.zeros((240, 320, 3), np.uint8))
        except cv2.error as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise ConfigError(f"{file}: OpenCV cannot use it as YuNet ({reason}); download it again") from None

    def __call__(self, frame: Frame) -> list[Face]:
        picture = self.prepare(frame)
        factor = frame.width / picture.shape[1]
        _, rows = self.search(picture)
        faces = [] if rows is None else [_face(row, factor) for row in rows]
        return [face for face in faces if max(face.box.w, face.box.h) >= self._min_face]

    def prepare(self, frame: Frame) -> Image:
        size = working_size(frame)
        picture = frame.image
        if picture.shape[1::-1] != size:
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        return picture if picture.ndim == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)

    def search(self, picture: Image) -> Any:
        """(status, rows of 15 numbers or None)."""
        size = (picture.shape[1], picture.shape[0])
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        return self._net.detect(picture)


def _face(row: NDArray[np.float32], factor: float) -> Face:
    """Row: x, y, w, h, five points (x, y) from the subject's right eye on, score."""
    values = [float(v) for v in row]
    points = Landmarks(*zip(values[4:14:2], values[5:14:2], strict=True))
    return Face(scaled_box(Box(*values[:4]), factor), scaled_points(points, factor), values[14])
