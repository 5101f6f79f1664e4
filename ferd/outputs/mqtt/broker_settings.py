"""Where the broker is and how to log in: the configuration with the files that it names read, and the TLS context."""

from __future__ import annotations

import os
import random
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferd.config import MqttConfig
from ferd.credentials import INSTANCE_ENV, first_line, passed, readable, service_file
from ferd.errors import ConfigError
from ferd.fs import exists, is_file
from ferd.redaction import redact_username

USERNAME, PASSWORD = "mqtt.username", "mqtt.password"  # names of systemd credentials
SERVICE_PASSWORD = Path("/etc/ferd/mqtt-password")
"""The file that the unit passes as a credential. Root may read it: `sudo ferd doctor` logs in as the service does."""

# Codes of OpenSSL's X509_verify_cert_error_string(3).
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
_REMEDIES = {
    _NOT_YET_VALID: "check the clock of this machine (timedatectl)",
    _EXPIRED: "renew the broker's certificate; check the clock of this machine (timedatectl)",
    **dict.fromkeys(
        _OTHER_NAME,
        "set mqtt.host to a name in the certificate's subjectAltName. A certificate without one, whose name is only in "
        "its subject (CN), must be made again with one",
    ),
}
OUR_CERTIFICATE = "set mqtt.cert_file and key_file to a certificate that the broker trusts"
"""Also the likely remedy when the broker closes the connection after the handshake: its reason may be lost."""
_UNKNOWN_AUTHORITY = "set mqtt.ca_file to the certificate of the authority that signed the broker's"


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Describe how to reach the broker. What may be secret is left out of the repr: it may be logged.

    ``warnings``: settings that work but are not safe; logged at each start. ``websocket_path``: None for plain TCP.
    ``servers``: host and port of all brokers, if there are several; the first one is also in ``host`` and ``port``.
    """

    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()
    websocket_path: str | None = field(default=None, repr=False)
    servers: tuple[tuple[str, int], ...] = ()

    def each(self) -> list[BrokerSettings]:
        """Return the settings for each broker, the preferred one first."""
        return [replace(self, host=host, port=port) for host, port in self.servers] or [self]

    def __str__(self) -> str:
        """Return a line for people: "broker.lan:8883, TLS, as hall-pi with a password"."""
        user = redact_username(self.username) if self.username else ""
        login = f"as {user} {'with' if self.password else 'without'} a password" if user else ""
        transport = "websockets" if self.websocket_path else ""  # its path may contain a token
        return ", ".join(filter(None, (self.address, transport, "TLS" if self.tls else "", login)))

    @property
    def address(self) -> str:
        """Host and port as one text; an IPv6 address stands in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def broker_settings(config: MqttConfig, environ: Mapping[str, str] | None = None) -> BrokerSettings:
    """Read user name, password and certificates. Raises ConfigError with the remedy; does not use the network."""
    credentials = _credentials(os.environ if environ is None else environ)
    username = _username(config, credentials)
    password = _password(config, credentials, username)
    servers = list(config.servers)
    if config.hosts_order == "random":
        random.shuffle(servers)
    return BrokerSettings(
        *servers[0],
        username,
        password,
        tls_context(config),
        (*_warnings(config), *_warnings_of_login(username, password)),
        config.websocket_path if config.transport == "websockets" else None,
        tuple(servers) if len(servers) > 1 else (),
    )


def _credentials(environ: Mapping[str, str]) -> Mapping[str, Path]:
    """Return the credentials that systemd passes (LoadCredential=), by name: those that exist and are not empty.

    The unit passes an empty line when the file that it names is missing. A command that root runs gets no credentials
    and reads that file itself.
    """
    if "CREDENTIALS_DIRECTORY" in environ:
        found = {name: passed(name, environ) for name in (USERNAME, PASSWORD)}
        return {name: file for name, file in found.items() if file is not None}
    instance = environ.get(INSTANCE_ENV)
    file = service_file(PASSWORD, instance) if instance else SERVICE_PASSWORD
    return {PASSWORD: file} if os.access(file, os.R_OK) and file.read_bytes().strip() else {}


def _username(config: MqttConfig, credentials: Mapping[str, Path]) -> str | None:
    if config.username is not None:
        return config.username
    if config.username_file is not None:
        return first_line("mqtt.username_file", config.username_file, "user name")
    if USERNAME in credentials:
        return first_line(f"credential {USERNAME}", credentials[USERNAME], "user name")
    return None


