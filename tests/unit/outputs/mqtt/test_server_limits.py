from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from brokers import Ear, mosquitto, wait_for

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MAX_INCOMING, MqttConnection, Protocol, Wake
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.server_limits import ServerLimits, packet_size
from ferd.payloads import Event, State
from ferd.topics import Message

STATUS, STATE, EVENT = "ferd/hall/status", "ferd/hall/desk/state", "ferd/hall/desk/event"
DISCOVERY = "homeassistant/device/ferd_abcdef/config"


@contextmanager
def publishing(port: int, outbox: Outbox, **more: Any) -> Iterator[Publisher]:
    config = MqttConfig(host="127.0.0.1", port=port)
    publisher = Publisher(config, "hall", "ferd_abcdef", outbox, cameras=["desk"], backoff=Backoff(0.1, 0.3), **more)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


@pytest.fixture
def outbox() -> Outbox:
    """The order in which a start puts it: the discovery document is large, and the state comes after it."""
    outbox = Outbox()
    document = {"components": "x" * 5000}
    outbox.put(topics.discovery_message("homeassistant", "ferd_abcdef", document), time.monotonic())
    outbox.put(topics.camera_status_message("hall", "desk", "online"), time.monotonic())
    outbox.put(topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, 1)), time.monotonic())
    return outbox


def put_event(outbox: Outbox, name: str) -> None:
    event = Event("face_left", name, 1, None, None, None, 3.0, 0.0)
    outbox.put(topics.event_message("hall", "desk", event), time.monotonic())


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.getMessage().startswith(word)]


def after(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    """The first words of the lines behind the first one that begins with ``word``."""
    messages = [it.getMessage() for it in caplog.records]
    begin = next((i for i, text in enumerate(messages) if text.startswith(word)), len(messages))
    return [text.split()[0] for text in messages[begin + 1 :]]


def test_a_broker_that_names_no_limit_has_none():
    assert ServerLimits.of(None) == ServerLimits.of(SimpleNamespace()) == ServerLimits()
    assert ServerLimits().restrictions() == ()
    message = Message("t", "x", retain=True, qos=1)
    assert ServerLimits().fit(message) is message


def test_limits_are_read():
    given = SimpleNamespace(
        MaximumPacketSize=100, MaximumQoS=0, RetainAvailable=0, ReceiveMaximum=3, ServerKeepAlive=7, ServerReference="b"
    )
    limits = ServerLimits.of(given)
    assert limits == ServerLimits(100, 0, False, 3, 7, reference="b")
    assert limits.fit(Message("t", "x", retain=True, qos=1)) == Message("t", "x", retain=False, qos=0)
    assert len(limits.restrictions()) == 2


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (Message("t", "", qos=0), 1 + 1 + 3 + 1),
        (Message("t", "x" * 10, qos=1), 1 + 1 + 3 + 2 + 1 + 10),
        (Message("t", "x" * 200, qos=1), 1 + 2 + 3 + 2 + 1 + 200),
        (Message("t", "x", expires_s=60, correlation=b"ab"), 1 + 1 + 3 + 1 + 5 + 5 + 1),
    ],
)
def test_the_size_of_a_packet(message: Message, size: int):
    assert packet_size(message, len(message.encoded()), mqtt5=True) == size
    assert packet_size(message, len(message.encoded()), mqtt5=False) <= size - 1


@pytest.mark.parametrize("limit", [300, 2000, 5101, 5102])
def test_what_is_too_large_is_skipped_and_everything_else_arrives(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, limit: int
):
    """The broker closes the connection on a packet that is too large; it was sent again and again, and nothing else."""
    caplog.set_level(logging.INFO)
    with mosquitto(tmp_path, more=[f"max_packet_size {limit}"]) as broker, Ear(broker.port) as ear:
        with publishing(broker.port, outbox) as publisher:
            assert json.loads(ear.wait(STATE))["seq"] == 1
            ear.wait("ferd/hall/desk/status", "online")
            put_event(outbox, "one")
            assert json.loads(ear.wait(EVENT))["id"] == "one"
            publisher.republish()
            wait_for(lambda: len(ear.payloads(STATE)) == 2)
            assert publisher.status.reconnects == 0
            skipped = lines(caplog, "message skipped")
            size = packet_size(Message(DISCOVERY, {"components": "x" * 5000}, True, 1), 5017, mqtt5=True)
            assert len(skipped) == (1 if limit < size else 0)
            if skipped:
                assert DISCOVERY in skipped[0]
                assert f"broker_accepts={limit}" in skipped[0]
                assert "max_packet_size" in skipped[0]
            else:
                ear.wait(DISCOVERY)
    assert not lines(caplog, "lost")


