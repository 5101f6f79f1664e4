"""Network cameras: RTSP, and MJPEG over http(s). A password in the address is never shown."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from ferd.config.source import redact
from ferd.errors import SourceError
from ferd.sources.base import as_image
from ferd.sources.opencv import OpenCvSource
from ferd.sources.stall import FIRST_FRAME_S, FRAME_S
from ferd.types import Frame

STILL_S = 30.0
"""A static scene may be the same, bit by bit, between two key frames of H.264 and H.265. They come every 1 to 10 s, and
from cameras that stretch them to save bandwidth every 20 s. Each JPEG carries the sensor's noise anew."""
CLEANUP_S = 2.0
"""Added to FFmpeg's limits for opening: its own time-out is to end the call, not the supervisor."""


class StreamCamera(OpenCvSource):
    """A network camera by its address. Frames carry the time at which they arrived, by `clock`.

    `open_s` and `read_s`: FFmpeg's time-outs in seconds for opening and for a read. Without them a stalled stream
    blocks for 30 s. The opening one covers connecting and finding out the format, but not resolving a name.
    """

    noisy = True

    def __init__(
        self,
        url: str,
        *,
        open_s: float = FIRST_FRAME_S,
        read_s: float = FRAME_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._in_jpeg = False
        self._limits_s = (open_s, read_s)
        super().__init__(redact(url), self._start, opening_s=open_s + read_s + CLEANUP_S, clock=clock)

    @property
    def still_s(self) -> float:
        """Seconds for which the encoder may repeat a static scene."""
        return 0.0 if self._in_jpeg else STILL_S

    def _start(self) -> cv2.VideoCapture:
        open_s, read_s = self._limits_s
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            int(open_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            int(read_s * 1000),
        ]
        capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self.name}: does not answer with a video. Check address, user and password, that the camera's "
                "stream is switched on, and whether `ffplay ADDRESS` shows it from this machine"
            )
        # JPEG streams are decoded here: that is cheaper, and the page can show the JPEG unchanged.
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        self._in_jpeg = codec == cv2.VideoWriter.fourcc(*"MJPG") and capture.set(cv2.CAP_PROP_FORMAT, -1)
        return capture

    def _frame(self, data: object, captured_at: float) -> Frame | None:
        if not self._in_jpeg or not isinstance(data, np.ndarray):
            return super()._frame(data, captured_at)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
        if image is None:
            return None
        return Frame(t=self._clock(), image=as_image(image, self.name), jpeg=data.tobytes(), captured_at=captured_at)
