"""Give back memory that only the start of the process used: freed blocks, and pages of libraries that are not needed.

Importing numpy, OpenCV and LiteRT reads tens of megabytes of their code, most of which never runs again. The kernel
keeps these pages mapped until memory is short; on a board with 512 MB they then compete with what is in use.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

MAPS = Path("/proc/self/smaps")
MADV_DONTNEED = 4
"""See madvise(2): pages of a file are dropped from the process, not from the page cache, and are mapped again when they
are used next. Linux has the same number on all of ferd's platforms."""
LEAST = 64 * 1024
"""Bytes in use below which a mapping is left alone."""
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)")


class Mapping(NamedTuple):
    """A part of a file in the address space: begin and end, and bytes of it in memory."""

    begin: int
    end: int
    resident: int


def release_unused() -> int:
    """Give back what the start left behind; return the bytes by which the code of libraries shrank.

    Call it after the imports and before threads start: a library that another thread is loading could still be written
    to. Does nothing beside other threads, nor where the C library or /proc does not offer it.
    """
    gc.collect()
    if threading.active_count() > 1:
        return 0
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.malloc_trim(ctypes.c_size_t(0))
        lines = MAPS.read_text(errors="replace").splitlines()
    except (OSError, AttributeError):  # no /proc; a C library without malloc_trim (musl)
        return 0
    released = 0
    for mapping in untouched_code(lines):
        size = ctypes.c_size_t(mapping.end - mapping.begin)
        if libc.madvise(ctypes.c_void_p(mapping.begin), size, MADV_DONTNEED) == 0:
            released += mapping.resident
    log.debug("memory released code_kb=%d", released // 1024)
    return released


def untouched_code(lines: Iterable[str]) -> Iterator[Mapping]:
    """Yield the read-only mappings of files that hold nothing but what stands in the file.

    A mapping with pages of its own (`Anonymous`: relocated addresses) is left out: dropping them would lose them.

    Args:
        lines: of /proc/PID/smaps, see proc(5).
    """
    begin = end = resident = 0
    wanted = False
    for line in lines:
        if head := _HEAD.match(line):
            begin, end = int(head[1], 16), int(head[2], 16)
            wanted, resident = head[3] in ("r-xp", "r--p") and head[4] != "0", 0
        elif line.startswith("Rss:"):
            resident = 1024 * int(line.split()[1])
        elif line.startswith("Anonymous:") and wanted and resident >= LEAST and int(line.split()[1]) == 0:
            yield Mapping(begin, end, resident)
