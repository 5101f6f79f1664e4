"""Run every write that waits for a disk in one thread, so that the loop and the network threads never do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

STOP_S = 2.0
"""How long `stop` waits for the writes that are still pending. A card that takes longer loses them."""

log = logging.getLogger(__name__)


class StorageThread:
    """Run jobs one after another, in the order in which they were submitted.

    Pass `submit` to the code that writes files. Before `start` and after `stop` a job runs at once, in the caller's
    thread: nothing is lost when the daemon is built or torn down. A job that raises is logged.
    """

    def __init__(self) -> None:
        self._jobs: list[Callable[[], None]] = []
        self._later: list[tuple[float, Callable[[], None]]] = []  # the time.monotonic() of each, and the job
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        with self._changed:
            self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Run what is pending and end the thread; wait at most STOP_S."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join(STOP_S)
            if thread.is_alive():
                log.warning("storage is slow: writes may be lost pending=%d", len(self._jobs) + len(self._later))

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job; return at once."""
        with self._changed:
            if self._thread is not None:
                self._jobs.append(job)
                self._changed.notify_all()
                return
        _run_safely(job)

    def submit_later(self, job: Callable[[], None], delay_s: float) -> None:
        """Queue a job that runs after `delay_s`, or when the thread is stopped before; return at once."""
        with self._changed:
            if self._thread is not None:
                self._later.append((time.monotonic() + delay_s, job))
                self._changed.notify_all()
                return
        _run_safely(job)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._take_due():
                    if self._thread is not threading.current_thread():
                        return
                    self._changed.wait(self._wait_s())
                job = self._jobs.pop(0)
            _run_safely(job)

    def _take_due(self) -> bool:
        """Queue the delayed jobs whose time has come, at the end all of them. Returns whether there is a job."""
        now = time.monotonic() if self._thread is threading.current_thread() else float("inf")
        self._jobs += [job for at, job in self._later if at <= now]
        self._later = [(at, job) for at, job in self._later if at > now]
        return bool(self._jobs)

    def _wait_s(self) -> float | None:
        return max(0.0, min(at for at, _ in self._later) - time.monotonic()) if self._later else None


def _run_safely(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:
        log.exception("storage job failed")
