"""Cameras that send JPEG: find the pictures in their bytes, and decode them only as far as somebody needs."""

from __future__ import annotations

import math
import re

import cv2
import numpy as np

from ferd.errors import PictureError
from ferd.pictures import MAX_MEGAPIXELS, JpegHeaderReader, PictureHeader, decode_jpeg
from ferd.sources.base import SMALLEST_SIDE
from ferd.types import Deferred, Frame, Image

MAX_PART_BYTES = 16 << 20
"""Largest picture of a camera. A photo of 12 megapixels has 3 to 6 MB, a camera's picture 0.02 to 2 MB."""
MAX_HEADER_BYTES = 4 << 20
"""Of a part, before its compressed data. Cameras send a few hundred. OpenCV copies them."""
LARGEST_DECODED = 8.5
"""Megapixels: a larger picture (4K has 8.3) is decoded at half, a quarter or an eighth of its size."""
LARGEST_PROGRESSIVE = 6.0
"""Megapixels of a progressive JPEG, which takes 6 bytes a pixel. Cameras send baseline JPEG."""
KEPT_BYTES = 4 << 20
"""A larger picture is decoded at once, in gray, and its bytes are dropped: frames wait in several places."""
SMALL_WIDTH = 320
"""A JPEG's `small` image is the smallest scale that still has this width: what the detector searches."""
START, END = b"\xff\xd8", b"\xff\xd9"
_MARK = re.compile(rb"\xff[\xd8\xd9]")
_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,20})", re.IGNORECASE)
_TYPE = re.compile(rb"content-type:[ \t]*((?:image|video|text)/[\w.+-]{1,40})[\s;]", re.IGNORECASE)
_OTHER = re.compile(rb"\r?\n\r?\n(?:\x89(PNG)\r\n|RIFF....(WEBP))", re.DOTALL)
"""The start of a part that is called a JPEG and is none."""
_LOOK_AT = 2048
"""Bytes between two pictures in which headers of a part are looked for."""


class JpegSplitter:
    """Finds the pictures in the bytes of a camera, whatever is between them.

    The parts of multipart/x-mixed-replace come with and without lengths, with wrong boundaries, types and line ends,
    or as mere JPEGs one after the other. A JPEG says itself where it begins and ends: its header is a list of segments
    with lengths, and its compressed data holds no end marker but its own (T.81, B.1.1.5). So all of these are read
    alike, and a picture is complete with its last byte, not with the next boundary.

    `broken`: pictures in a row that were cut off or had a broken header.
    """

    def __init__(self, max_bytes: int = MAX_PART_BYTES) -> None:
        self.broken = 0
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._started = self._any_read = False
        self._header: PictureHeader | None = None
        self._reader = JpegHeaderReader()
        self._scanned = 0

    def feed(self, data: bytes) -> None:
        """Add bytes as they arrived."""
        self._buffer += data

    def next(self) -> tuple[bytes | bytearray, PictureHeader] | None:
        """Return the next complete picture with its header; None where more bytes are needed.

        Raises:
            PictureError: The part is larger than allowed, or is no JPEG.
        """
        while self._started or self._find_start():
            if self._header is None and not self._read_header():
                if self._started:
                    break
                continue
            header = self._header
            assert header is not None
            if header.data_at > MAX_HEADER_BYTES:
                raise PictureError(
                    f"sends {header.data_at / 1e6:.0f} MB of notes with each picture, more than the limit of "
                    f"{MAX_HEADER_BYTES >> 20} MB. Switch them off in the camera"
                )
            end, is_start = self._find_mark()
            if is_start:
                self._restart(end)
                continue
            if end < 0:
                self._scanned = max(header.data_at, len(self._buffer) - 1)
                break
            data = self._taken(end + len(END))
            self.broken, self._any_read = 0, True
            return data, header
        self._check_size(len(self._buffer))
        return None

    def _taken(self, size: int) -> bytes | bytearray:
        """Take the first `size` bytes out of the buffer: of a large picture the buffer itself, not a copy."""
        if size <= KEPT_BYTES:
            data = bytes(memoryview(self._buffer)[:size])
            self._drop(size)
            return data
        large = self._buffer
        self._buffer = large[size:]
        del large[size:]
        self._drop(0)
        return large

    def _find_mark(self) -> tuple[int, bool]:
        """Find the next end or start marker in the compressed data: its position, -1 for none, and whether it starts.

        One search for both: `bytes.find` for each takes five times as long.
        """
        found = _MARK.search(self._buffer, self._scanned)
        return (-1, False) if found is None else (found.start(), found[0] == START)

    def _find_start(self) -> bool:
        """Drop what comes before the next picture. Returns whether one begins."""
        at = self._buffer.find(START)
        self._started = at >= 0
        skipped = at if self._started else max(0, len(self._buffer) - _LOOK_AT)
        between = bytes(self._buffer[: min(_LOOK_AT, skipped if self._started else len(self._buffer))])
        self._check_part(between)
        del self._buffer[:skipped]
        return self._started

    def _check_part(self, head: bytes) -> None:
        """Raise PictureError for a part that announces itself as too large, or as no JPEG."""
        if found := _LENGTH.search(head):
            self._check_size(int(found[1]))
        found = _TYPE.search(head)
        if found and self._any_read and found[1].lower().startswith(b"text/"):
            return  # notes between the pictures, as of a motion sensor
        if found and found[1].lower() not in (b"image/jpeg", b"image/jpg", b"image/pjpeg"):
            kind = found[1].decode("ascii", "replace")
            raise PictureError(f"sends {kind}, not JPEG. Set the camera to MJPEG")
        if found := _OTHER.search(head):
            kind = found[found.lastindex or 0].decode()
            raise PictureError(f"sends {kind} called JPEG. Set the camera to MJPEG")

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise PictureError(
                f"sends a picture of {size / 1e6:.0f} MB, more than the limit of {self._max_bytes >> 20} MB. "
                "Ask it for smaller ones"
            )

    def _read_header(self) -> bool:
        """Read the header; where it is broken, look for the next picture."""
        try:
            self._header = self._reader.read(self._buffer)
        except PictureError:
            self._restart(2)
            return False
        if self._header is not None:
            self._scanned = self._header.data_at
        return self._header is not None

    def _restart(self, at: int) -> None:
        """Give the current picture up; go on with the bytes from `at`."""
        self.broken += 1
        self._drop(at)

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._started, self._header, self._scanned = False, None, 0
        self._reader = JpegHeaderReader()


