"""Files that root keeps secret, and how the service gets them.

The service runs as a user of its own, which cannot read a file of mode 600. Its unit therefore passes four files of
/etc/ferd as systemd credentials (LoadCredential=, systemd.exec(5)): the broker's password, the key of a client
certificate, the page's token and a camera's password. A configuration that names such a file in /etc/ferd gets the
credential in its place, so that the same key works in the service, for root and for a user with a file of its own. A
secret is the first line of its file, read here in one way for all keys.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from ferd.encodings import INVISIBLE, EncodingError, decode_text
from ferd.errors import ConfigError
from ferd.fs import exists, is_dir, is_file

SERVICE_FOLDER = Path("/etc/ferd")
FILES: Mapping[str, str] = {
    "mqtt.password": "mqtt-password",
    "mqtt.key": "mqtt-key.pem",
    "web.token": "web-token",
    "camera.password": "camera-password",
}
"""Credentials of the unit, and the names of their files. An instance ferd@desk has desk-mqtt-password and so on."""

MAX_FILE_BYTES = 65_536
"""Nothing is read beyond this size of a file whose first line counts."""

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


def first_line(key: str, file: Path, what: str) -> str:
    """Return the first line of the file that ``key`` names, without a byte order mark and blanks around it.

    Raises ConfigError that never contains its content.
    """
    file, named = readable(file), file
    try:
        if exists(file) and not is_file(file) and not is_dir(file):  # reading a pipe could block without end
            raise ConfigError(f"{key}: {file} is not a regular file. Write the {what} into one")
        with file.open("rb") as opened:
            lines = decode_text(opened.read(MAX_FILE_BYTES)).splitlines()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG, errno.ENOTDIR):
            raise ConfigError(
                f"{key}: {named} cannot be read ({error.strerror}). It must be a text file that ferd's user may read"
                f"{_passed(named)}"
            ) from None
        # Without its name: the key may hold the password itself by mistake.
        folder = f" in {file.parent}" if is_dir(file.parent) else ""
        raise ConfigError(
            f"{key}: the file that it names{folder} does not exist. Write the {what} into it, or remove the key"
        ) from None
    except EncodingError as error:
        raise ConfigError(f"{key}: {named} cannot be read: {error}{_passed(named)}") from None
    line = lines[0].strip().strip(INVISIBLE).strip() if lines else ""
    if not line:
        raise ConfigError(f"{key}: the first line of {file} is empty. Write the {what} into it")
    if any(letter < " " or letter == "\x7f" for letter in line):
        raise ConfigError(f"{key}: the first line of {file} holds a control character. Write the {what} again, as text")
    return line


def _passed(file: Path) -> str:
    """What to do about a file that systemd would have passed, had it been there when the service started."""
    here = "CREDENTIALS_DIRECTORY" in os.environ and file.parent == SERVICE_FOLDER
    return ". systemd passes it on when the service starts: sudo systemctl restart ferd" if here else ""
