from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import mosquitto, wait_for
from certificates import Authority
from pydantic import ValidationError

from ferd.config import MqttConfig
from ferd.errors import ConfigError, FerdError
from ferd.outputs.mqtt import broker_settings as target
from ferd.outputs.mqtt.broker_settings import OUR_CERTIFICATE, broker_settings
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.listen import listen
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher


def test_the_first_line_of_the_file_is_the_password(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret word\nanother\n")
    found = broker_settings(MqttConfig(username="ferd", password_file=file), {})
    assert found.password == "s3cret word"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("content", ["geheim-ß 1 \n", "\ufeffgeheim-ß 1\n", "geheim-ß 1\t\r\n", "geheim-ß 1"])
def test_a_mark_or_blanks_of_an_editor_are_no_part_of_a_password(tmp_path: Path, content: str):
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    assert broker_settings(MqttConfig(username="ferd", password_file=file), {}).password == "geheim-ß 1"


def test_a_password_in_another_encoding_is_named_and_not_shown(tmp_path: Path):
    file = tmp_path / "password"
    for encoding, named in (("utf-16", "UTF-16"), ("latin-1", "Latin-1")):
        file.write_bytes("geheim-ß\n".encode(encoding))
        with pytest.raises(ConfigError, match=named) as raised:
            broker_settings(MqttConfig(username="ferd", password_file=file), {})
        assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("192.168.1.2", "192.168.1.2"),
        ("broker.lan.", "broker.lan."),
        ("core_mosquitto", "core_mosquitto"),
        ("bücher.lan", "bücher.lan"),
    ],
)
def test_hosts(given: str, host: str):
    assert MqttConfig(host=given).host == host


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("broker:1883", "port = "),
        ("[::1]:1883", "port = "),
        ("192.168.1.2:8883", "port = "),
        ("mqtt://broker", "mqtt://"),
        ("user:hush@broker", "user name"),
        ("", "it is empty"),
        ("a b", "blanks"),
        ("::zz", "only the name"),
        ("broker,other", "only the name"),
    ],
)
def test_what_is_no_host_is_refused_with_the_remedy(given: str, remedy: str):
    with pytest.raises(ValidationError, match=remedy):
        MqttConfig(host=given)


def test_an_ipv6_address_is_shown_in_brackets():
    assert str(broker_settings(MqttConfig(host="[::1]"), {})) == "[::1]:1883"


@pytest.mark.parametrize(
    ("given", "prefix"), [("homeassistant/", "homeassistant"), ("a/b//", "a/b"), ("/ha", "/ha"), ("ha", "ha")]
)
def test_a_discovery_prefix_has_no_slash_at_its_end(given: str, prefix: str):
    assert MqttConfig(discovery_prefix=given).discovery_prefix == prefix


@pytest.mark.parametrize("given", ["/", "a//b", "$SYS", "a\0b", "", "a/#"])
def test_what_is_no_discovery_prefix_is_refused(given: str):
    with pytest.raises(ValidationError):
        MqttConfig(discovery_prefix=given)


@pytest.mark.parametrize("given", ["mqtt", "", "/a b", "/a\r\nHost: x", "/ü"])
def test_what_is_no_websocket_path_is_refused(given: str):
    with pytest.raises(ValidationError):
        MqttConfig(transport="websockets", websocket_path=given)


