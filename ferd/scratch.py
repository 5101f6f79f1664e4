"""Folders for temporary files that are removed whatever happens: errors, Ctrl-C, SIGTERM, a full disk.

Only SIGKILL and a power cut leave a folder behind. The next scratch folder removes it: each is locked while its process
lives, so one that can be locked belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

_NAME = re.compile(r"ferd-(add|adapt|labels|teach)-[a-z0-9_]{8}")
LEFT_AFTER_S = 60.0
"""A younger folder may belong to a process that has not locked it yet."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch_folder(what: str) -> Iterator[Path]:
    """Make an empty folder ferd-WHAT-… that exists as long as the block. Removes those of processes that were killed.

    In the main thread SIGTERM and SIGHUP end the block by SystemExit, where nothing else handles them.
    """
    _remove_leftovers()
    with _signals_as_exceptions() as be_deaf:
        folder, lock = Path(tempfile.mkdtemp(prefix=f"ferd-{what}-")), None
        try:
            lock = _locked(folder)
            yield folder
        finally:
            be_deaf()
            shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)


@contextmanager
def _signals_as_exceptions() -> Iterator[Callable[[], None]]:
    """Yield a function after whose call signals of this process are ignored, for the time of removing the folder."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in (*_ENDING, signal.SIGINT)}

    def be_deaf() -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)

    def end(number: int, _frame: FrameType | None) -> None:
        be_deaf()
        raise SystemExit(128 + number)

    try:
        for number in _ENDING:
            if before[number] == signal.SIG_DFL:
                signal.signal(number, end)
        yield be_deaf
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: installed by something else than Python
                signal.signal(number, handler)


def _locked(folder: Path) -> int | None:
    """Return the descriptor that holds the lock of a folder; None where somebody else has it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_leftovers() -> None:
    """Remove scratch folders of this user whose process has ended without doing so."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).iterdir():
            if _NAME.fullmatch(folder.name) and _is_old_and_ours(folder) and (lock := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _is_old_and_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return is_ours and time.time() - found.st_mtime > LEFT_AFTER_S
