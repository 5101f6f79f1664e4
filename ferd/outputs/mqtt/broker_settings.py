"""Where the broker is and how to get in: what the configuration says, with the files that it names read."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError
from ferd.fs import exists, is_dir, is_file
from ferd.outputs.mqtt.tls import context_of

USERNAME, PASSWORD = "mqtt.username", "mqtt.password"  # names of systemd credentials
SERVICE_PASSWORD = Path("/etc/ferd/mqtt-password")
"""What the unit hands over as a credential. Root reads it, so that `sudo ferd doctor` gets in as the service does."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """``password`` and ``tls`` are left out of the repr: it may be logged.

    ``warnings``: what works and is not safe; to be told at each start.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people: "broker.lan:8883, TLS, as hall-pi with a password"."""
        login = f"as {self.username} {'with' if self.password else 'without'} a password" if self.username else ""
        return ", ".join(filter(None, (f"{self.host}:{self.port}", "TLS" if self.tls else "", login)))


def broker_settings(config: MqttConfig, environ: Mapping[str, str] | None = None) -> BrokerSettings:
    """Reads user name, password and certificates. Raises ConfigError with the remedy; touches no network."""
    credentials = _credentials(os.environ if environ is None else environ)
    username = _username(config, credentials)
    password = _password(config, credentials, username)
    return BrokerSettings(config.host, config.port, username, password, context_of(config), tuple(_warnings(config)))


def _credentials(environ: Mapping[str, str]) -> Mapping[str, Path]:
    """The files that systemd hands to us (LoadCredential=), by name: those that are there and hold something.

    The unit hands over an empty line where the file that it names is missing. A command that root types is handed
    nothing, and reads that file itself.
    """
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        files = {name: Path(folder) / name for name in (USERNAME, PASSWORD)}
    else:
        files = {PASSWORD: SERVICE_PASSWORD} if os.access(SERVICE_PASSWORD, os.R_OK) else {}
    return {name: file for name, file in files.items() if exists(file) and file.read_bytes().strip()}


def _username(config: MqttConfig, credentials: Mapping[str, Path]) -> str | None:
    if config.username is not None:
        return config.username
    if config.username_file is not None:
        return first_line("mqtt.username_file", config.username_file, "user name")
    if USERNAME in credentials:
        return first_line(f"credential {USERNAME}", credentials[USERNAME], "user name")
    return None


def _password(config: MqttConfig, credentials: Mapping[str, Path], username: str | None) -> str | None:
    """None without any. A credential without a user name is left alone: the unit may always load it."""
    if config.password_file is not None:
        if username is None:
            raise ConfigError("mqtt.password_file is set but mqtt.username is not: set both")
        return first_line("mqtt.password_file", config.password_file, "password")
    if PASSWORD in credentials and username is not None:
        return first_line(f"credential {PASSWORD}", credentials[PASSWORD], "password")
    return None


def first_line(key: str, file: Path, what: str) -> str:
    """What stands in the first line of the file that ``key`` names. Raises ConfigError without telling content."""
    try:
        if exists(file) and not is_file(file) and not is_dir(file):  # reading a pipe could wait for ever
            raise ConfigError(f"{key}: {file} is not a regular file. Write the {what} into one")
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        # Without its name: somebody may have written the password itself there.
        folder = f" in {file.parent}" if is_dir(file.parent) else ""
        raise ConfigError(
            f"{key}: the file that it names{folder} is not there. Write the {what} into it, or remove the key"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            f"{key}: {file} cannot be read ({reason}). It must be a text file that ferd's user may read"
        ) from None
    if not lines or not lines[0]:
        raise ConfigError(f"{key}: the first line of {file} is empty. The {what} belongs there")
    return lines[0]


def _warnings(config: MqttConfig) -> Iterator[str]:
    if not config.tls_verify:
        yield (
            "mqtt.tls_verify is false: the broker's certificate is not checked, so anybody on the network path can "
            "read and change everything. Set mqtt.ca_file and remove mqtt.tls_verify"
        )
    for key, file in (("password_file", config.password_file), ("key_file", config.key_file)):
        if file is not None and exists(file) and file.stat().st_mode & stat.S_IROTH:
            yield f"mqtt.{key}: everybody on this machine can read {file}. Run: chmod 600 {file}"
