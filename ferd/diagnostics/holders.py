"""Which processes have a device open, as fuser tells it, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    pid: int
    name: str

    @property
    def is_ferd(self) -> bool:
        return "ferd" in self.name

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def holders(device: Path, proc: Path = PROC) -> list[Holder]:
    """Processes other than this one with `device` open. Without root, only the user's own can be seen."""
    target = os.path.realpath(device)
    found = []
    for entry in proc.glob("[0-9]*"):
        pid = int(entry.name)
        if pid != os.getpid() and any(link == target for link in _open_files(entry)):
            found.append(Holder(pid, _name(entry)))
    return sorted(found, key=lambda holder: holder.pid)


def lockers(device: Path, proc: Path = PROC) -> list[Holder]:
    """Processes other than this one with a lock on `device`, from /proc/locks.

    libcamera locks the media devices of a camera that it uses (lockf, in its MediaDevice::lock). That they are merely
    open says nothing: every program that lists cameras has them open.
    """
    try:
        status = device.stat()
        rows = [line.split() for line in (proc / "locks").read_text().splitlines()]
    except OSError:
        return []
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = {int(row[4]) for row in rows if len(row) > 5 and row[5] == file and row[4].isdecimal()}
    return [Holder(pid, _name(proc / str(pid))) for pid in sorted(pids - {os.getpid(), 0})]


def _open_files(entry: Path) -> Iterator[str]:
    try:
        for descriptor in (entry / "fd").iterdir():
            try:
                yield str(descriptor.readlink())
            except OSError:
                continue
    except OSError:
        return


def _name(entry: Path) -> str:
    """The command line without its folder, or the short name where that is empty."""
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "?"
    if len(words) > 2 and words[1] == "-m":  # python -m NAME
        return words[2]
    names = [Path(word).name for word in words[:2] if word]
    return names[-1] if len(names) > 1 and names[0].startswith("python") else (names or ["?"])[0]
