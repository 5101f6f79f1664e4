"""What all sources that read through OpenCV share: quiet logs, a worker thread, time-outs, distrust of frames."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

import cv2

from ferd.errors import SourceError
from ferd.sources.base import as_picture
from ferd.sources.worker import Worker
from ferd.types import Frame

CLOSE_S = 1.0
MOST_BROKEN = 30
"""Broken pictures in a row, after which the camera counts as failed."""

# FFmpeg writes straight to stderr, addresses with their passwords included. Read once, when OpenCV first loads it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_quiet_lock = threading.Lock()
_quiet_depth = 0
_loud_level = 0


def set_log_level(level: int) -> int:
    """Sets OpenCV's log level (0 is silent) and returns the one before."""
    # cv2.setLogLevel up to 4.11, cv2.utils.logging.setLogLevel in 4.14.
    place = cv2 if hasattr(cv2, "setLogLevel") else getattr(cv2.utils, "logging", None)
    return int(place.setLogLevel(level)) if place else level


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """OpenCV writes no warnings meanwhile: what it has to say is said better by our own errors.

    The level is one for the whole process, so overlapping uses are counted.
    """
    global _quiet_depth, _loud_level  # noqa: PLW0603  # OpenCV's log level is global; so is our count of it
    with _quiet_lock:
        if _quiet_depth == 0:
            _loud_level = set_log_level(0)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                set_log_level(_loud_level)


class LiveCapture:
    """A live source read through cv2.VideoCapture, opened by `connect`, which returns it or raises SourceError.

    `connect` and every call to the capture run in the worker's thread. `open_s` and `read_s` are the longest times
    to wait, in seconds. Frames carry the time at which they came, by `clock`.
    """

    noisy = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], cv2.VideoCapture],
        *,
        open_s: float,
        read_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._connect = connect
        self._open_s = open_s
        self._read_s = read_s
        self._clock = clock
        self._worker = Worker(name)
        self._capture: cv2.VideoCapture | None = None
        self._closed = threading.Event()

    @property
    def hangs(self) -> bool:
        return self._worker.hangs

    def open(self) -> None:
        try:
            self._worker.call(self._open, self._open_s)
        except TimeoutError:
            self.close()
            raise SourceError(f"{self.name}: did not open within {self._open_s:g} s. Is it there and awake?") from None
        except BaseException:
            self.close()
            raise

    def read(self) -> Frame:
        if self._closed.is_set():
            raise SourceError(f"{self.name}: is closed")
        try:
            return self._worker.call(self._read, self._read_s)
        except TimeoutError:
            raise SourceError(
                f"{self.name}: no picture for {self._read_s:g} s. Check cable, power or network"
            ) from None

    def close(self) -> None:
        self._closed.set()
        self._worker.stop(self._release, CLOSE_S)

    def _open(self) -> None:
        with quiet():
            self._capture = self._connect()

    def _read(self) -> Frame:
        if self._capture is None:
            raise SourceError(f"{self.name}: is not open")
        for _ in range(MOST_BROKEN):
            with quiet():
                ok, data = self._capture.read()
                if not ok:
                    raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
                frame = self._frame(data)
            if frame is not None:
                return frame
        raise SourceError(f"{self.name}: delivers broken pictures. Check the network, or ask for smaller ones")

    def _frame(self, data: object) -> Frame | None:
        """What was read, as a frame; None for a broken picture, which the next one may not be."""
        return Frame(t=self._clock(), image=as_picture(data, self.name))

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
