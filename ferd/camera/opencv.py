"""What all sources that read through OpenCV share: quiet logs, a worker thread, time-outs, distrust of frames."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

import cv2

from ferd.camera.source import as_picture
from ferd.camera.worker import Worker
from ferd.data import Frame
from ferd.errors import SourceError

CLOSE_S = 1.0

# FFmpeg writes straight to stderr, addresses with their passwords included. Read once, when OpenCV first loads it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_quiet_lock = threading.Lock()
_quiet_depth = 0
_loud_level = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """OpenCV writes no warnings meanwhile: what it has to say is said better by our own errors.

    The level is one for the whole process, so overlapping uses are counted.
    """
    global _quiet_depth, _loud_level  # noqa: PLW0603  # OpenCV's log level is global; so is our count of it
    log = getattr(cv2.utils, "logging", None)
    if log is None:  # the OpenCV of older distributions
        yield
        return
    with _quiet_lock:
        if _quiet_depth == 0:
            _loud_level = log.setLogLevel(log.LOG_LEVEL_SILENT)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                log.setLogLevel(_loud_level)


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
        with quiet():
            ok, image = self._capture.read()
        if not ok:
            raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
        return Frame(t=self._clock(), image=as_picture(image, self.name))

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
