"""The capture thread: the only thread that touches a camera's device. It opens, reads and closes it, in order.

Camera calls can block without end: a loose ribbon cable, low voltage or an unplugged webcam leaves them waiting in the
kernel (picamera2 issues 336 and 794). Python cannot interrupt such a call, and releasing an OpenCV capture in one
thread while another reads from it is a crash. So nobody but this thread calls the device; others only set a flag.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from ferd.errors import FerdError
from ferd.redaction import redact_text
from ferd.sources.base import Source
from ferd.types import Frame

log = logging.getLogger(__name__)

T = TypeVar("T")

_lock = threading.Lock()
_running: set[object] = set()


def any_hung() -> bool:
    """Tell whether a thread may still be in a call to a camera's library.

    Ask when all cameras are stopped. If so the process must end by ``os._exit``: a native call that returns while the
    interpreter is torn down ends its thread in the middle of C++ code, and the process aborts.
    """
    with _lock:
        return bool(_running)


class CaptureThread:
    """Makes a source with `factory`, opens it, passes each frame to `deliver`, and closes it at a failure or a stop.

    `notify` is called without arguments when the source has failed and once more when it is closed.
    """

    def __init__(
        self,
        factory: Callable[[], Source],
        deliver: Callable[[CaptureThread, Source, Frame], None],
        notify: Callable[[], None],
        name: str,
    ) -> None:
        self.source: Source | None = None
        self.failure: str | None = None
        """Why it ended. Set before the source is closed, so that a hanging close is noticed."""
        self._factory, self._deliver, self._notify = factory, deliver, notify
        self._stop, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when the system gives no more threads."""
        with _lock:
            _running.add(self)
        try:
            self._thread.start()
        except BaseException:
            _discard(self)
            raise

    def interrupt(self) -> None:
        """Ask the thread to close its source and end. Returns at once."""
        self._stop.set()
        source = self.source
        if source is not None:
            source.interrupt()

    @property
    def ended(self) -> bool:
        """True once the source is closed."""
        return self._ended.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the source is closed, at most `timeout_s` seconds. Returns False when it is not."""
        return self._ended.wait(timeout_s)

    def _run(self) -> None:
        try:
            self.failure = self._capture()
            self._notify()
            self._close()
        finally:
            _discard(self)
            self._ended.set()
            self._notify()

    def _capture(self) -> str:
        try:
            source = self.source = self._factory()
            if not self._stop.is_set():
                source.open()
            while not self._stop.is_set():
                self._deliver(self, source, source.read())
        except FerdError as error:
            return str(error)
        except Exception as error:  # a bug of a driver must not end the daemon; it is reported and retried
            log.debug("unexpected error in a capture thread thread=%s", self._thread.name, exc_info=True)
            prefix = "" if self.source is None else f"{self.source.name}: "
            return f"{prefix}{type(error).__name__}: {redact_text(str(error))}"
        return "stopped"

    def _close(self) -> None:
        if self.source is None:
            return
        try:
            self.source.close()
        except Exception as error:  # noqa: BLE001  # as above
            log.warning("camera does not close source=%r reason=%r", self.source.name, str(error))


def call_with_limit(function: Callable[[], T], limit_s: float, name: str) -> T:
    """Call `function` in a thread of its own and return its result, or raise what it raised.

    Raises:
        TimeoutError: It takes longer than `limit_s` seconds; the call then goes on, and ``any_hung`` says so.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001  # raised again in the caller's thread
            errors.append(error)
        finally:
            _discard(thread)

    thread = threading.Thread(target=run, name=name, daemon=True)
    with _lock:
        _running.add(thread)
    try:
        thread.start()
    except BaseException:
        _discard(thread)
        raise
    thread.join(limit_s)
    if errors:
        raise errors.pop()
    if not results:
        raise TimeoutError(f"no answer within {limit_s:g} s")
    return results[0]


def _discard(thread: object) -> None:
    with _lock:
        _running.discard(thread)
