"""TLS against a real broker: what is wrong with a certificate is told with its remedy, and nothing is sent."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import mosquitto, wait_for
from certificates import Authority

from ferd.config.mqtt import MqttConfig
from ferd.errors import ConfigError, FerdError
from ferd.outputs.mqtt.backoff import Backoff
from ferd.outputs.mqtt.broker_settings import broker_settings
from ferd.outputs.mqtt.listen import listen
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.tls import OUR_CERTIFICATE

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


def told(caplog: pytest.LogCaptureFixture, word: str) -> str:
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
        ({"days": -1}, 'reason="certificate has expired" remedy="renew the certificate of the broker; is the clock'),
        ({"address": "DNS:broker.lan"}, 'remedy="set mqtt.host to a name that stands in the certificate'),
    ],
    ids=["expired", "other name"],
)
def test_a_certificate_that_does_not_hold(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, signed: dict[str, Any], line: str
):
    with mosquitto(tmp_path, tls=authority.sign("bad", **signed)) as broker:
        with publishing(broker.port, tls=True, ca_file=authority.file) as publisher:
            assert line in told(caplog, "untrusted")
            assert not publisher.status.connected


@pytest.mark.parametrize("ca_file", ["other", None], ids=["wrong authority", "the system's authorities"])
def test_a_certificate_of_another_authority(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, ca_file: str | None
):
    settings = {"ca_file": Authority(tmp_path, ca_file).file} if ca_file else {}
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker:
        with publishing(broker.port, tls=True, **settings) as publisher:
            assert "set mqtt.ca_file to the certificate of the authority" in told(caplog, "untrusted")
            assert not publisher.status.connected


def test_a_broker_without_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker, publishing(broker.port, tls=True):
        assert "does the broker speak TLS at this port?" in told(caplog, "untrusted")


def test_a_broker_with_tls_and_we_without(tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker, publishing(broker.port):
        assert "with TLS?" in told(caplog, "protocol")


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


def test_a_key_that_everybody_can_read_is_told(tmp_path: Path, authority: Authority):
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
        ("nothing", "is not there. Copy ferd's own to it"),
    ],
)
def test_what_is_wrong_with_our_own_key_is_told(tmp_path: Path, authority: Authority, what: str, remedy: str):
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
def test_who_only_listens_is_told_the_same(tmp_path: Path, authority: Authority, ours: str, remedy: str):
    own = authority.file if ours == "no certificate" else Authority(tmp_path, "other").file
    more = [f"cafile {authority.file}", "require_certificate true"]
    with mosquitto(tmp_path, tls=authority.sign("broker"), more=more) as broker:
        target = broker_settings(MqttConfig(host="127.0.0.1", port=broker.port, tls=True, ca_file=own), {})
        with pytest.raises(FerdError, match=remedy):
            listen(target, ["ferd/#"], lambda *_: None, lambda _: None, threading.Event())
