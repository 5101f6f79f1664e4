"""Judge the files that a configuration names as the service's user would: what root can read, the service may not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferd.config import Config, Section
from ferd.credentials import FILES, is_passed, service_file
from ferd.fs import exists, expand
from ferd.installation import Installation

HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # names only
"""Folders that the unit hides from the service (ProtectHome=yes, PrivateTmp=yes)."""
CREDENTIALS = Path("/run/credentials")
PLACE = Path("/etc/ferd")
_CREDENTIAL_OF = {
    "mqtt.password_file": "mqtt.password",
    "mqtt.key_file": "mqtt.key",
    "web.token_file": "web.token",
}


def unreadable_files(config: Config, installation: Installation) -> Iterator[str]:
    """Yield a line for each file that the service's user cannot read: key, file, reason and remedy."""
    if installation.config is not None and (reason := _reason(installation.config, installation)):
        yield f"{installation.config}: {reason}. Run: sudo chmod 644 {installation.config}"
    for key, path in named_files(config):
        file = expand(path)
        if is_passed(file, installation.instance) or file.is_relative_to(CREDENTIALS):
            continue
        if reason := _reason(file, installation):
            yield f"{key}: {file}: {reason}. {_remedy(key, file, installation)}"


def named_files(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the key and the path of every file that a configuration names."""
    yield from _paths("", config)
    model = config.expression.model
    if "/" in model or model.endswith(".tflite"):
        yield "expression.model", Path(model)
    for name, camera in config.cameras.items():
        if camera.source.startswith(("/", "~", ".")) and not camera.source.startswith("/dev/"):
            yield f"cameras.{name}.source", Path(camera.source)


def may_read(file: Path, uid: int, groups: frozenset[int]) -> bool:
    """Return whether a user can read a file or list a folder, by the modes of the path. Access lists do not count."""
    real = file.resolve()
    for folder in reversed(real.parents):
        if not _allowed(folder, uid, groups, stat.S_IXOTH):
            return False
    return _allowed(real, uid, groups, stat.S_IROTH)


def _allowed(path: Path, uid: int, groups: frozenset[int], others: int) -> bool:
    """Whether the mode grants a right; `others`: the bit of the right for everybody else."""
    try:
        found = path.stat()
    except OSError:
        return False
    if found.st_uid == uid:
        return bool(found.st_mode & others << 6)
    if found.st_gid in groups:
        return bool(found.st_mode & others << 3)
    return bool(found.st_mode & others)


def _reason(file: Path, installation: Installation) -> str | None:
    if not exists(file) and os.geteuid() == 0:
        return None  # the check of the key itself reports it
    if hidden := next((folder for folder in HIDDEN if file.resolve().is_relative_to(folder)), None):
        return f"{installation.unit} cannot see {hidden}"
    uid, groups = installation.user()
    if not may_read(file, uid, groups):
        return f"the user of {installation.unit} may not read it"
    return None


def _remedy(key: str, file: Path, installation: Installation) -> str:
    credential = "camera.password" if key.endswith(".source_password_file") else _CREDENTIAL_OF.get(key)
    if credential is not None and credential in FILES:
        place = service_file(credential, installation.instance)
        return f"Move it (sudo mv {file} {place}) and name that file: systemd passes it on, also with mode 600"
    if any(file.resolve().is_relative_to(folder) for folder in HIDDEN):
        return f"Copy it to {PLACE} (sudo install -m 644 {file} {PLACE}/) and name it there"
    if "password" in key or "token" in key or key.endswith("key_file"):
        return f"Run: sudo chgrp video {file} && sudo chmod 640 {file} (the service is in that group)"
    return f"Run: sudo chmod o+r {file} (and o+x for its folders)"


def _paths(key: str, value: Any) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path):
        yield key, value
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _paths(f"{key}.{name}".lstrip("."), getattr(value, name))
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _paths(f"{key}.{name}", part)
