from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import Ear, Mosquitto, mosquitto, wait_for

from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MqttConnection, Protocol, Wake
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.topics import Message

STATUS = "ferd/hall/status"
WILL = Message(STATUS, b"offline", retain=True, qos=1)
ONLINE = Message(STATUS, b"online", retain=True, qos=1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as broker:
        yield broker


def turn_until(link: MqttConnection, happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < until, link.ended
        link.run_once(0.1)


@contextmanager
def linked(broker: Mosquitto, protocol: Protocol) -> Iterator[MqttConnection]:
    wake = Wake()
    link = MqttConnection(BrokerSettings(broker.host, broker.port), protocol, "ferd_abcdef-hall", wake, will=WILL)
    try:
        link.open()
        turn_until(link, lambda: link.connected)
        link.send(ONLINE, time.monotonic())
        turn_until(link, lambda: not link.unacked)
        yield link
    finally:
        link.close()
        wake.close()


def test_a_killed_socket_makes_the_broker_publish_offline(broker: Mosquitto):
    with linked(broker, "3.1.1"):
        pass
    with Ear(broker.port) as ear:
        ear.wait(STATUS, "offline")


def test_with_mqtt_5_the_will_comes_after_three_seconds_unless_the_client_is_back(broker: Mosquitto):
    with Ear(broker.port) as ear:
        with linked(broker, "5"):
            pass
        time.sleep(0.5)
        with linked(broker, "5"):
            time.sleep(3.2)
            assert ear.payloads(STATUS) == ["online", "online"]
        gone = time.monotonic()
        ear.wait(STATUS, "offline", timeout_s=6)
        assert time.monotonic() - gone > 1.5


def test_a_clean_disconnect_discards_the_will(broker: Mosquitto):
    with Ear(broker.port) as ear:
        with linked(broker, "3.1.1") as link:
            link.leave()
        time.sleep(0.3)
        assert ear.payloads(STATUS) == ["online"]


def test_the_wake_ends_the_waiting(broker: Mosquitto):
    with linked(broker, "5") as link:
        link._wake.set()
        begin = time.monotonic()
        link.run_once(5)
        assert time.monotonic() - begin < 1
        link._wake.close()
        link._wake.set()


def test_an_event_expires_at_the_broker(broker: Mosquitto):
    with linked(broker, "5") as link:
        message = Message("ferd/hall/desk/event", b"{}", retain=True, qos=1, expires_s=1)
        link.send(message, 0)  # retained for this test only, so that it can be looked for later
        turn_until(link, lambda: not link.unacked)
        time.sleep(2.1)
        with Ear(broker.port) as ear:
            ear.wait(STATUS)
            assert ear.payloads(message.topic) == []


def test_a_lost_line_ends_the_link_and_keeps_what_was_not_acknowledged(broker: Mosquitto):
    with linked(broker, "5") as link:
        broker.freeze()
        link.send(WILL, 7.0)
        broker.stop()
        wait_for(lambda: link.run_once(0.1) or link.ended is not None)
        assert not link.connected
        assert list(link.unacked.values()) in ([], [(7.0, WILL)])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what gc finds of tests before
def test_a_connection_that_is_over_holds_no_descriptor(broker: Mosquitto):
    """Each reconnect kept paho's pair of sockets until the next garbage collection."""
    with linked(broker, "5"):
        pass
    gc.collect()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with linked(broker, "5"):
                pass
        # Threads of tests before may open or close one meanwhile; five pairs of sockets would be ten.
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
    finally:
        gc.enable()


def publish_packet(topic: bytes, payload: bytes) -> bytes:
    """A PUBLISH of MQTT 3.1.1 with QoS 0, shorter than 128 bytes."""
    body = len(topic).to_bytes(2, "big") + topic + payload
    return bytes([0x30, len(body)]) + body


def test_a_topic_that_is_not_utf_8_is_ignored_and_the_connection_goes_on(caplog: pytest.LogCaptureFixture):
    """mosquitto does not let one through; another broker may. It ended the connection, as often as it came."""
    caplog.set_level(logging.DEBUG)
    received: list[IncomingMessage] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(bytes([0x20, 2, 0, 0]))
                line.sendall(publish_packet(b"ferd/\xff\xfe/request/restart", b"{}") * 50)
                line.sendall(publish_packet(b"ferd/hall/request/snooze", b"5"))
                line.recv(4096)

        broker = threading.Thread(target=serve, daemon=True)
        broker.start()
        wake = Wake()
        settings = BrokerSettings("127.0.0.1", server.getsockname()[1])
        link = MqttConnection(settings, "3.1.1", "ferd_abcdef-hall", wake, on_message=received.append)
        link.open()
        turn_until(link, lambda: bool(received))
        assert [it.topic for it in received] == ["ferd/hall/request/snooze"]
        assert link.connected
        link.close()
        wake.close()
        broker.join(5)
    assert [it.levelno for it in caplog.records if "not UTF-8" in it.getMessage()] == [logging.DEBUG]


def test_whether_the_other_machine_receives_is_known(broker: Mosquitto):
    """A frozen broker's machine acknowledges what comes, until its buffers are full."""
    with linked(broker, "5") as link:
        broker.freeze()
        link.send(Message("ferd/hall/desk/state", b"{}", qos=1), time.monotonic())
        wait_for(lambda: link.unreceived() == 0)
        link.send(Message("ferd/hall/desk/state", b"x" * 60_000_000), time.monotonic())
        link.run_once(0.1)
        time.sleep(0.5)
        assert link.unreceived()
        broker.thaw()
    assert link.unreceived() is None, "without a socket"
