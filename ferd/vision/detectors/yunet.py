"""Detect faces by YuNet (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023) through OpenCV.

The user brings the file; OpenCV runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ConfigError, ModelError
from ferd.fs import is_file
from ferd.models.registry import check_yunet
from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.detectors.base import scaled_box, scaled_landmarks, working_size

DEFAULT_THRESHOLD = 0.7


class YunetDetector:
    """Detect faces with five landmarks."""

    name = "yunet"
    gray = False

    def __init__(self, file: Path, min_face_px: int, threshold: float = DEFAULT_THRESHOLD) -> None:
        """Load a YuNet file.

        Args:
            min_face_px: in pixels of the frame.
            threshold: score from which on something is a face.

        Raises:
            ConfigError: the file is missing or is not YuNet.
        """
        self._min_face = min_face_px
        self._size = (0, 0)
        if not is_file(file):
            raise ConfigError(f"{file}: no such file; detector.yunet must name the YuNet .onnx file")
        try:
            check_yunet(file)
        except ModelError as error:
            raise ConfigError(str(error)) from None
        try:
            self._net = cv2.FaceDetectorYN.create(str(file), "", (320, 240), threshold)
            self._net.detect(np.zeros((240, 320, 3), np.uint8))
        except cv2.error as error:
            reason = str(error).strip().splitlines()[0][:120]
            raise ConfigError(f"{file}: OpenCV cannot use it as YuNet ({reason}); download it again") from None

    def __call__(self, frame: Frame) -> list[Face]:
        image = self.prepare(frame)
        factor = frame.width / image.shape[1]
        _, rows = self.search(image)
        faces = [] if rows is None else [_face(row, factor) for row in rows]
        return [face for face in faces if max(face.box.w, face.box.h) >= self._min_face]

    def prepare(self, frame: Frame) -> Image:
        size = working_size(frame)
        image = frame.image
        if image.shape[1::-1] != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)

    def search(self, image: Image) -> Any:
        """Return (status, rows of 15 numbers or None)."""
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        return self._net.detect(image)


def _face(row: NDArray[np.float32], factor: float) -> Face:
    """Read a row: x, y, w, h, five landmarks (x, y) beginning with the subject's right eye, score."""
    values = [float(v) for v in row]
    points = Landmarks(*zip(values[4:14:2], values[5:14:2], strict=True))
    return Face(scaled_box(Box(*values[:4]), factor), scaled_landmarks(points, factor), values[14])
