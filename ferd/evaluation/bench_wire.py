"""Take pictures from the bytes that a camera sends, and make pictures of several faces, to measure what they cost."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import cv2
import numpy as np

from ferd.config import CameraConfig
from ferd.errors import FerdError
from ferd.sources.factory import open_source
from ferd.sources.jpeg import JpegSplitter, jpeg_frame
from ferd.types import Face, Frame, Image

QUALITY = 85
"""Of the JPEG: a webcam's 640x480 then has 30 to 60 kB."""
WIDTH, HEIGHT = 640, 480
MOST_FACES = 20
CELL = (128, 120)
"""Width and height of one face in a picture of several: five in a row."""
MARGIN = 1.6
"""Side of what is cut around a face, in heights of its box."""


class WirePart:
    """The bytes of one picture in a stream of multipart/x-mixed-replace."""

    def __init__(self, image: Image) -> None:
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        self.data = cv2.imencode(".jpg", image, options)[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.data)}\r\n\r\n"
        self._part = head.encode() + self.data + b"\r\n"
        self._splitter = JpegSplitter()

    def frame(self, t: float) -> Frame:
        """Find the picture in the bytes and make a frame of it, as for a network camera."""
        self._splitter.feed(self._part)
        found = self._splitter.next()
        assert found is not None
        return jpeg_frame(t, *found)

    def decode_colour(self) -> Image:
        """Decode the picture to colour, which ferd does for the page only: for comparison."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def frames_of(text: str) -> Generator[Callable[[], Frame], None, None]:
    """Yield, for each frame of a file, the call that reads it; the last one raises SourceEnded."""
    source = open_source(CameraConfig(source=text), live=False)
    source.open()
    try:
        while True:
            yield source.read
    finally:
        source.close()


def several(image: Image, face: Face, faces: int) -> Image:
    """Make a picture (480, 640, 3) that shows the face of another picture several times."""
    if not 1 <= faces <= MOST_FACES:
        raise FerdError(f"--faces must be 1 to {MOST_FACES}")
    x, y = face.box.centre
    side = MARGIN * max(face.box.w, face.box.h)
    size = (round(side * CELL[0] / CELL[1]), round(side))
    cell = cv2.resize(cv2.getRectSubPix(image, size, (x, y)), CELL, interpolation=cv2.INTER_AREA)
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for left, top in _cells(faces):
        picture[top : top + CELL[1], left : left + CELL[0]] = cell
    return picture


def _cells(faces: int) -> Iterator[tuple[int, int]]:
    for number in range(faces):
        yield number % 5 * CELL[0], number // 5 * CELL[1]
