"""Files that root keeps secret, and how the service gets them.

The service runs as a user of its own, which cannot read a file of mode 600. Its unit therefore passes three files of
/etc/ferd as systemd credentials (LoadCredential=, systemd.exec(5)): the broker's password, the key of a client
certificate and the page's token. A configuration that names such a file in /etc/ferd gets the credential in its place,
so that the same key works in the service, for root and for a user with a file of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ferd.fs import exists

SERVICE_FOLDER = Path("/etc/ferd")
FILES: Mapping[str, str] = {
    "mqtt.password": "mqtt-password",
    "mqtt.key": "mqtt-key.pem",
    "web.token": "web-token",
}
"""Credentials of the unit, and the names of their files. An instance ferd@desk has desk-mqtt-password and so on."""

INSTANCE_ENV = "FERD_INSTANCE"
"""Set while a command of root concerns an instance: whose password file it reads."""


def service_file(credential: str, instance: str = "") -> Path:
    """Return the file that the unit passes as this credential. `instance`: "desk" of ferd@desk."""
    return SERVICE_FOLDER / (f"{instance}-{FILES[credential]}" if instance else FILES[credential])


def is_passed(file: Path, instance: str = "") -> bool:
    """Return whether the unit passes this file to the service."""
    return file in [service_file(credential, instance) for credential in FILES]


def passed(credential: str, environ: Mapping[str, str]) -> Path | None:
    """Return a credential that systemd passed; None where there is none, or an empty one.

    The unit passes an empty line where its file is missing.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder) / credential if folder else None
    return file if file is not None and exists(file) and file.read_bytes().strip() else None


def readable(file: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return `file`, or the credential that systemd made of it where this process may not read the file itself."""
    environ = os.environ if environ is None else environ
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder is None or os.access(file, os.R_OK):
        return file
    unit = Path(folder).name  # /run/credentials/ferd@desk.service
    instance = unit.removesuffix(".service").partition("@")[2]
    for credential in FILES:
        if file == service_file(credential, instance):
            return passed(credential, environ) or file
    return file
