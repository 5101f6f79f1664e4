"""Find secrets of the configuration that every user of this machine can read."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from ferd.config.schema.cameras import CameraConfig
from ferd.config.schema.root import Config
from ferd.credentials import SERVICE_FOLDER
from ferd.redaction import redact_username


def exposed_secrets(config: Config, file: Path | None) -> list[str]:
    """Return a sentence with its remedy for each file that holds a secret and that every user can read.

    Args:
        config: The configuration.
        file: The file that it was read from, if any. It holds a secret when the address of a camera does.
    """
    texts = []
    addresses = [f"the address of camera {name}" for name, camera in config.cameras.items() if _may_hold_secret(camera)]
    if config.mqtt.transport == "websockets" and _is_secret_place(config.mqtt.websocket_path):
        addresses.append("mqtt.websocket_path")
    if config.mqtt.username is not None and redact_username(config.mqtt.username) != config.mqtt.username:
        addresses.append("mqtt.username")
    if file is not None and addresses and _is_readable_by_all(file):
        what = f"{addresses[0]} in {file} holds a password or a token"
        texts.append(f"{what}, and every user of this machine can read it. Run: {_remedy(file)}")
    named = {f"cameras.{name}.source_password_file": one.source_password_file for name, one in config.cameras.items()}
    named["web.token_file"] = config.web.token_file if config.web.enabled else None
    for key, secret in named.items():
        if secret is not None and _is_readable_by_all(secret):
            texts.append(f"{key}: every user of this machine can read {secret}. Run: {_remedy(secret)}")
    return texts


def _may_hold_secret(camera: CameraConfig) -> bool:
    """Whether an address has a user name, a query or a key in its path: what stands there is secret often enough.

    A user whose password is in a file of its own is none.
    """
    _, separator, rest = camera.source.partition("://")
    with_login = "@" in rest and camera.source_password_file is None
    return bool(separator) and (with_login or _is_secret_place(rest.partition("/")[2] or rest))


def _is_secret_place(place: str) -> bool:
    """Whether path and query hold a value, or a part that is long and of letters and digits, as a key is."""
    return "?" in place or "=" in place or any(map(_KEY.fullmatch, place.split("/")))


_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w-]{12,}")


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