def test_the_credential_of_systemd_is_used_when_no_file_is_named(tmp_path: Path):
    (tmp_path / "mqtt.password").write_text("s3cret\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert broker_settings(MqttConfig(username="ferd"), environ).password == "s3cret"
    assert broker_settings(MqttConfig(), environ).password is None
    assert broker_settings(MqttConfig(username="ferd"), {}).password is None
    assert broker_settings(MqttConfig(username="ferd"), {"CREDENTIALS_DIRECTORY": "/nowhere"}).password is None


def test_a_command_of_root_reads_what_the_service_is_handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`sudo ferd doctor`, `sudo ferd mqtt purge`: systemd hands them no credential."""
    file = tmp_path / "mqtt-password"
    monkeypatch.setattr(target, "SERVICE_PASSWORD", file)
    assert broker_settings(MqttConfig(username="ferd"), {}).password is None
    file.write_text("s3cret\n")
    assert broker_settings(MqttConfig(username="ferd"), {}).password == "s3cret"
    assert broker_settings(MqttConfig(), {}).password is None
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path / "empty")}
    assert broker_settings(MqttConfig(username="ferd"), handed).password is None, (
        "what is handed over counts, also nothing"
    )


def test_the_user_name_comes_from_its_key_a_file_or_a_credential(tmp_path: Path):
    for name, content in (("mqtt.username", "hall-pi\n"), ("mqtt.password", "s3cret\n"), ("user", "desk-pi\n")):
        (tmp_path / name).write_text(content)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert broker_settings(MqttConfig(), environ).username == "hall-pi"
    assert broker_settings(MqttConfig(), environ).password == "s3cret"
    assert broker_settings(MqttConfig(username="ferd"), environ).username == "ferd"
    assert broker_settings(MqttConfig(username_file=tmp_path / "user"), environ).username == "desk-pi"
    assert broker_settings(MqttConfig(password_file=tmp_path / "mqtt.password"), environ).username == "hall-pi"


def test_a_password_that_every_user_can_read_is_a_warning(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    config = MqttConfig(username="ferd", password_file=file)
    assert broker_settings(config, {}).warnings == ()
    file.chmod(0o644)
    assert "chmod 600" in broker_settings(config, {}).warnings[0]


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        broker_settings(MqttConfig(username="ferd", password_file=tmp_path / "pipe"), {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ca_file": "/ca"}, "ca_file is set but the connection is not encrypted: set tls = true"),
        ({"tls_verify": False}, "tls_verify is set but the connection is not encrypted"),
        ({"tls": True, "key_file": "/key"}, "key_file is set but cert_file is not"),
        ({"tls": True, "ca_file": "/ca", "tls_verify": False}, "remove tls_verify"),
        ({"username": "a", "username_file": "/a"}, "remove one of them"),
    ],
)
def test_keys_that_contradict_each_other_are_errors(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        MqttConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "content", "remedy"),
    [
        ({"username": "ferd", "password_file": "{}/none"}, b"", "does not exist. Write the password into it"),
        ({"username": "ferd", "password_file": "{}/file"}, b"", "is empty"),
        ({"username": "ferd", "password_file": "{}/file"}, b"\xff\n", "Latin-1"),
        ({"username": "ferd", "password_file": "{}"}, b"", "cannot be read"),
        ({"password_file": "{}/file"}, b"secret\n", "mqtt.username is not"),
        ({"username_file": "{}/none"}, b"", "Write the user name into it"),
        ({"tls": True, "ca_file": "{}/none"}, b"", "does not exist. Copy"),
        ({"tls": True, "ca_file": "{}/file"}, b"no certificate", "not a readable PEM"),
    ],
)
def test_a_wrong_file_is_an_error_with_its_remedy(
    tmp_path: Path, settings: dict[str, Any], content: bytes, remedy: str
):
    (tmp_path / "file").write_bytes(content)
    filled = {key: value.format(tmp_path) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises(ConfigError, match=remedy) as error:
        broker_settings(MqttConfig(**filled), {})
    assert "secret" not in str(error.value)


NODE = "hall"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ferd.outputs.mqtt")


@contextmanager
def publishing(port: int, **settings: Any) -> Iterator[Publisher]:
    config = MqttConfig(host="127.0.0.1", port=port, **settings)
    publisher = Publisher(config, NODE, "ferd_abcdef", Outbox(), backoff=Backoff(0.1, 0.3))
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


def log_line(caplog: pytest.LogCaptureFixture, word: str) -> str:
    def lines() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.getMessage().startswith(word)]

    wait_for(lines, 10, f"nothing about {word}: {caplog.text}")
    return lines()[0]


def test_a_certificate_of_the_configured_authority(tmp_path: Path, authority: Authority):
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker:
        with publishing(broker.port, tls=True, ca_file=authority.file) as publisher:
            wait_for(lambda: publisher.status.connected, 10, str(publisher.status))


@pytest.mark.parametrize(
    ("signed", "line"),
    [
        ({"days": -1}, 'reason="certificate has expired" remedy="renew the broker\'s certificate; check the clock'),
        ({"address": "DNS:broker.lan"}, "remedy=\"set mqtt.host to a name in the certificate's subjectAltName"),
    ],
    ids=["expired", "other name"],
)
def test_a_certificate_that_does_not_hold(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, signed: dict[str, Any], line: str
):
    with mosquitto(tmp_path, tls=authority.sign("bad", **signed)) as broker:
        with publishing(broker.port, tls=True, ca_file=authority.file) as publisher:
            assert line in log_line(caplog, "untrusted")
            assert not publisher.status.connected


@pytest.mark.parametrize("ca_file", ["other", None], ids=["wrong authority", "the system's authorities"])
def test_a_certificate_of_another_authority(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, ca_file: str | None
):
    settings = {"ca_file": Authority(tmp_path, ca_file).file} if ca_file else {}
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker:
        with publishing(broker.port, tls=True, **settings) as publisher:
            assert "set mqtt.ca_file to the certificate of the authority" in log_line(caplog, "untrusted")
            assert not publisher.status.connected


def test_a_broker_without_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker, publishing(broker.port, tls=True):
        assert "does the broker speak TLS at this port?" in log_line(caplog, "untrusted")


def test_a_broker_with_tls_and_we_without(tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker, publishing(broker.port):
        assert "with TLS?" in log_line(caplog, "protocol")


def test_a_client_certificate_lets_us_in(tmp_path: Path, authority: Authority):
    cert, key = authority.sign("hall-pi")
    more = [f"cafile {authority.file}", "require_certificate true", "use_identity_as_username true"]
    acl = "user hall-pi\ntopic ferd/hall/#\n"
    with mosquitto(tmp_path, tls=authority.sign("broker"), acl=acl, more=more) as broker:
        settings = {"tls": True, "ca_file": authority.file, "cert_file": cert, "key_file": key}
        with publishing(broker.port, **settings) as publisher:
            wait_for(lambda: publisher.status.connected, 10, str(publisher.status))


@pytest.mark.parametrize("ours", ["none", "of another authority"])
def test_a_broker_that_wants_another_certificate_of_us(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, ours: str
):
    settings: dict[str, Any] = {"tls": True, "ca_file": authority.file}
    if ours != "none":
        settings["cert_file"], settings["key_file"] = Authority(tmp_path, "other").sign("hall-pi")
    more = [f"cafile {authority.file}", "require_certificate true"]
    with mosquitto(tmp_path, tls=authority.sign("broker"), more=more) as broker:
        with publishing(broker.port, **settings) as publisher:
            wait_for(lambda: f'remedy="{OUR_CERTIFICATE}"' in caplog.text, 10, caplog.text)
            assert not publisher.status.connected


def test_insecure_connects_to_anybody_and_warns_at_each_start(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
):
    with mosquitto(tmp_path, tls=authority.sign("stranger", "DNS:elsewhere", days=-1)) as broker:
        for _ in range(2):
            with publishing(broker.port, tls=True, tls_verify=False) as publisher:
                wait_for(lambda p=publisher: p.status.connected, 10, str(publisher.status))
    warnings = [record for record in caplog.records if "mqtt.tls_verify is false" in record.getMessage()]
    assert [record.levelname for record in warnings] == ["WARNING", "WARNING"]


def test_a_key_that_every_user_can_read_is_a_warning(tmp_path: Path, authority: Authority):
    cert, key = authority.sign("hall-pi")
    config = MqttConfig(tls=True, cert_file=cert, key_file=key)
    key.chmod(0o600)
    assert broker_settings(config, {}).warnings == ()
    key.chmod(0o644)
    assert "chmod 600" in broker_settings(config, {}).warnings[0]


def _passphrase(folder: Path, key: Path) -> Path:
    locked = folder / "locked.key"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:hush", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    return locked


@pytest.mark.parametrize(
    ("what", "remedy"),
    [
        ("locked", "has a passphrase: remove it"),
        ("mismatch", "is not the key of"),
        ("text", "are not a readable PEM certificate and its key"),
        ("folder", "is not a regular file"),
        ("nothing", "does not exist. Copy ferd's own to it"),
    ],
)
def test_a_wrong_key_of_ours_is_an_error_with_its_remedy(tmp_path: Path, authority: Authority, what: str, remedy: str):
    cert, key = authority.sign("hall-pi")
    if what == "locked":
        key = _passphrase(tmp_path, key)
    elif what == "mismatch":
        key = authority.sign("somebody")[1]
    elif what == "text":
        key = tmp_path / "text.key"
        key.write_text("no key\n")
    else:
        key = tmp_path / "none" if what == "nothing" else tmp_path
    with pytest.raises(ConfigError, match=remedy):
        broker_settings(MqttConfig(tls=True, cert_file=cert, key_file=key), {})


@pytest.mark.parametrize(
    ("ours", "remedy"),
    [("wrong authority", "set mqtt.ca_file to"), ("no certificate", "set mqtt.cert_file and key_file to")],
)
def test_a_listener_gets_the_same_error(tmp_path: Path, authority: Authority, ours: str, remedy: str):
    own = authority.file if ours == "no certificate" else Authority(tmp_path, "other").file
    more = [f"cafile {authority.file}", "require_certificate true"]
    with mosquitto(tmp_path, tls=authority.sign("broker"), more=more) as broker:
        target = broker_settings(MqttConfig(host="127.0.0.1", port=broker.port, tls=True, ca_file=own), {})
        with pytest.raises(FerdError, match=remedy):
            listen(target, ["ferd/#"], lambda *_: None, lambda _: None, threading.Event())
