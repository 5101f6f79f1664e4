"""The camera of the device that shows the page: its browser sends JPEGs, the capture thread reads them here.

The page's server puts pictures into an inbox, and notes there why none come. One inbox belongs to each source of a
configuration ("browser", "browser:1"), for the whole process: a camera that is opened again finds who sends already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ferd.errors import SourceError
from ferd.types import Frame

NAME = "browser camera"
OPEN_WAIT_S = 20.0
"""`open` waits this long for a picture, then fails as the camera that is not plugged in does: its supervision goes on,
and a camera that is still missing is known to be missing. Less than the supervisor's own limit (stall.py)."""
RETRY_S = 0.5
"""Longest pause between two attempts: `open` waits by itself, and somebody who presses Start must not wait."""
READ_SHARE = 0.9
"""Share of the supervisor's limit for a picture after which `read` gives the reason, before the supervisor guesses."""

NOBODY = "no browser sends pictures. Open ferd's page on the device that has the camera, and press Start there"
ELSEWHERE = (
    'pictures come through ferd\'s page, and only into the running ferd. Use "Teach" on the page, or another --source'
)
LATE = "the browser sends no pictures although its camera is on. Its device or its network may be too slow"


class BrowserInbox:
    """A slot for the newest picture, and the reason while there is none. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._reason: str | None = NOBODY
        self._reported: str | None = None
        self.dropped = 0
        """Pictures that a newer one replaced before they were read."""

    def offer(self, frame: Frame) -> None:
        """Put a picture into the slot. One that waits there is replaced."""
        with self._changed:
            self.dropped += self._frame is not None
            self._frame, self._reason, self._reported = frame, None, None
            self._changed.notify_all()

    def note(self, reason: str) -> None:
        """Note why no more pictures come; it is what the camera reports as its failure."""
        with self._changed:
            self._frame, self._reason = None, reason
            self._changed.notify_all()

    def reason(self) -> str | None:
        """Return why no picture comes; None while some come."""
        with self._changed:
            return self._reason

    def wake(self) -> None:
        """End the waits of readers that were interrupted."""
        with self._changed:
            self._changed.notify_all()

    def take(self, timeout_s: float, *, is_interrupted: Callable[[], bool], is_open: bool) -> Frame:
        """Return the next picture.

        Args:
            timeout_s: Wait this long at most.
            is_interrupted: Whether the reader was asked to end.
            is_open: Pictures came before, so that any reason is a failure; else only one that was not reported yet.

        Raises:
            SourceError: None comes, with the reason.
        """
        until = time.monotonic() + timeout_s
        with self._changed:
            while self._frame is None and not is_interrupted():
                left_s = until - time.monotonic()
                is_news = self._reason is not None and (is_open or self._reason != self._reported)
                if is_news or left_s <= 0:
                    self._reported = self._reason = self._reason or LATE
                    raise SourceError(f"{NAME}: {self._reason}")
                self._changed.wait(left_s)
            frame, self._frame = self._frame, None
        if frame is None:
            raise SourceError(f"{NAME}: is closed")
        return frame


_lock = threading.Lock()
_inboxes: dict[str, BrowserInbox] = {}
_page_runs = threading.Event()


def note_page() -> None:
    """Note that this process serves the page: without it no picture can come, and the camera says so at once."""
    _page_runs.set()


def inbox(source: str) -> BrowserInbox:
    """Return the inbox of a source: "browser", "browser:1"."""
    with _lock:
        return _inboxes.setdefault(source, BrowserInbox())


class BrowserCamera:
    """Read what the browser sends. ``frame_s``: the supervisor's limit for a picture, in seconds."""

    name = NAME
    noisy = True
    opening_s = 0.0
    longest_retry_s = RETRY_S

    def __init__(self, source: str, *, frame_s: float) -> None:
        self._inbox, self._read_s = inbox(source), READ_SHARE * frame_s
        self._interrupted = threading.Event()
        self._first: Frame | None = None

    def open(self) -> None:
        """Wait for the first picture. Fails at once for a reason that was not reported yet, else after OPEN_WAIT_S."""
        if not _page_runs.is_set():
            raise SourceError(f"{NAME}: {ELSEWHERE}")
        self._first = self._inbox.take(OPEN_WAIT_S, is_interrupted=self._interrupted.is_set, is_open=False)

    def read(self) -> Frame:
        first, self._first = self._first, None
        if first is not None:
            return first
        return self._inbox.take(self._read_s, is_interrupted=self._interrupted.is_set, is_open=True)

    def interrupt(self) -> None:
        self._interrupted.set()
        self._inbox.wake()

    def close(self) -> None:
        self.interrupt()
