"""Looking at paths that a user gave: what may not be looked at is not there, and is no crash.

Path.exists and its like raise PermissionError, ENAMETOOLONG and others before Python 3.14.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ferd.errors import ConfigError


def exists(path: Path) -> bool:
    return _mode(path) != 0


def is_file(path: Path) -> bool:
    """A regular file: not a folder, a pipe or a device, on which reading could wait for ever."""
    return stat.S_ISREG(_mode(path))


def is_dir(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def expand(text: str | Path) -> Path:
    """With ~ and ~user replaced. Raises ConfigError for a user that is not known."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text}: there is no such user's home; write the path in full") from None


def state_dir() -> Path:
    """Where ferd keeps what it must remember: systemd's StateDirectory, else the user's own data folder."""
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
    """Writes a small file whole or not at all, also when the power goes. Makes its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
