"""Find secrets of the configuration that every user of this machine can read."""

from __future__ import annotations

import stat
from pathlib import Path

from ferd.config.models import Config

SERVICE_FOLDER = Path("/etc/ferd")


def exposed_secrets(config: Config, file: Path | None) -> list[str]:
    """Return a sentence with its remedy for each file that holds a secret and that every user can read.

    Args:
        config: The configuration.
        file: The file that it was read from, if any. It holds a secret when the address of a camera does.
    """
    texts = []
    cameras = [name for name, camera in config.cameras.items() if _may_hold_secret(camera.source)]
    if file is not None and cameras and _is_readable_by_all(file):
        what = f"the address of camera {cameras[0]} in {file} holds a password or a token"
        texts.append(f"{what}, and every user of this machine can read it. Run: {_remedy(file)}")
    token = config.web.token_file if config.web.enabled else None
    if token is not None and _is_readable_by_all(token):
        texts.append(f"web.token_file: every user of this machine can read {token}. Run: {_remedy(token)}")
    return texts


def _may_hold_secret(source: str) -> bool:
    """Whether an address has a user name or a query: what stands there is secret often enough."""
    _, separator, rest = source.partition("://")
    return bool(separator) and ("@" in rest or "?" in rest)


def _remedy(file: Path) -> str:
    """The service's user must still be able to read a file of the service."""
    if SERVICE_FOLDER in file.parents:
        return f"sudo chgrp ferd {file} && sudo chmod 640 {file}"
    return f"chmod 600 {file}"


def _is_readable_by_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
