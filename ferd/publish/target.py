"""Where the broker is and how to get in: what the configuration says, with the files that it names read."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError

CREDENTIAL = "mqtt.password"


@dataclass(frozen=True, slots=True)
class Target:
    """``password`` and ``tls`` are left out of the repr: it may be logged."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def target_of(config: MqttConfig, environ: Mapping[str, str] | None = None) -> Target:
    """Reads the password and the certificate. Raises ConfigError with the remedy; touches no network."""
    password = _password(config, os.environ if environ is None else environ)
    return Target(config.host, config.port, config.username, password, _tls(config))


def _password(config: MqttConfig, environ: Mapping[str, str]) -> str | None:
    """The first line of `password_file`, or of the systemd credential; None without both.

    A credential without a user name is left alone: the unit may always load it.
    """
    if config.password_file is not None:
        if config.username is None:
            raise ConfigError("mqtt.password_file is set but mqtt.username is not: set both")
        return _first_line(config.password_file)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and config.username is not None and (Path(folder) / CREDENTIAL).exists():
        return _first_line(Path(folder) / CREDENTIAL)
    return None


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigError(
            f"mqtt.password_file: {file} is not there. Write the password into it (chmod 600), or remove the key"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(
            f"mqtt.password_file: {file} cannot be read ({reason}). It must be a text file that ferd's user may read"
        ) from None
    if not lines or not lines[0]:
        raise ConfigError(f"mqtt.password_file: the first line of {file} is empty. The password belongs there")
    return lines[0]


def _tls(config: MqttConfig) -> ssl.SSLContext | None:
    if not config.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except FileNotFoundError:
        raise ConfigError(f"mqtt.ca_file: {config.ca_file} is not there. Copy the broker's CA certificate") from None
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"mqtt.ca_file: {config.ca_file} is not a readable PEM certificate ({error})") from None
    context.sslsocket_class = _TidySocket
    return context


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho 2.2 leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
