"""TLS towards the broker: the context that the configuration asks for, and what a failed handshake means."""

from __future__ import annotations

import ssl
from pathlib import Path

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError
from ferd.fs import exists, is_file

# Codes of OpenSSL's X509_verify_cert_error_string(3).
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
_REMEDIES = {
    _NOT_YET_VALID: "is the clock of this machine right? (timedatectl)",
    _EXPIRED: "renew the certificate of the broker; is the clock of this machine right?",
    **dict.fromkeys(_OTHER_NAME, "set mqtt.host to a name that stands in the certificate of the broker"),
}
OUR_CERTIFICATE = "set mqtt.cert_file and key_file to a certificate that the broker trusts"
"""Also the likely remedy when a broker hangs up after the handshake: its reason may be lost with the connection."""
_UNKNOWN_AUTHORITY = "set mqtt.ca_file to the certificate of the authority that signed the broker's"


def context_of(config: MqttConfig) -> ssl.SSLContext | None:
    """None without TLS. Raises ConfigError with the remedy when a file is wrong; touches no network."""
    if not config.tls:
        return None
    context = _with_authority(config.ca_file)
    if config.cert_file is not None:
        _show_certificate(context, config.cert_file, config.key_file)
    if not config.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _TidySocket
    return context


def explain(error: ssl.SSLError) -> tuple[str, str]:
    """What a failed handshake means, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message, _REMEDIES.get(error.verify_code, _UNKNOWN_AUTHORITY)
    reason = (getattr(error, "reason", None) or error.strerror or str(error)).lower().replace("_", " ")
    if "alert" in reason:  # the broker's word about us; it is the certificate that it does not like
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


def _show_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
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
            raise ConfigError(f"mqtt.key_file: {key} is not the key of {cert_file}: take the two together") from None
        raise ConfigError(
            f"mqtt.cert_file, key_file: {cert_file} and {key} are not a readable PEM certificate and its key "
            f"({_why(error)})"
        ) from None


class _PassphraseError(Exception):
    pass


def _no_passphrase() -> str:
    """Without this OpenSSL would ask on the terminal, and wait."""
    raise _PassphraseError


def _must_be_file(key: str, file: Path, remedy: str) -> None:
    if not exists(file):
        raise ConfigError(f"{key}: {file} is not there. {remedy}")
    if not is_file(file):
        raise ConfigError(f"{key}: {file} is not a regular file. {remedy}")


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, and keeps in ``trouble`` what failed later.

    paho 2.2 leaves the first to the garbage collector and makes "connection lost" of the second; with TLS 1.3 the
    broker says what it thinks of our certificate only after the handshake.
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
