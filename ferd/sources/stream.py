"""Network cameras: RTSP, and MJPEG over http(s). A password in the address is never shown."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from ferd.config.source import redact
from ferd.errors import SourceError
from ferd.sources.base import as_picture
from ferd.sources.capture import LiveCapture
from ferd.types import Frame

OPEN_S = 8.0
READ_S = 5.0


class StreamCamera(LiveCapture):
    """A network camera by its address. Frames carry the time at which they came, by `clock`.

    OpenCV's own limits are passed to the constructor: without them a stalled stream blocks for 30 s.
    """

    noisy = False

    def __init__(
        self,
        url: str,
        *,
        open_s: float = OPEN_S,
        read_s: float = READ_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._in_jpeg = False
        self._limits_s = (open_s, read_s)
        # The worker waits a little longer than OpenCV, whose own time-out leaves a cleaner state behind.
        super().__init__(redact(url), self._start, open_s=open_s + 2, read_s=read_s + 1, clock=clock)

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
        # A camera that sends JPEGs has them decoded here: cheaper, and the page can show them as they came.
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        self._in_jpeg = codec == cv2.VideoWriter.fourcc(*"MJPG") and capture.set(cv2.CAP_PROP_FORMAT, -1)
        return capture

    def _frame(self, data: object) -> Frame | None:
        if not self._in_jpeg or not isinstance(data, np.ndarray):
            return super()._frame(data)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
        if image is None:
            return None
        return Frame(t=self._clock(), image=as_picture(image, self.name), jpeg=data.tobytes())
