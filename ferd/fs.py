"""File helpers: checks of user-given paths that never raise, the state directory, atomic writes.

Before Python 3.14, Path.exists and similar methods raise PermissionError, ENAMETOOLONG and others. Here, a path without
access counts as absent.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from ferd.errors import ConfigError


def exists(path: Path) -> bool:
    """Return whether the path exists and is accessible."""
    return _mode(path) != 0


def is_file(path: Path) -> bool:
    """Return whether it is a regular file: a read from a pipe or a device can block."""
    return stat.S_ISREG(_mode(path))


def is_dir(path: Path) -> bool:
    """Return whether it is a folder."""
    return stat.S_ISDIR(_mode(path))


def expand(text: str | Path) -> Path:
    """Expand ~ and ~user. Raises ConfigError for an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text}: there is no such user's home; write the full path") from None


def state_dir() -> Path:
    """Return the folder of ferd's persistent state: systemd's StateDirectory, else the user's data folder."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data_home) / "ferd"


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return 0


def replace_file(path: Path, text: str) -> None:
    """Write a small file atomically, safe on power loss; waits for the disk. Creates its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:  # a full disk, Ctrl-C
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
