"""What all sources that read through OpenCV share: quiet logs, and checks of what OpenCV delivers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import cv2

from ferd.errors import SourceError
from ferd.pictures import quiet
from ferd.sources.base import as_image
from ferd.types import Frame

MOST_BROKEN = 30
"""Broken images in a row after which the camera counts as failed."""

# Seconds that a read of a V4L2 device waits for a frame: ten where it is not set. Read once, at the first such wait.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")

OLDEST_STAMP_S = 10.0
"""A time stamp older than this is of another clock: drivers without time stamps give 0."""


class OpenCvSource:
    """A live source read through cv2.VideoCapture, opened by `connect`, which returns it or raises SourceError.

    Frames carry the time at which they arrived, by `clock`, and the monotonic time of their capture where the driver
    says it (`stamped`: V4L2 does), else the time at which the read returned, before decoding.
    """

    noisy = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], cv2.VideoCapture],
        *,
        opening_s: float = 0.0,
        stamped: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.opening_s = opening_s
        self._connect = connect
        self._stamped = stamped
        self._clock = clock
        self._capture: cv2.VideoCapture | None = None

    def open(self) -> None:
        with quiet():
            self._capture = self._connect()

    def read(self) -> Frame:
        if self._capture is None:
            raise SourceError(f"{self.name}: is not open")
        for _ in range(MOST_BROKEN):
            with quiet():
                if not self._capture.grab():
                    raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
                captured_at = self._captured_at(self._capture)
                ok, data = self._capture.retrieve()
                if not ok:
                    raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
                frame = self._frame(data, captured_at)
            if frame is not None:
                return frame
        raise SourceError(f"{self.name}: delivers broken pictures. Check the network, or ask for smaller ones")

    def interrupt(self) -> None:
        """Do nothing: only OpenCV's own time-outs end its calls."""

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _frame(self, data: object, captured_at: float) -> Frame | None:
        """Make a frame of what was read; None for a broken image, after which the next one may be good."""
        return Frame(t=self._clock(), image=as_image(data, self.name), captured_at=captured_at)

    def _captured_at(self, capture: cv2.VideoCapture) -> float:
        now = time.monotonic()
        return capture_time(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, now) if self._stamped else now


def capture_time(stamp: float, now: float) -> float:
    """Return a driver's time stamp if it is a time of the monotonic clock shortly before `now`, else `now`."""
    return stamp if now - OLDEST_STAMP_S < stamp <= now else now
