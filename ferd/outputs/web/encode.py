"""The only place that makes a picture into bytes: for the browser of somebody who looks, never for the disk."""

from __future__ import annotations

import cv2

from ferd.types import Frame, Image

WIDEST = 640
QUALITY = 70
"""JPEG quality: 640x480 of a room has about 40 kB."""
MOST_BYTES = 80_000
"""A camera's own JPEG of more is made anew: the way to those who look may be narrow."""


def jpeg(frame: Frame) -> bytes:
    """A JPEG of the picture, WIDEST pixels wide at most: the camera's own, where that will do."""
    if frame.jpeg is not None and frame.width <= WIDEST and len(frame.jpeg) <= MOST_BYTES:
        return frame.jpeg
    return encoded(frame.image)


def encoded(picture: Image) -> bytes:
    height, width = picture.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    good, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes() if good else b""
