"""Plays a file (or the demo scene) at its own speed, as if it were a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.types import Frame

MOST_BEHIND_S = 1.0
"""Seconds. A player further behind than this (a slow disk, a suspended box) does not hurry to catch up."""


class PacedSource:
    """A source that hands out each frame when its time has come, by `clock`.

    `wait(seconds)` sleeps and returns True when the source was closed meanwhile; the default wakes at once on close.
    """

    def __init__(
        self,
        source: Source,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._begin: float | None = None

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def noisy(self) -> bool:
        return self._source.noisy

    @property
    def hangs(self) -> bool:
        return self._source.hangs

    def open(self) -> None:
        self._source.open()

    def read(self) -> Frame:
        if self._closed.is_set():
            raise SourceError(f"{self.name}: is closed")
        frame = self._source.read()
        if self._wait(self._ahead(frame.t)):
            raise SourceError(f"{self.name}: is closed")
        return frame

    def close(self) -> None:
        self._closed.set()
        self._source.close()

    def _ahead(self, t: float) -> float:
        """Seconds until the frame of time `t` is due; 0 if it is late."""
        now = self._clock()
        if self._begin is None:
            self._begin = now - t
        ahead = self._begin + t - now
        if ahead < -MOST_BEHIND_S:
            self._begin = now - t
        return max(ahead, 0.0)