def _password(config: MqttConfig, credentials: Mapping[str, Path], username: str | None) -> str | None:
    """Return None without a password. A credential without a user name is ignored: the unit may always load it."""
    if config.password_file is not None:
        if username is None:
            raise ConfigError("mqtt.password_file is set but mqtt.username is not: set both")
        return first_line("mqtt.password_file", config.password_file, "password")
    if PASSWORD in credentials and username is not None:
        return first_line(f"credential {PASSWORD}", credentials[PASSWORD], "password")
    return None


def _warnings(config: MqttConfig) -> Iterator[str]:
    if not config.tls_verify:
        yield (
            "mqtt.tls_verify is false: the broker's certificate is not checked, so anybody on the network path can "
            "read and change everything. Set mqtt.ca_file and remove mqtt.tls_verify"
        )
    for key, file in (("password_file", config.password_file), ("key_file", config.key_file)):
        if file is not None and exists(file) and file.stat().st_mode & stat.S_IROTH:
            yield f"mqtt.{key}: every user of this machine can read {file}. Run: chmod 600 {file}"


def _warnings_of_login(username: str | None, password: str | None) -> Iterator[str]:
    if username is not None and ":" in username and password is None:
        yield (
            "mqtt.username has a colon, and there is no password: if it is USER:PASSWORD, write the password into a "
            "file of its own and name that in mqtt.password_file"
        )


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """Return the TLS context, None without TLS. Raises ConfigError with the remedy; does not use the network."""
    if not config.tls:
        return None
    context = _with_authority(config.ca_file)
    # A name in the subject alone (CN) has not counted since RFC 9525; Python still accepts it unless told otherwise.
    context.hostname_checks_common_name = False
    if config.cert_file is not None:
        _load_certificate(context, config.cert_file, config.key_file)
    if not config.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _ClosingSocket
    return context


def explain(error: ssl.SSLError) -> tuple[str, str]:
    """Return what a failed handshake means and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message, _REMEDIES.get(error.verify_code, _UNKNOWN_AUTHORITY)
    reason = (getattr(error, "reason", None) or error.strerror or str(error)).lower().replace("_", " ")
    if "alert" in reason:  # sent by the broker: it rejects our certificate
        return f"the broker says: {reason}", OUR_CERTIFICATE
    return reason, "does the broker speak TLS at this port? 8883 is usual; without encryption set mqtt.tls = false"


def _with_authority(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    _must_be_file("mqtt.ca_file", ca_file, "Copy the certificate of the broker's authority to it")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"mqtt.ca_file: {ca_file} is not a readable PEM certificate ({_why(error)})") from None


def _load_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    key_file = None if key_file is None else readable(key_file)
    for name, file in (("mqtt.cert_file", cert_file), ("mqtt.key_file", key_file)):
        if file is not None:
            _must_be_file(name, file, "Copy ferd's own to it, or remove the key")
    key = key_file or cert_file
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except _PassphraseError:
        raise ConfigError(f"mqtt.key_file: {key} has a passphrase: remove it (openssl pkey -in … -out …)") from None
    except OSError as error:
        if "MISMATCH" in str(error):
            raise ConfigError(
                f"mqtt.key_file: {key} is not the key of {cert_file}: use the two that belong together"
            ) from None
        raise ConfigError(
            f"mqtt.cert_file, key_file: {cert_file} and {key} are not a readable PEM certificate and its key "
            f"({_why(error)})"
        ) from None


class _PassphraseError(Exception):
    pass


def _no_passphrase() -> str:
    """Raise: without this OpenSSL would ask on the terminal and wait."""
    raise _PassphraseError


def _must_be_file(key: str, file: Path, remedy: str) -> None:
    if not exists(file):
        raise ConfigError(f"{key}: {file} does not exist. {remedy}")
    if not is_file(file):
        raise ConfigError(f"{key}: {file} is not a regular file. {remedy}")


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


class _ClosingSocket(ssl.SSLSocket):
    """Close the socket when the handshake fails, and keep a later TLS error in ``trouble``.

    paho 2.2 leaves the first to the garbage collector and reports the second as "connection lost"; with TLS 1.3 the
    broker rejects our certificate only after the handshake.
    """

    trouble: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ConnectionResetError:
            self.close()
            raise ssl.SSLEOFError(0, "hung up in the middle of the handshake") from None
        except OSError:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.trouble = error
            raise
