"""Find the processes that hold a device, from /proc, and tell the running ferd from other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferd.diagnostics.finding import command_output

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a device.

    ``this_ferd``: it is this process or a child of it (the page runs the doctor inside the daemon); or, where this
    process is no service itself (`ferd doctor` in a shell), a ferd service or a child of one.
    """

    pid: int
    name: str
    this_ferd: bool = False

    @property
    def is_ferd(self) -> bool:
        """Whether it is this ferd or another one, such as one that somebody started in a shell."""
        return self.this_ferd or self.name == "ferd" or self.name.startswith("ferd.")

    def __str__(self) -> str:
        return f"{'this ferd' if self.this_ferd else self.name} (pid {self.pid})"


def holders(device: Path, proc: Path = PROC) -> list[Holder]:
    """Return the processes that have `device` open. Without root, only those of the same user are visible."""
    target = os.path.realpath(device)
    pids = [int(entry.name) for entry in proc.glob("[0-9]*") if any(link == target for link in _open_files(entry))]
    return _described(pids, proc)


def lockers(device: Path, proc: Path = PROC) -> list[Holder]:
    """Return the processes that have locked `device`, from /proc/locks.

    libcamera locks the media devices of a camera that it uses (lockf, in its MediaDevice::lock). That they are open
    means nothing: every program that lists cameras opens them.
    """
    try:
        status = device.stat()
        rows = [line.split() for line in (proc / "locks").read_text().splitlines()]
    except OSError:
        return []
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = {int(row[4]) for row in rows if len(row) > 5 and row[5] == file and row[4].isdecimal()}
    return _described(pids - {0}, proc)


def service_pids() -> set[int]:
    """Return the main processes of ferd.service and of every ferd@ instance; empty without systemd."""
    listed = command_output("systemctl", "show", "-p", "MainPID", "--value", "ferd.service", "ferd@*.service") or ""
    return {int(word) for word in listed.split() if word.isdecimal()} - {0}


def _described(pids: set[int] | list[int], proc: Path) -> list[Holder]:
    if not pids:
        return []
    services = service_pids()
    ours = {os.getpid()} if os.getpid() in services else {os.getpid(), *services}
    return [Holder(pid, _name(proc / str(pid)), not ours.isdisjoint(_ancestry(pid, proc))) for pid in sorted(pids)]


def _ancestry(pid: int, proc: Path) -> Iterator[int]:
    """The process, its parent, and so on; ends at init."""
    while pid > 1:
        yield pid
        try:
            # The name, in brackets, may contain blanks and brackets: proc_pid_stat(5).
            pid = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return


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
    """The command without its folder; of a Python program, the name of the script or module."""
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "?"
    if len(words) > 2 and words[1] == "-m":  # python -m NAME
        return words[2]
    names = [Path(word).name for word in words[:2] if word]
    return names[-1] if len(names) > 1 and names[0].startswith("python") else (names or ["?"])[0]
