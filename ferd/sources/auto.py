""" "auto": the first source that really delivers a picture."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.types import Frame

log = logging.getLogger(__name__)

NONE_FOUND = (
    "no camera found. Plug in a webcam, or connect a Pi camera and `sudo apt install python3-picamera2`; "
    '`ferd cameras` says what is there and why it cannot be used; source = "demo" shows ferd without a camera'
)


class FirstWorkingSource:
    """Tries each candidate when it is opened, and is from then on the first one that gave a picture.

    `candidates` is asked at ``open``: what is plugged in may have changed since the configuration was read.
    """

    def __init__(self, candidates: Callable[[], Iterable[Source]]) -> None:
        self._candidates = candidates
        self._source: Source | None = None
        self._tried: list[Source] = []
        self._first: Frame | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return "auto" if self._source is None else self._source.name

    @property
    def noisy(self) -> bool:
        return self._source is None or self._source.noisy

    @property
    def hangs(self) -> bool:
        with self._lock:
            return any(source.hangs for source in self._tried)

    def open(self) -> None:
        reasons = []
        for source in self._candidates():
            if not self._adopt(source):
                break
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

    def close(self) -> None:
        with self._lock:
            self._closed = True
            source = self._source
        if source is not None:
            source.close()

    def _adopt(self, source: Source) -> bool:
        """Makes `source` the one that close() closes; False when this was closed meanwhile."""
        with self._lock:
            if not self._closed:
                self._source = source
                self._tried.append(source)
            return not self._closed
