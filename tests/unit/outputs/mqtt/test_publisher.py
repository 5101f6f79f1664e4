from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from brokers import Ear, Mosquitto, free_port, mosquitto, wait_for
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt import publisher as module
from ferd.outputs.mqtt.client import MqttConnection, Protocol
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.embedded import EmbeddedBroker, is_broker_there
from ferd.outputs.mqtt.outbox import AT_ONCE, Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.requests import IncomingMessage, ReplyInfo, respond
from ferd.payloads import AlertEvent, Event, Info, State
from ferd.topics import Message

STATUS, STATE, EVENT = "ferd/hall/status", "ferd/hall/desk/state", "ferd/hall/desk/event"
DISCOVERY = "homeassistant/device/ferd_abcdef/config"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ferd.outputs.mqtt.client")


@pytest.fixture
def outbox() -> Outbox:
    outbox = Outbox()
    outbox.put(topics.info_message("hall", Info("0.1", "expression", ["joy"], ["desk"])), now())
    outbox.put(topics.camera_status_message("hall", "desk", "online"), now())
    put_state(outbox, 1)
    return outbox


def now() -> float:
    return time.monotonic()


def put_state(outbox: Outbox, seq: int) -> None:
    outbox.put(topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, seq)), now())


def put_event(outbox: Outbox, name: str) -> None:
    event = Event("face_left", name, 1, None, None, None, 3.0, 0.0)
    outbox.put(topics.event_message("hall", "desk", event), now())


@contextmanager
def publishing(port: int, outbox: Outbox, **more: Any) -> Iterator[Publisher]:
    config = MqttConfig(host="127.0.0.1", port=port, **more)
    publisher = Publisher(config, "hall", "ferd_abcdef", outbox, cameras=["desk"], backoff=Backoff(0.1, 0.3))
    publisher.start()
    try:
        yield publisher
    finally:
        begin = now()
        publisher.stop()
        assert now() - begin < 1.5


def connected(publisher: Publisher) -> None:
    wait_for(lambda: publisher.status.connected, 10, f"not connected: {publisher.status}")


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith(word)]


def test_a_later_subscriber_gets_everything_retained(tmp_path: Path, outbox: Outbox):
    with mosquitto(tmp_path) as broker, publishing(broker.port, outbox) as publisher:
        connected(publisher)
        assert publisher.status.protocol == "5"
        with Ear(broker.port) as before:
            before.wait(STATE)
        with Ear(broker.port) as ear:
            ear.wait(STATE)
            assert {(topic, retained) for topic, _, retained in ear.heard} == {
                (STATUS, True),
                ("ferd/hall/info", True),
                ("ferd/hall/desk/status", True),
                (STATE, True),
            }
            put_event(outbox, "now")
            assert json.loads(ear.wait(EVENT))["id"] == "now"
            assert ear.heard[-1][2] is False


