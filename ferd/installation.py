"""Decide which ferd a command concerns: the installed service, or the user's own. The only place that decides it.

Everything follows from that: the configuration, the state folder with the models, and the user who must be able to
read both. The service's command (/usr/local/bin/ferd) concerns the service, and so does any ferd that root runs on a
machine with the service; a ferd from a checkout that a user runs is that user's own.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferd.config.loader import SYSTEM_FILE
from ferd.credentials import INSTANCE_ENV
from ferd.errors import FerdError
from ferd.extras import Environment
from ferd.fs import exists, state_dir

UNIT_FOLDERS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
UNIT = "ferd.service"
STATE_FOLDERS = Path("/var/lib")
OWN_ENV = "FERD_OWN"
"""Set by root, or by tests, to leave the service alone: the command then concerns the user's own ferd."""
NEVER_STARTED_UID = 65534
"""Stands for the dynamic user of a service that does not exist yet: "nobody", who owns nothing."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One ferd on this machine.

    ``unit``: the service, such as "ferd@desk.service"; None for the user's own. ``config``: the file that it reads;
    None where it uses the defaults. ``state``: its folder for models and switches. ``explicit``: systemd, or the user
    by STATE_DIRECTORY, said where the state is.
    """

    unit: str | None
    config: Path | None
    state: Path
    explicit: bool = False

    @property
    def instance(self) -> str:
        """ "desk" of ferd@desk.service; empty for ferd.service."""
        return (self.unit or "").removesuffix(".service").partition("@")[2]

    @property
    def is_hidden(self) -> bool:
        """Whether the state folder of the service exists and this user may not look into it."""
        return self.unit is not None and os.path.lexists(self.state) and not os.access(self.state, os.R_OK | os.X_OK)

    def __str__(self) -> str:
        config = str(self.config) if self.config else "no configuration file (the defaults)"
        return f"{self.unit or 'your own ferd'}: {config}, state in {self.state}"

    def use(self) -> None:
        """Make this process look into the service's state folder, and create files that the service can read."""
        if self.unit is not None and not self.explicit:
            os.environ["STATE_DIRECTORY"] = str(self.state)
            if self.instance:
                os.environ[INSTANCE_ENV] = self.instance
            if os.geteuid() == 0:
                os.umask(0o022)

    def check_writable(self, command: str) -> None:
        """Raise FerdError, before any work is done, where this user may not change the service's state."""
        if self.unit is None or self.explicit or os.geteuid() == 0:
            return
        raise FerdError(
            f"this ferd is the service {self.unit}, whose models are in {self.state}: sudo {command}\n"
            f"For a ferd of your own, use the one of a checkout: .venv/bin/{command}"
        )

    def hand_over(self) -> None:
        """Give what root created in the state folder to the service's user, who owns the folder itself.

        systemd does that only when the owner of the folder itself is wrong, such as at the first start.
        """
        if self.unit is None or self.explicit or os.geteuid() != 0:
            return
        folder = self.state.resolve()
        owner = folder.stat() if exists(folder) else None
        if owner is None or owner.st_uid == 0:
            return
        for path in _below(folder):
            found = path.lstat()
            if found.st_uid == 0 and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def user(self) -> tuple[int, frozenset[int]]:
        """Return the user id of the service and its groups: those of its unit, and its own."""
        try:
            uid = self.state.resolve().stat().st_uid
        except OSError:
            uid = _uid_of(self.unit)
        return uid or NEVER_STARTED_UID, frozenset(_group_ids("video", "gpio"))


def concerned(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    units: tuple[Path, ...] = UNIT_FOLDERS,
    system_file: Path = SYSTEM_FILE,
    state_folders: Path = STATE_FOLDERS,
    environment: Environment | None = None,
    uid: int | None = None,
) -> Installation:
    """Return the ferd that a command concerns.

    Args:
        config: The configuration that the user named.
        environ: The environment variables; None: those of this process.
        units: Folders of systemd units.
        system_file: The configuration of the service.
        state_folders: The folder that holds the state folders of services.
        environment: The Python environment that runs.
        uid: The user that runs it.
    """
    environ = os.environ if environ is None else environ
    default = system_file if exists(system_file) else None
    if environ.get("STATE_DIRECTORY"):
        return Installation(None, config or default, state_dir(), explicit=True)
    if environ.get(OWN_ENV) or not any(exists(folder / UNIT) for folder in units):
        return Installation(None, config or default, state_dir())
    if config is not None and config.absolute().parent == system_file.parent and config.suffix == ".toml":
        name = UNIT if config.name == system_file.name else f"ferd@{config.stem}.service"
        return Installation(name, config.absolute(), state_folders / name.removesuffix(".service").replace("@", "-"))
    is_root = (os.geteuid() if uid is None else uid) == 0
    if config is None and (is_root or (environment or Environment.here()).is_service):
        return Installation(UNIT, default, state_folders / "ferd")
    return Installation(None, config or default, state_dir())


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *files))


def _uid_of(unit: str | None) -> int:
    """The id of a running dynamic user, by the name that systemd derives from the unit's; 0 without one."""
    try:
        return pwd.getpwnam((unit or "").removesuffix(".service").replace("@", "-")).pw_uid
    except KeyError:
        return 0


def _group_ids(*names: str) -> Iterator[int]:
    import grp

    for name in names:
        try:
            yield grp.getgrnam(name).gr_gid
        except KeyError:
            continue
