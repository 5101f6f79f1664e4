"""Leave out the line that LiteRT's C++ code writes to stderr when it is first used.

"INFO: Created TensorFlow Lite XNNPACK delegate for CPU." would stand in the output of nearly every command. LiteRT has
no setting for it (2.3: neither its API nor TF_CPP_MIN_LOG_LEVEL), so stderr goes to a file in memory meanwhile, and
everything else that was written to it, by any thread, is passed on afterwards.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

NOISE = b"Created TensorFlow Lite XNNPACK delegate"
STDERR = 2
_lock = threading.Lock()
_state = {"heard": False}


@contextmanager
def without_noise() -> Iterator[None]:
    """Keep that line from stderr. Does nothing once it was written: it comes once in a process."""
    if _state["heard"] or not _lock.acquire(blocking=False):
        yield
        return
    try:
        try:
            kept, memory = os.dup(STDERR), os.memfd_create("ferd-stderr")
        except OSError:  # stderr is closed, or there is no file descriptor left
            yield
            return
        os.dup2(memory, STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            _pass_on(memory)
            os.close(kept)
            os.close(memory)
    finally:
        _lock.release()


def _pass_on(memory: int) -> None:
    """Write what was kept, without the noise."""
    lines = os.pread(memory, os.fstat(memory).st_size, 0).splitlines(keepends=True)
    wanted = [line for line in lines if NOISE not in line]
    _state["heard"] = _state["heard"] or len(wanted) < len(lines)
    with suppress(OSError):
        os.write(STDERR, b"".join(wanted))
