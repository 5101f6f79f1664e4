"""The one thread that touches a device, so that nobody else waits for the device longer than they want to.

Camera calls can block for ever: a loose ribbon cable, low voltage or an unplugged webcam leaves them waiting in
the kernel (picamera2 issues 336 and 794). Python cannot interrupt such a call, and releasing an OpenCV capture from
one thread while another reads from it is a crash. So every call to a device is made by its worker, in order.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

Job = tuple[Callable[[], Any], "Future[Any]"]


class Worker:
    """Makes calls one after another in a thread of its own. The thread starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """What `function` returns or raises. TimeoutError when it takes longer; it then still runs to its end."""
        with self._lock:
            if self._stopped:
                raise TimeoutError(f"{self._name} was stopped")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            future: Future[T] = Future()
            self._jobs.put((function, future))
        return future.result(timeout_s)

    def stop(self, last: Callable[[], object], timeout_s: float) -> bool:
        """Makes one `last` call (the release of the device) and ends the thread.

        Waits for that at most `timeout_s`: False says that a call still hangs. `last` is made all the same as soon
        as the hung call comes back, so the device is not held longer than it must be.
        """
        with self._lock:
            thread = self._thread
            if not self._stopped:
                self._stopped = True
                self._jobs.put((last, Future()))
                self._jobs.put(None)
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    @property
    def hangs(self) -> bool:
        """True while a call has not come back although the worker was stopped."""
        with self._lock:
            return self._stopped and self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            _make(*job)


def _make(function: Callable[[], Any], future: Future[Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001  # handed to the caller, who asked for this call
        future.set_exception(error)
    else:
        future.set_result(result)