@pytest.mark.parametrize(("protocol", "setting"), [("5", "message_size_limit 2000"), ("3.1.1", "max_packet_size 2000")])
def test_what_ends_the_connection_without_a_named_limit_is_found_and_skipped(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, protocol: Protocol, setting: str
):
    caplog.set_level(logging.INFO)
    with (
        mosquitto(tmp_path, more=[setting]) as broker,
        Ear(broker.port) as ear,
        publishing(broker.port, outbox, prefer=protocol) as publisher,
    ):
        # The line comes while the connection that it explains is being closed: the next one must begin after it.
        wait_for(lambda: "connected" in after(caplog, f"message skipped topic={DISCOVERY}"))
        assert "message_size_limit" in lines(caplog, "message skipped")[0]
        ear.wait(STATE)
        assert not lines(caplog, "no connection lasts")
        ended = len(lines(caplog, "lost"))
        put_event(outbox, "one")
        ear.wait(EVENT)
        time.sleep(1)
        assert publisher.status.connected
        assert len(lines(caplog, "lost")) == ended


@pytest.mark.parametrize("setting", ["retain_available false", "max_qos 0"])
def test_a_broker_without_retain_or_qos_1_gets_everything_in_the_form_that_it_accepts(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, setting: str
):
    """Such a broker refuses the connection for its last will already."""
    caplog.set_level(logging.INFO)
    with mosquitto(tmp_path, more=[setting]) as broker, Ear(broker.port) as ear:
        with publishing(broker.port, outbox) as publisher:
            assert json.loads(ear.wait(STATE))["seq"] == 1
            ear.wait(STATUS, "online")
            put_event(outbox, "one")
            ear.wait(EVENT)
            assert publisher.status.reconnects == 0
            assert publisher.status.protocol == "5"
        ear.wait(STATUS, "offline")
    assert len(lines(caplog, "limited broker")) == 1
    assert not lines(caplog, "will")


def test_the_will_is_sent_again_in_its_full_form_once_the_broker_accepts_it(tmp_path: Path, outbox: Outbox):
    with mosquitto(tmp_path, more=["retain_available false"]) as broker, publishing(broker.port, outbox) as publisher:
        wait_for(lambda: publisher.status.connected, 10)
        broker.stop()
        broker.rewrite(broker._config.read_text().replace("retain_available false", ""))
        broker.start()
        wait_for(lambda: publisher.status.connected and publisher._limits.retain, 20)
        with Ear(broker.port) as ear:
            ear.wait(STATE)
            ear.wait(STATUS, "online")
        with Ear(broker.port) as ear:  # the first one may have come before the message: then it is no retained one
            ear.wait(STATUS, "online")
            assert (STATUS, "online", True) in ear.heard


def test_the_brokers_keepalive_is_kept(tmp_path: Path, outbox: Outbox):
    """Without it the broker closes the connection after one and a half of its own keepalive."""
    with mosquitto(tmp_path, more=["max_keepalive 10"]) as broker, publishing(broker.port, outbox) as publisher:
        wait_for(lambda: publisher.status.connected, 10)
        assert publisher._limits.keepalive_s == 10
        time.sleep(16)
        assert publisher.status.reconnects == 0


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_huge_command_is_not_collected_and_the_next_one_is_carried_out(tmp_path: Path, protocol: Protocol):
    """200 MB on a subscribed topic took 728 MB, and the service its life."""
    received: list[IncomingMessage] = []
    collected = [0]
    wake = Wake()
    with mosquitto(tmp_path) as broker, Ear(broker.port, "nothing") as sender:
        settings = BrokerSettings(broker.host, broker.port)
        connection = MqttConnection(settings, protocol, "ferd_abcdef-hall", wake, on_message=received.append)
        connection.open()

        def turn_until(happened: Callable[[], bool]) -> None:
            until = time.monotonic() + 10
            while not happened():
                assert time.monotonic() < until
                assert connection.ended is None
                connection.run_once(0.05)
                collected.append(len(connection._client._in_packet["packet"]))

        turn_until(lambda: connection.connected)
        connection.subscribe(["ferd/hall/request/+"], news_only=True)
        connection.run_once(0.2)
        for size in (MAX_INCOMING, 20_000_000):
            sender._client.publish("ferd/hall/request/reload", "x" * size, 1)
        sender._client.publish("ferd/hall/request/snooze", "5", 1)
        turn_until(lambda: bool(received))
        assert [it.topic for it in received] == ["ferd/hall/request/snooze"]
        assert max(collected) <= MAX_INCOMING
        connection.close()
    wake.close()


def test_without_wildcards_each_command_is_subscribed_to(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    subscribed: list[str] = []
    subscribe = MqttConnection.subscribe

    def note(connection: MqttConnection, topics: Iterable[str], *, news_only: bool = False) -> None:
        subscribed.extend(topics)
        subscribe(connection, topics, news_only=news_only)

    monkeypatch.setattr(MqttConnection, "subscribe", note)
    monkeypatch.setattr(ServerLimits, "of", lambda _given: ServerLimits(wildcards=False))
    received: list[IncomingMessage] = []
    with (
        mosquitto(tmp_path) as broker,
        Ear(broker.port) as ear,
        publishing(broker.port, outbox, on_command=received.append),
    ):
        ear.wait(STATUS, "online")
        assert subscribed
        assert not [topic for topic in subscribed if "+" in topic or "#" in topic]
        for topic in ("ferd/hall/request/snooze", "ferd/hall/desk/enabled/set"):
            ear.say(topic, "1")
        wait_for(lambda: len(received) == 2)
        ear.say("ferd/hall/desk/status", "offline", retain=True)
        ear.wait("ferd/hall/desk/status", "online")
