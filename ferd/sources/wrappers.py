"""Sources around other sources: rotated, played at its own speed, or the first of several that works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import cv2
import numpy as np

from ferd.errors import SourceError
from ferd.extras import Environment
from ferd.sources.base import Source
from ferd.sources.stall import FIRST_FRAME_S
from ferd.types import Frame, Image

log = logging.getLogger(__name__)

Rotation = Literal[0, 90, 180, 270]

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

MOST_BEHIND_S = 1.0
"""Seconds. Playback that is further behind than this (a slow disk, a suspended machine) does not catch up."""

NONE_FOUND = (
    f"no camera found. {Environment.here().add_camera}; "
    '`ferd cameras` lists what is there and why it cannot be used; source = "demo" shows ferd without a camera'
)

_trying_lock = threading.Lock()
_trying: set[str] = set()


class SourceWrapper:
    """A source that passes every call on to another one."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def noisy(self) -> bool:
        return self._source.noisy

    @property
    def still_s(self) -> float:
        return float(getattr(self._source, "still_s", 0.0))

    @property
    def longest_retry_s(self) -> float:
        return float(getattr(self._source, "longest_retry_s", float("inf")))

    @property
    def opening_s(self) -> float:
        return self._source.opening_s

    def open(self) -> None:
        self._source.open()

    def read(self) -> Frame:
        return self._source.read()

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()


class RotatedSource(SourceWrapper):
    """A source whose images are rotated clockwise, then mirrored left to right."""

    def __init__(self, source: Source, *, rotate: Rotation = 0, mirror: bool = False) -> None:
        super().__init__(source)
        self._rotate = rotate
        self._mirror = mirror

    def read(self) -> Frame:
        return super().read().transformed(self._turn, self._size)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        return (width, height) if self._rotate in (90, 270) else (height, width)

    def _turn(self, image: Image) -> Image:
        return rotate_image(image, rotate=self._rotate, mirror=self._mirror)


class StretchedSource(SourceWrapper):
    """A source whose images are squeezed: they get the ratio `aspect` of width to height, by another width."""

    def __init__(self, source: Source, aspect: float) -> None:
        super().__init__(source)
        self._aspect = aspect

    def read(self) -> Frame:
        return super().read().transformed(self._stretch, self._size)

    def _size(self, height: int, _width: int) -> tuple[int, int]:
        return height, max(1, round(height * self._aspect))

    def _stretch(self, image: Image) -> Image:
        height, width = self._size(*image.shape[:2])
        if width == image.shape[1]:
            return image
        how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def rotate_image(image: Image, *, rotate: Rotation = 0, mirror: bool = False) -> Image:
    """Rotate `image` ((H, W) or (H, W, 3)) clockwise by `rotate` degrees, then mirror it if `mirror`."""
    if rotate:
        image = np.asarray(cv2.rotate(image, _ROTATIONS[rotate]), np.uint8)
    if mirror:
        image = np.asarray(cv2.flip(image, 1), np.uint8)
    return image


class PacedSource(SourceWrapper):
    """Plays a file (or the demo scene) at its own speed, as if it were a camera.

    `wait(seconds)` sleeps and returns True when the source was interrupted; the default wakes at once.
    """

    def __init__(
        self,
        source: Source,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(source)
        self._clock = clock
        self._interrupted = threading.Event()
        self._wait = wait or self._interrupted.wait
        self._start: float | None = None

    def read(self) -> Frame:
        if self._interrupted.is_set():
            raise SourceError(f"{self.name}: is closed")
        frame = super().read()
        if self._wait(self._ahead(frame.t)):
            raise SourceError(f"{self.name}: is closed")
        return frame.captured(self._clock())

    def interrupt(self) -> None:
        self._interrupted.set()
        super().interrupt()

    def close(self) -> None:
        self._interrupted.set()
        super().close()

    def _ahead(self, t: float) -> float:
        """Return the seconds until the frame of time `t` is due; 0 if it is late."""
        now = self._clock()
        if self._start is None:
            self._start = now - t
        ahead = self._start + t - now
        if ahead < -MOST_BEHIND_S:
            self._start = now - t
        return max(ahead, 0.0)


class FirstWorkingSource:
    """Tries each candidate when it is opened, and is from then on the first one that delivered an image.

    `candidates` is called by ``open``: what is plugged in may have changed since the configuration was read. One in
    which an earlier attempt still hangs is passed over, so that a broken camera does not hide a working one.
    """

    def __init__(self, candidates: Callable[[], Iterable[Source]]) -> None:
        self._candidates = candidates
        self._source: Source | None = None
        self._first: Frame | None = None
        self._interrupted = False
        self._opening_s = 0.0

    @property
    def name(self) -> str:
        return "auto" if self._source is None else self._source.name

    @property
    def noisy(self) -> bool:
        return self._source is None or self._source.noisy

    @property
    def still_s(self) -> float:
        return float(getattr(self._source, "still_s", 0.0))

    @property
    def opening_s(self) -> float:
        """Seconds from the start, with the full time for the candidate that is tried now."""
        return self._opening_s

    def open(self) -> None:
        began, reasons = time.monotonic(), []
        for source in self._candidates():
            if self._interrupted:
                break
            with _try(source.name) as is_free:
                if not is_free:
                    reasons.append(f"{source.name}: an earlier attempt to open it still hangs")
                    continue
                self._opening_s = time.monotonic() - began + max(source.opening_s, FIRST_FRAME_S)
                self._source = source
                try:
                    source.open()
                    self._first = source.read()
                except SourceError as error:
                    source.close()
                    reasons.append(str(error))
                else:
                    log.info("camera chosen name=%r passed_over=%r", source.name, reasons)
                    return
        self._source = None
        raise SourceError("\n  ".join([NONE_FOUND, *reasons]))

    def read(self) -> Frame:
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._source is None:
            raise SourceError(f"{self.name}: is not open")
        return self._source.read()

    def interrupt(self) -> None:
        self._interrupted = True
        source = self._source
        if source is not None:
            source.interrupt()

    def close(self) -> None:
        if self._source is not None:
            self._source.close()


@contextmanager
def _try(name: str) -> Iterator[bool]:
    """Mark the device `name` as being tried meanwhile; yields False where another attempt is in it."""
    with _trying_lock:
        is_free = name not in _trying
        _trying.add(name)
    try:
        yield is_free
    finally:
        if is_free:
            with _trying_lock:
                _trying.discard(name)
