"""The only place that makes a picture into bytes: for the browser of somebody who looks, never for the disk."""

from __future__ import annotations

import cv2

from ferd.data import Picture

WIDEST = 640
QUALITY = 70
"""JPEG quality: 640x480 of a room has about 40 kB."""


def jpeg(picture: Picture) -> bytes:
    """A JPEG of the picture, made smaller where it is wider than WIDEST pixels."""
    height, width = picture.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    good, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes() if good else b""