def test_a_clean_stop_leaves_the_last_state_at_the_broker(tmp_path: Path, outbox: Outbox):
    """It used to stay behind when it waited for the rate limit."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        with publishing(broker.port, outbox) as publisher:
            connected(publisher)
            for number in range(3 * AT_ONCE):
                outbox.put(topics.state_message("hall", "desk", State("fear", 0.8, 1, 0.0, number)), now())
                put_event(outbox, f"{number}")
        ear.wait(STATUS, "offline")
        assert json.loads(ear.payloads(STATE)[-1])["seq"] == 3 * AT_ONCE - 1


def test_a_clean_stop_publishes_offline_last(tmp_path: Path, outbox: Outbox):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        with publishing(broker.port, outbox) as publisher:
            ear.wait(STATE)
        ear.wait(STATUS, "offline")
        assert [topic for topic, payload, _ in ear.heard if payload == "offline"] == ["ferd/hall/desk/status", STATUS]
        assert ear.heard[-1][0] == STATUS
        assert publisher.status.reason == "stopped"
        publisher.stop()


def test_a_new_broker_gets_the_last_values_again(tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker, publishing(broker.port, outbox) as publisher:
        connected(publisher)
        publisher._policy.backoff = Backoff(1, chance=lambda: 1.0)  # time for the ear to be there first
        broker.stop()
        wait_for(lambda: not publisher.status.connected)
        for seq in range(2, 9):
            put_state(outbox, seq)
            put_event(outbox, str(seq))
        broker.start()
        with Ear(broker.port) as ear:
            wait_for(lambda: len(ear.payloads(EVENT)) == 7, 10)
            assert json.loads(ear.wait(STATE))["seq"] == 8
            assert len(ear.payloads(STATE)) == 1
            assert ear.wait(STATUS) == "online"
            ear.wait("ferd/hall/info")
        assert publisher.status.reconnects == 1
        assert len(lines(caplog, "lost")) == 1
        assert len(lines(caplog, "connected")) == 2


def test_no_broker_at_the_start_is_logged_once(tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path, started=False) as broker, publishing(broker.port, outbox) as publisher:
        time.sleep(1)
        assert len(lines(caplog, "absent")) == 1
        assert "refused" in publisher.status.reason
        broker.start()
        connected(publisher)
        assert publisher.status.reconnects == 0


def test_a_wrong_password_is_logged_once_without_the_password(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    password_file = tmp_path / "password"
    password_file.write_text("wr0ng\n")
    with mosquitto(tmp_path, users={"ferd": "right"}) as broker:
        settings = {"username": "ferd", "password_file": password_file}
        with publishing(broker.port, outbox, **settings) as publisher:
            wait_for(lambda: lines(caplog, "refused"))
            time.sleep(0.8)
            assert not publisher.status.connected
        assert len(lines(caplog, "refused")) == 1
        assert "password_file" in lines(caplog, "refused")[0]
        assert "wr0ng" not in caplog.text
        password_file.write_text("right\n")
        with publishing(broker.port, outbox, **settings) as publisher:
            connected(publisher)


def test_the_embedded_broker_is_reached_with_the_older_protocol(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(module.ANSWER_WAITS_S, "5", 0.5)
    broker = EmbeddedBroker(free_port())
    broker.start()
    try:
        assert is_broker_there(broker.host, broker.port)
        with Ear(broker.port) as ear, publishing(broker.port, outbox) as publisher:
            ear.wait(STATE)
            assert publisher.status.protocol == "3.1.1"
        with publishing(broker.port, outbox) as publisher:
            connected(publisher)
    finally:
        broker.stop()
    assert not is_broker_there(broker.host, broker.port)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_broker_that_was_slow_once_is_asked_for_version_5_again(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    with mosquitto(tmp_path) as broker:
        monkeypatch.setitem(module.ANSWER_WAITS_S, "5", 0.0)
        with publishing(broker.port, outbox) as publisher:
            connected(publisher)
            assert publisher.status.protocol == "3.1.1"
            monkeypatch.undo()
            broker.stop()
            wait_for(lambda: not publisher.status.connected)
            broker.start()
            connected(publisher)
            assert publisher.status.protocol == "5"


def test_it_subscribes_before_it_is_online(tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch):
    """A command that is sent on the word `online` would be lost."""
    did: list[str] = []
    for name in ("subscribe", "send"):
        real = getattr(MqttConnection, name)
        monkeypatch.setattr(
            MqttConnection, name, lambda *a, _n=name, _r=real, **more: (did.append(_n), _r(*a, **more))[1]
        )
    with mosquitto(tmp_path) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        publisher = Publisher(config, "hall", "ferd_abcdef", outbox, on_command=lambda _heard: None)
        publisher.start()
        connected(publisher)
        publisher.stop()
    assert did.index("send") == did.count("subscribe") == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_frozen_broker_does_not_hold_up_the_stop(tmp_path: Path, outbox: Outbox, when: str):
    with mosquitto(tmp_path) as broker:
        if when == "before":
            broker.freeze()
        with publishing(broker.port, outbox) as publisher:
            if when == "after":
                connected(publisher)
                broker.freeze()
                put_state(outbox, 2)
            time.sleep(0.2)


def test_an_error_of_ours_ends_the_connection_not_the_thread(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, publishing(broker.port, outbox) as publisher:
        ear.wait(STATE)
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "due", lambda *_: 1 / 0)
            wait_for(lambda: lines(caplog, "internal error"))
        connected(publisher)
        put_event(outbox, "later")
        ear.wait(EVENT)


def test_what_was_handed_out_is_sent_later_when_sending_fails(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    """The outbox counts as sent what it hands out; all of it must come back, not only what paho already has."""
    real, calls = MqttConnection.send, []

    def send(connection: MqttConnection, message: Message, at: float) -> None:
        if message.topic in (EVENT, "ferd/hall/response/reload"):
            calls.append(message)
            if len(calls) == 2:
                raise OSError("the network is gone")
        real(connection, message, at)

    monkeypatch.setattr(MqttConnection, "send", send)
    response = Message("ferd/hall/response/reload", {}, qos=1, expires_s=60)
    with mosquitto(tmp_path, started=False) as broker, publishing(broker.port, outbox) as publisher:
        publisher._policy.backoff = Backoff(1, chance=lambda: 1.0)  # time for the ear to be there first
        for name in ("one", "two", "three"):
            put_event(outbox, name)
        alert = AlertEvent("alert_began", "four", "fatigue", "alarm", "perclos", None, None, 0.0)
        outbox.put(replace(topics.EVENT.message(alert, node="hall", camera="desk"), urgent=True), now())
        outbox.put(response, now())
        broker.start()
        with Ear(broker.port) as ear:
            # Some arrive twice.
            arrived = {"one", "two", "three", "four"}
            wait_for(lambda: {json.loads(it)["id"] for it in ear.payloads(EVENT)} == arrived, 10)
            wait_for(lambda: ear.payloads("ferd/hall/response/reload"), 10)


def test_a_message_that_cannot_be_encoded_is_dropped_and_the_connection_stays(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, publishing(broker.port, outbox) as publisher:
        ear.wait(STATE)
        outbox.put(Message(EVENT, {"id": object()}, qos=1, urgent=True), now())
        put_event(outbox, "later")
        ear.wait(EVENT)
        assert lines(caplog, f"message dropped topic={EVENT}")
        assert publisher.status.reconnects == 0


def test_discovery_is_sent_again_when_home_assistant_was_born(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "BIRTH_WAITS_S", (0.2, 0.3))
    outbox.put(topics.discovery_message("homeassistant", "ferd_abcdef", {}), now())
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, publishing(broker.port, outbox):
        ear.wait(DISCOVERY)
        time.sleep(0.2)
        ear.say("homeassistant/status", "offline")
        ear.say("homeassistant/status", "online")
        wait_for(lambda: ear.payloads(DISCOVERY) == ["{}", "{}"])


def test_everything_is_sent_again_after_the_next_connect_on_request(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "BIRTH_WAITS_S", (0.2, 0.3))
    again: list[bool] = []
    monkeypatch.setattr(outbox, "republish", lambda: again.append(True))
    with mosquitto(tmp_path, started=False) as broker, publishing(broker.port, outbox) as publisher:
        publisher.republish_after_connect()
        broker.start()
        wait_for(lambda: again == [True], 10)


def test_another_client_with_our_id_makes_us_take_another(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
):
    """Two clients with one id would kick each other out for ever."""
    with mosquitto(tmp_path) as broker:
        thief = Client(CallbackAPIVersion.VERSION2, "ferd_abcdef-hall", reconnect_on_failure=True)
        thief.reconnect_delay_set(1, 1)
        with publishing(broker.port, outbox) as publisher:
            connected(publisher)
            thief.connect(broker.host, broker.port)
            thief.loop_start()
            try:
                wait_for(lambda: lines(caplog, "using another id"), 20)
                wait_for(lambda: publisher.status.connected and thief.is_connected())
                reconnects = publisher.status.reconnects
                time.sleep(1.5)
                assert (publisher.status.connected, publisher.status.reconnects) == (True, reconnects)
            finally:
                thief.disconnect()
                thief.loop_stop()
    assert len(lines(caplog, "no connection lasts")) == 1


def test_a_broker_that_answers_pings_but_takes_nothing_is_given_up(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "ACKNOWLEDGED_WITHIN_S", 0.5)
    with deaf_broker() as port, publishing(port, outbox) as publisher:
        connected(publisher)
        wait_for(lambda: lines(caplog, "lost"))
        assert "nothing acknowledged" in lines(caplog, "lost")[0]
        wait_for(lambda: publisher.status.reconnects >= 1, what="the client is built again")


def test_a_stale_offline_is_corrected(tmp_path: Path, outbox: Outbox):
    """A last will of an older connection, or of another ferd that had our name."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, publishing(broker.port, outbox) as publisher:
        connected(publisher)
        ear.wait(STATUS, "online")
        ear.say(STATUS, "offline", retain=True)
        wait_for(lambda: ear.payloads(STATUS)[-2:] == ["offline", "online"])
        ear.say(STATUS, "offline", retain=True)
        time.sleep(0.5)
        assert ear.payloads(STATUS)[-1] == "offline", "not more than once in ten seconds: that would be a war"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_commands_are_received_and_retained_ones_are_not(tmp_path: Path, outbox: Outbox, protocol: Protocol):
    received: list[IncomingMessage] = []
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        ear.say("ferd/hall/desk/enabled/set", "OFF", retain=True)
        ear.say("ferd/hall/request/restart", "", retain=False)
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        publisher = Publisher(config, "hall", "ferd_abcdef", outbox, prefer=protocol, on_command=received.append)
        publisher.start()
        try:
            ear.wait(STATUS, "online")
            ear.say("ferd/hall/desk/enabled/set", "ON", retain=True)
            ear.say("ferd/hall/request/reload", "now")
            ear.say("ferd/door/request/reload", "not for us")
            wait_for(lambda: len(received) >= 2)
            time.sleep(0.2)
        finally:
            publisher.stop()
    assert [(it.topic, it.payload) for it in received] == [
        ("ferd/hall/desk/enabled/set", b"ON"),  # to us it comes live, a later subscriber gets it retained
        ("ferd/hall/request/reload", b"now"),
    ]


