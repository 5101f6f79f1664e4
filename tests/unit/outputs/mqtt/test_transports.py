"""Connections over websockets and to a broker whose certificate names it in its subject only, against mosquitto."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import Ear, free_port, mosquitto, wait_for
from certificates import Authority

from ferd import topics
from ferd.config import MqttConfig
from ferd.errors import FerdError
from ferd.outputs.mqtt.broker_settings import broker_settings
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.listen import listen
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.payloads import State

STATE = "ferd/hall/desk/state"


@contextmanager
def publishing(port: int, outbox: Outbox, prefer: Protocol = "5", **config: Any) -> Iterator[list[IncomingMessage]]:
    commands: list[IncomingMessage] = []
    publisher = Publisher(
        MqttConfig(**{"host": "127.0.0.1", "port": port} | config),
        "hall",
        "ferd_abcdef",
        outbox,
        prefer=prefer,
        backoff=Backoff(0.1, 0.3),
        on_command=commands.append,
    )
    publisher.start()
    try:
        yield commands
    finally:
        publisher.stop()


def put_state(outbox: Outbox, seq: int) -> None:
    outbox.put(topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, seq)), time.monotonic())


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.getMessage().startswith(word)]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_broker_behind_websockets(tmp_path: Path, protocol: Protocol, tls: bool):
    plain, outbox = free_port(), Outbox()
    put_state(outbox, 1)
    authority = Authority(tmp_path)
    keys = authority.sign("broker") if tls else None
    more = ["protocol websockets", f"listener {plain} 127.0.0.1"]
    if keys is not None:  # the certificate belongs to the first listener
        more = [f"certfile {keys[0]}", f"keyfile {keys[1]}", *more]
    settings: dict[str, Any] = {"transport": "websockets"}
    settings |= {"tls": True, "ca_file": authority.file} if tls else {}
    with (
        mosquitto(tmp_path, more=more) as broker,
        Ear(plain) as ear,
        publishing(broker.port, outbox, protocol, **settings) as commands,
    ):
        ear.wait(STATE)
        ear.wait("ferd/hall/status", "online")
        for count in range(20):
            ear.say("ferd/hall/request/snooze", str(count))
        wait_for(lambda: len(commands) == 20)
        outbox.put(topics.discovery_message("homeassistant", "ferd_abcdef", {"x": "y" * 40_000}), time.monotonic())
        wait_for(lambda: ear.payloads("homeassistant/device/ferd_abcdef/config"))
    assert ear.payloads("ferd/hall/status")[-1] == "offline"


def test_a_port_without_websockets_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker, publishing(broker.port, Outbox(), transport="websockets"):
        wait_for(lambda: caplog.records, 10)
        assert "websocket_path" in caplog.records[0].getMessage()
        assert len(caplog.records) == 1


def test_watch_over_websockets(tmp_path: Path):
    plain = free_port()
    heard, stop = [], threading.Event()

    def note(topic: str, _payload: bytes) -> None:
        heard.append(topic)
        stop.set()

    with mosquitto(tmp_path, more=["protocol websockets", f"listener {plain} 127.0.0.1"]) as broker, Ear(plain) as ear:
        ear.say(STATE, "{}", retain=True)
        config = MqttConfig(host="127.0.0.1", port=broker.port, transport="websockets")
        listen(broker_settings(config, {}), [STATE], note, lambda _line: None, stop)
    assert heard == [STATE]


def test_a_certificate_with_its_name_in_the_subject_only_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, "-keyout", key, "-out", cert, "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, capture_output=True)
    config = {"host": "localhost", "tls": True, "ca_file": cert}
    with mosquitto(tmp_path, tls=(cert, key)) as broker:
        with publishing(broker.port, Outbox(), **config):
            wait_for(lambda: lines(caplog, "untrusted"), 10)
        assert "subjectAltName" in lines(caplog, "untrusted")[0]
        assert not lines(caplog, "connected")
        settings = broker_settings(MqttConfig(port=broker.port, **config), {})
        with pytest.raises(FerdError, match="subjectAltName"):
            listen(settings, ["#"], lambda *_: None, lambda _line: None, threading.Event())
