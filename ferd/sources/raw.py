"""Make frames of what a V4L2 driver delivers, without converting what nobody needs.

Formats: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html. YUV of webcams has limited range and the colours
of BT.601, as V4L2 says where a driver does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ferd.errors import PictureError
from ferd.pictures import full_range, jpeg_header
from ferd.sources.base import as_image
from ferd.sources.jpeg import END, jpeg_frame
from ferd.types import Deferred, Frame, Image

Plane = Callable[[Image], Image]


def _first(image: Image) -> Image:
    return np.ascontiguousarray(image[:, :, 0])


def _second(image: Image) -> Image:
    return np.ascontiguousarray(image[:, :, 1])


def _upper(image: Image) -> Image:
    return image[: image.shape[0] * 2 // 3]


_YUV: dict[str, tuple[int, Plane, int]] = {
    # name: dimensions of the array, its luma, how OpenCV converts it
    "YUYV": (3, _first, cv2.COLOR_YUV2BGR_YUYV),
    "UYVY": (3, _second, cv2.COLOR_YUV2BGR_UYVY),
    "NV12": (2, _upper, cv2.COLOR_YUV2BGR_NV12),
    "NV21": (2, _upper, cv2.COLOR_YUV2BGR_NV21),
    "YU12": (2, _upper, cv2.COLOR_YUV2BGR_I420),
    "YV12": (2, _upper, cv2.COLOR_YUV2BGR_YV12),
}
_JPEG = ("MJPG", "JPEG")
FORMATS = frozenset({*_YUV, *_JPEG})
"""What is taken as the driver delivers it; OpenCV converts other formats."""


def frame_of(name: str, data: Any, t: float, captured_at: float, source: str) -> Frame | None:
    """Make a frame of an array in the format `name`; "" for an image that OpenCV converted. None for a broken picture.

    Raises:
        SourceError: It is not a picture of this format.
    """
    if name in _JPEG and isinstance(data, np.ndarray) and data.dtype == np.uint8 and min(data.shape[:2]) == 1:
        return _jpeg(data.tobytes(), t, captured_at)
    yuv = _YUV.get(name)
    if yuv is None or not _fits(data, yuv[0]):
        return Frame(t, as_image(data, source), captured_at=captured_at)
    _dimensions, luma, code = yuv
    height, width = luma(data).shape
    gray = Deferred((height, width), lambda: full_range(luma(data)))
    as_image(gray.get(), source)
    image = Deferred((height, width), lambda: np.asarray(cv2.cvtColor(data, code), np.uint8))
    return Frame(t, image, gray=gray, captured_at=captured_at)


def _fits(data: Any, dimensions: int) -> bool:
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != dimensions:
        return False
    return bool(data.shape[2] == 2) if dimensions == 3 else data.shape[0] % 3 == 0 and data.shape[0] > 1


def _jpeg(data: bytes, t: float, captured_at: float) -> Frame | None:
    """Make a frame of a driver's buffer. Its JPEG may lack tables (AVI1) or an end, and be followed by padding."""
    try:
        header = jpeg_header(data)
        if header is None:
            return None
        end = data.rfind(END, header.data_at)
        return jpeg_frame(t, data if end < 0 else data[: end + len(END)], header, captured_at=captured_at)
    except PictureError:
        return None
