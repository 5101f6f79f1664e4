"""The access rules of examples/mosquitto, in a real broker: what they allow, what they refuse, and how ferd tells."""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import Ear, Mosquitto, free_port, mosquitto, wait_for
from certificates import Authority

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MqttConnection, Wake
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.topics import Message

EXAMPLES = Path(__file__).parents[4] / "examples/mosquitto"
USERS = {"hall-pi": "one", "homeassistant": "two", "viewer": "three", "desk-pi": "four"}
PATTERNS = [line[1:] for line in (EXAMPLES / "acl").read_text().splitlines() if line.startswith("#pattern")]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path, users=USERS, acl=(EXAMPLES / "acl").read_text()) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ferd.outputs.mqtt.client")


@contextmanager
def publishing(
    folder: Path, node: str, outbox: Outbox, identity: str = "ferd_0a1b2c", **settings: Any
) -> Iterator[Publisher]:
    password = folder / "password"
    password.write_text(USERS["hall-pi"] + "\n")
    password.chmod(0o600)
    config = MqttConfig(host="127.0.0.1", username="hall-pi", password_file=password, **settings)
    publisher = Publisher(config, node, identity, outbox, cameras=["desk"], backoff=Backoff(0.1, 0.3))
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


def listener(broker: Mosquitto, user: str) -> Ear:
    return Ear(broker.port, username=user, password=USERS[user])


def all_that_ferd_says(node: str, identity: str) -> list[Message]:
    """Something on every topic that ferd publishes to; its status comes from the publisher itself."""
    names = {"node": node, "camera": "desk", "verb": "reload", "identity": identity, "prefix": "homeassistant"}
    return [
        Message(topic.at(**names, platform="sensor", key="x"), b"{}", topic.retain, topic.qos)
        for topic in topics.PUBLISHED
        if topic is not topics.NODE_STATUS
    ]


def try_to_write(port: int, user: str, wanted: list[str]) -> list[str]:
    """The topics of ``wanted`` that the broker refuses."""
    refused: list[str] = []
    wake = Wake()
    target = BrokerSettings("127.0.0.1", port, user, USERS[user])
    link = MqttConnection(target, "5", f"test-{user}", wake, on_refused=lambda topic, _reason: refused.append(topic))
    try:
        link.open()
        wait_for(lambda: link.run_once(0.1) or link.connected)
        for topic in wanted:
            link.send(Message(topic, b"x", qos=1), time.monotonic())
        wait_for(lambda: link.run_once(0.1) or not link.unacked)
        link.leave()
    finally:
        link.close()
        wake.close()
    return refused


def test_ferd_may_publish_everything(tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture):
    outbox = Outbox()
    messages = all_that_ferd_says("hall-pi", "ferd_0a1b2c")
    for message in messages:
        outbox.put(message, time.monotonic())
    with listener(broker, "homeassistant") as ear:
        with publishing(tmp_path, "hall-pi", outbox, port=broker.port):
            for message in messages:
                ear.wait(message.topic)
        ear.wait("ferd/hall-pi/status", "offline")
    assert "refused" not in caplog.text


def test_a_ferd_writes_nothing_of_anybody_else(broker: Mosquitto):
    allowed = ["ferd/hall-pi/desk/state", "homeassistant/device/ferd_0a1b2c/config"]
    refused = [
        "ferd/desk-pi/status",
        "ferd/desk-pi/desk/enabled/set",
        "homeassistant/status",
        "homeassistant/device/ferd_ffffff/config",
        "homeassistant/sensor/ferd_ffffff/x/config",
        "zigbee2mqtt/lamp/set",
    ]
    assert try_to_write(broker.port, "hall-pi", allowed + refused) == refused
    assert try_to_write(broker.port, "viewer", allowed) == allowed


def test_a_ferd_reads_its_commands_and_nothing_else(broker: Mosquitto):
    names = {"node": "hall-pi", "camera": "desk", "prefix": "homeassistant"}
    commands = [topic.at(**names) for topic in topics.TAKEN]
    others = ["ferd/desk-pi/desk/enabled/set", "ferd/desk-pi/request/reload"]
    with listener(broker, "hall-pi") as ferd, listener(broker, "homeassistant") as home:
        for topic in [*others, *commands]:
            home.say(topic, "x")
        wait_for(lambda: len(ferd.heard) == len(commands))
        assert [topic for topic, _, _ in ferd.heard] == commands
    assert try_to_write(broker.port, "homeassistant", ["ferd/hall-pi/desk/state"]) == ["ferd/hall-pi/desk/state"]


def test_with_patterns_a_ferd_without_a_block_has_its_own_tree(tmp_path: Path):
    with mosquitto(tmp_path, users=USERS, acl="\n".join([*PATTERNS, ""])) as broker:
        wanted = ["ferd/desk-pi/desk/state", "homeassistant/device/ferd_ffffff/config", "ferd/hall-pi/status", "else"]
        assert try_to_write(broker.port, "desk-pi", wanted) == wanted[2:]


def test_another_identity_is_logged_with_the_topic(tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture):
    outbox = Outbox()
    for message in all_that_ferd_says("hall-pi", "ferd_ffffff"):
        outbox.put(message, time.monotonic())
    with publishing(tmp_path, "hall-pi", outbox, "ferd_ffffff", port=broker.port):
        wait_for(lambda: caplog.text.count("publish refused") == 2, what=caplog.text)
    assert "topic=homeassistant/device/ferd_ffffff/config" in caplog.text
    assert "check the broker's ACL" in caplog.text


def test_another_node_name_is_logged(tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture):
    with publishing(tmp_path, "other-pi", Outbox(), port=broker.port):
        wait_for(lambda: "publish refused topic=ferd/other-pi/status" in caplog.text, 10, caplog.text)
    with listener(broker, "viewer") as ear:
        assert ear.payloads("ferd/other-pi/status") == []


def test_the_example_configuration_starts_and_works(tmp_path: Path):
    authority = Authority(tmp_path)
    cert, key = authority.sign("broker")
    secure = free_port()
    with mosquitto(tmp_path, users=USERS, started=False) as broker:
        places = {
            "/etc/mosquitto/ferd-passwords": tmp_path / "passwords",
            "/etc/mosquitto/ferd-acl": EXAMPLES / "acl",
            "/etc/mosquitto/certs/broker.pem": cert,
            "/etc/mosquitto/certs/broker.key": key,
            "listener 1883 127.0.0.1": f"listener {broker.port} 127.0.0.1",
            "listener 8883": f"listener {secure} 127.0.0.1",
        }
        text = (EXAMPLES / "ferd.conf").read_text()
        for ours, here in places.items():
            assert ours in text
            text = text.replace(ours, str(here))
        broker.rewrite(f"user {getpass.getuser()}\n{text}")
        broker.start()
        assert try_to_write(broker.port, "hall-pi", ["ferd/hall-pi/status", "else"]) == ["else"]
        outbox = Outbox()
        settings = {"port": secure, "tls": True, "ca_file": authority.file}
        with publishing(tmp_path, "hall-pi", outbox, **settings) as publisher:
            wait_for(lambda: publisher.status.connected, 10, str(publisher.status))
