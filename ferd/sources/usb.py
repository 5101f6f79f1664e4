"""USB webcams and other V4L2 cameras, through OpenCV, in the format in which the camera sends its pictures.

JPEG is decoded, and YUV converted, only as far as somebody needs it: see raw.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.opencv import OpenCvSource
from ferd.sources.raw import FORMATS, frame_of
from ferd.types import Frame

log = logging.getLogger(__name__)

Connect = Callable[[str], cv2.VideoCapture]


class UsbCamera:
    """A V4L2 camera by its node ("/dev/video0"), its stable link ("/dev/v4l/by-id/…") or None: the first one found.

    Asks for MJPG, the only format in which cheap webcams reach their frame rate over USB 2, and logs what it got.
    OpenCV's answers are not trusted: after the camera was unplugged read() may return True, or repeat the last image
    (opencv issues 5746 and 14044), so the node is checked before and after every read.
    """

    noisy = True
    opening_s = 0.0

    def __init__(
        self,
        path: str | Path | None,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        connect: Connect | None = None,
        dev: Path = v4l2.DEV,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._size = (width, height)
        self._fps = fps
        self._connect = connect or (lambda node: cv2.VideoCapture(node, cv2.CAP_V4L2))
        self._dev = dev
        self._node: Path | None = None
        self.name = f"usb camera {self._path or '(first found)'}"
        self._format = ""
        self._capture = OpenCvSource(self.name, self._start, stamped=True, clock=clock, frame_of=self._frame)

    def open(self) -> None:
        self._capture.open()

    def read(self) -> Frame:
        self._check_plugged_in()
        try:
            frame = self._capture.read()
        except SourceError:
            self._check_plugged_in()
            raise
        self._check_plugged_in()
        return frame

    def interrupt(self) -> None:
        self._capture.interrupt()

    def close(self) -> None:
        self._capture.close()

    def _check_plugged_in(self) -> None:
        if self._node is not None and not self._node.exists():
            raise SourceError(f"{self.name}: was unplugged ({self._node} is gone). Plug it in again")

    def _start(self) -> cv2.VideoCapture:
        node = self._choose()
        capture = self._connect(str(node.path))
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self.name}: {node.path} does not start. Most likely another program uses it: "
                f"`fuser -v {node.path}` names it. If none does, unplug the camera and plug it in again"
            )
        self._configure(capture)
        self._node = node.path
        return capture

    def _choose(self) -> v4l2.Node:
        if self._path is None:
            found = v4l2.cameras(self._dev)
            if not found:
                raise SourceError(
                    "usb camera: none found. Is it plugged in? `ferd cameras` lists what is there, with reasons"
                )
            return found[0]
        node = v4l2.describe(self._path)
        if node.reason is not None:
            raise SourceError(f"{self.name}: {node.path} {node.reason}")
        return node

    def _configure(self, capture: cv2.VideoCapture) -> None:
        # The format before the size: sizes depend on it, and setting it resets them.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        # One buffer, so that a slow reader gets a fresh image and not one of four frames ago.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._format = fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))
        if self._format not in FORMATS or not capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
            self._format = ""
        log.info(
            "usb camera opened name=%r format=%s size=%dx%d fps=%g asked=%dx%d@%g",
            self.name,
            self._format or fourcc_name(capture.get(cv2.CAP_PROP_FOURCC)),
            capture.get(cv2.CAP_PROP_FRAME_WIDTH),
            capture.get(cv2.CAP_PROP_FRAME_HEIGHT),
            capture.get(cv2.CAP_PROP_FPS),
            *self._size,
            self._fps,
        )

    def _frame(self, data: Any, t: float, captured_at: float) -> Frame | None:
        return frame_of(self._format, data, t, captured_at, self.name)


def fourcc_name(value: float) -> str:
    """Return OpenCV's number of a pixel format as its four letters: 1196444237.0 is "MJPG"."""
    number = int(value)
    return "".join(chr(number >> shift & 0x7F) for shift in (0, 8, 16, 24)) if number > 0 else "unknown"