def test_a_request_names_its_response_topic(tmp_path: Path, outbox: Outbox):
    received: list[IncomingMessage] = []
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        publisher = Publisher(config, "hall", "ferd_abcdef", outbox, on_command=received.append)
        publisher.start()
        try:
            ear.wait(STATUS, "online")
            answers = ask_with_mqtt_5(
                broker.port,
                "ferd/hall/request/reload",
                "ferd/hall/response/mine",
                b"\x00\xff",
                outbox=outbox,
                received=received,
            )
        finally:
            publisher.stop()
    assert (received[0].reply_to, received[0].correlation) == ("ferd/hall/response/mine", b"\x00\xff")
    assert answers == [b"\x00\xff"]


def test_what_was_put_last_is_sent_before_offline(tmp_path: Path, outbox: Outbox):
    """The response to a request for a restart."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        with publishing(broker.port, outbox) as publisher:
            connected(publisher)
            outbox.put(Message("ferd/hall/response/restart", b"{}", qos=1, expires_s=60), now())
        ear.wait(STATUS, "offline")
        assert ear.payloads("ferd/hall/response/restart") == ["{}"]


def test_last_messages_replace_offline(tmp_path: Path, outbox: Outbox):
    with mosquitto(tmp_path) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        publisher = Publisher(config, "hall", "ferd_abcdef", outbox)
        publisher.start()
        connected(publisher)
        publisher.stop([Message(topic, None, retain=True, qos=1) for topic in [*outbox.clear(), STATUS]])
        with Ear(broker.port) as ear:
            ear.say("end", "")
            ear.wait("end")
            assert [topic for topic, _, retained in ear.heard if retained] == []


def ask_with_mqtt_5(
    port: int, topic: str, reply_to: str, correlation: bytes, *, outbox: Outbox, received: list[IncomingMessage]
) -> list[bytes]:
    """Asks, answers for the daemon, and gives the correlation data of what came back."""
    answers: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _c, _u, message: answers.append(message.properties.CorrelationData)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait_for(client.is_connected)
        client.subscribe(reply_to)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = reply_to, correlation
        client.publish(topic, b"", properties=properties)
        wait_for(lambda: received)
        asked = ReplyInfo(None, received[0].reply_to, received[0].correlation)
        for message in respond("hall", "reload", asked):
            outbox.put(message, now())
        wait_for(lambda: answers)
    finally:
        client.disconnect()
        client.loop_stop()
    return answers


@contextmanager
def deaf_broker() -> Iterator[int]:
    """Takes every connection, welcomes it (MQTT 5) and answers pings, and acknowledges nothing."""
    stopping = threading.Event()

    def serve(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(0.1)
            line.recv(4096)
            line.sendall(b"\x20\x03\x00\x00\x00")
            while not stopping.is_set():
                with suppress(TimeoutError):
                    if not (said := line.recv(4096)):
                        return
                    if said.endswith(b"\xc0\x00"):
                        line.sendall(b"\xd0\x00")

    def accept() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError):
                threads.append(threading.Thread(target=serve, args=[server.accept()[0]]))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield server.getsockname()[1]
        stopping.set()
        for thread in threads:
            thread.join()


def test_what_the_acl_refuses_is_logged_once(tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture):
    with (
        mosquitto(tmp_path, acl="topic write ferd/hall/status\n") as broker,
        publishing(broker.port, outbox, discovery=False),
    ):
        wait_for(lambda: lines(caplog, f"publish refused topic={STATE}"))
        put_state(outbox, 2)
        time.sleep(1.2)
        assert len(lines(caplog, f"publish refused topic={STATE}")) == 1


def test_tls_and_a_certificate_that_nobody_knows(tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, "-keyout", key, "-out", cert, *name], check=True, capture_output=True
    )
    with mosquitto(tmp_path, tls=(cert, key)) as broker:
        with publishing(broker.port, outbox, tls=True, ca_file=cert) as publisher:
            connected(publisher)
        with publishing(broker.port, outbox, tls=True):
            wait_for(lambda: lines(caplog, "untrusted"))


def test_a_start_and_stop_without_any_broker_is_quick(outbox: Outbox):
    with publishing(free_port(), outbox):
        pass


@pytest.fixture(name="broker")
def _broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as broker:
        yield broker


def test_a_probe_knows_a_broker(broker: Mosquitto):
    assert is_broker_there(broker.host, broker.port)
    broker.freeze()
    assert not is_broker_there(broker.host, broker.port, timeout_s=0.2)