def jpeg_frame(
    t: float,
    data: bytes | bytearray,
    header: PictureHeader,
    *,
    captured_at: float | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Frame:
    """Make a frame of a JPEG. It is decoded when it is needed, and only as far as it is needed.

    Raises:
        PictureError: It is too large, or too small to be a picture.
    """
    header.check(max_megapixels)
    reduce = next((scale for scale in (1, 2, 4) if header.megapixels <= LARGEST_DECODED * scale**2), 8)
    if header.progressive and header.megapixels > LARGEST_PROGRESSIVE:
        # Its decoder keeps all coefficients, 2 bytes for each: a scale saves nothing.
        raise PictureError(
            f"a progressive JPEG of {header.width}x{header.height} pixels needs too much memory. "
            f"Ask the camera for baseline JPEG, or for {LARGEST_PROGRESSIVE:g} megapixels at most"
        )
    height, width = (math.ceil(side / reduce) for side in header.shape)
    if min(height, width) < SMALLEST_SIDE:
        raise PictureError(f"a picture of {width}x{height} pixels shows no face")
    if len(data) > KEPT_BYTES:
        return Frame(t, decode_jpeg(data, gray=True, reduce=reduce), captured_at=captured_at)
    data = bytes(data)
    gray = Deferred((height, width), lambda: decode_jpeg(data, gray=True, reduce=reduce))
    image = Deferred((height, width), lambda: decode_jpeg(data, gray=False, reduce=reduce))
    return Frame(
        t,
        image,
        _small(data, gray, reduce),
        jpeg=data if reduce == 1 else None,
        captured_at=captured_at,
        gray=gray,
        encoded=data,
    )


def _small(data: bytes, gray: Deferred, reduce: int) -> Deferred | None:
    """Decode at the smallest scale that fills the detector's input; shrink what is decoded already instead."""
    height, width = gray.shape
    scale = next((scale for scale in (8, 4, 2) if width // scale >= SMALL_WIDTH and reduce * scale <= 8), None)
    if scale is None:
        return None
    shape = math.ceil(height / scale), math.ceil(width / scale)

    def make() -> Image:
        if gray.made:
            return np.asarray(cv2.resize(gray.get(), shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return decode_jpeg(data, gray=True, reduce=reduce * scale)

    return Deferred(shape, make)
