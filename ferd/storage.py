"""Run every write that waits for a disk in one thread, so that the loop and the network threads never do."""

from __future__ import annotations

import logging
import threading
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
                log.warning("storage is slow: writes may be lost pending=%d", len(self._jobs))

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job; return at once."""
        with self._changed:
            if self._thread is not None:
                self._jobs.append(job)
                self._changed.notify_all()
                return
        _run_safely(job)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    if self._thread is not threading.current_thread():
                        return
                    self._changed.wait()
                job = self._jobs.pop(0)
            _run_safely(job)


def _run_safely(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:
        log.exception("storage job failed")
