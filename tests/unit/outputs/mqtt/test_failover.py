from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from brokers import Ear, free_port, mosquitto, wait_for
from pydantic import ValidationError

from ferd import topics
from ferd.config import Config, MqttConfig
from ferd.diagnostics.broker import broker as examine
from ferd.outputs.mqtt import failover as module
from ferd.outputs.mqtt import publisher as publisher_module
from ferd.outputs.mqtt.broker_settings import broker_settings
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.failover import BACK_AFTER_S, LONGEST_BACK_S, MAX_REFERENCES, Failover, read_reference
from ferd.outputs.mqtt.listen import listen
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import Event, State

A, B, C = ("a", 1883), ("b", 8883), ("c", 1883)
STATUS, STATE, EVENT = "ferd/hall/status", "ferd/hall/desk/state", "ferd/hall/desk/event"


@contextmanager
def publishing(outbox: Outbox, *ports: int) -> Iterator[Publisher]:
    hosts = [f"127.0.0.1:{port}" for port in ports]
    config = MqttConfig(hosts=hosts, discovery=False)
    publisher = Publisher(config, "hall", "ferd_abcdef", outbox, cameras=["desk"], backoff=Backoff(0.1, 0.3))
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


@pytest.fixture
def outbox() -> Outbox:
    outbox = Outbox()
    outbox.put(topics.state_message("hall", "desk", State("joy", 0.8, 1, 0.0, 1)), time.monotonic())
    return outbox


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.getMessage().startswith(word)]


def test_all_are_tried_before_a_pause():
    failover = Failover([A, B, C])
    seen = []
    for _ in range(6):
        seen.append((failover.current, failover.failed()))
    assert seen == [(A, False), (B, False), (C, True)] * 2


def test_one_server_keeps_the_usual_pauses():
    failover = Failover([A])
    assert failover.failed()
    failover.connected(0.0)
    assert not failover.back_due(1e9)


def test_a_fleet_returns_to_the_preferred_server_over_minutes():
    due = []
    for chance in (0.0, 0.5, 1.0):
        failover = Failover([A, B], lambda chance=chance: chance)
        failover.failed()
        failover.connected(0.0)
        due.append(next(now for now in range(2000) if failover.back_due(float(now))))
    assert due == [BACK_AFTER_S[0], 600, BACK_AFTER_S[1]]


def test_a_return_that_does_not_last_is_tried_ever_more_rarely():
    failover, waits = Failover([A, B], lambda: 0.0), []
    for _ in range(6):
        failover.failed()
        failover.connected(0.0)
        waits.append(next(now for now in range(0, 10_000, 100) if failover.back_due(float(now))))
        failover.go_back()
    assert waits == [300, 600, 1200, 2400, LONGEST_BACK_S, LONGEST_BACK_S]
    failover.connected(0.0)
    failover.was_stable()
    failover.failed()
    failover.connected(0.0)
    assert failover.back_due(300.0)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("broker2", ("broker2", 1883)),
        ("broker2:8883", ("broker2", 8883)),
        ("[::1]:1884 other", ("::1", 1884)),
        ("10.0.0.2:1884", ("10.0.0.2", 1884)),
        ("", None),
        ("mqtt://x", None),
        ("x:99999", None),
        ("x:0", None),
        ('x"\nERROR', None),
    ],
)
def test_references(text: str, server: object):
    assert read_reference(text, 1883) == server


def test_two_servers_that_refer_to_each_other_are_left():
    failover = Failover([A])
    followed = [failover.refer("b" if count % 2 else "c", 1883) for count in range(MAX_REFERENCES + 2)]
    assert followed == [True] * MAX_REFERENCES + [False] * 2
    failover.failed()
    assert failover.current == A


@pytest.mark.parametrize(
    ("given", "servers"),
    [
        ({}, (("localhost", 1883),)),
        ({"host": "a"}, (("a", 1883),)),
        ({"hosts": ["a", "b:8883"]}, (("a", 1883), ("b", 8883))),
        ({"host": "a", "port": 1, "hosts": ["b", "[::1]:2", "::1"]}, (("a", 1), ("b", 1), ("::1", 2), ("::1", 1))),
        ({"host": "a", "hosts": ["a:1883", "b"]}, (("a", 1883), ("b", 1883))),
        ({"host": "A.lan", "hosts": ["a.lan.", "a.lan:1883", "b"]}, (("A.lan", 1883), ("b", 1883))),
    ],
)
def test_the_servers_of_a_configuration(given: dict[str, object], servers: object):
    assert MqttConfig.model_validate(given).servers == servers
    settings = broker_settings(MqttConfig.model_validate(given), {})
    assert tuple((it.host, it.port) for it in settings.each()) == servers


@pytest.mark.parametrize(
    ("hosts", "why"),
    [
        (["a", "a"], "listed twice"),
        (["A.lan", "a.lan"], "listed twice"),
        (["a.lan.:1884", "a.lan:1884"], "listed twice"),
        (["fd00::3", "[fd00:0::3]"], "listed twice"),
        (["a b"], "without blanks"),
        (["a:0"], "from 1 to 65535"),
        (["a:70000"], "from 1 to 65535"),
        (["me:hush@a"], "without a user name"),
        (["mqtt://a:1"], "without mqtt://"),
        ([""], "it is empty"),
        ([" "], "it is empty"),
        (["_mqtt._tcp.example.org"], "SRV records are not read"),
        (["_secure-mqtt._tcp.example.org:8883"], "SRV records are not read"),
    ],
)
def test_wrong_servers_are_refused(hosts: list[str], why: str):
    with pytest.raises(ValidationError, match=why):
        MqttConfig(hosts=hosts)


def test_at_random_the_servers_are_shuffled():
    config = MqttConfig(hosts=[f"b{number}" for number in range(16)], hosts_order="random")
    orders = {broker_settings(config, {}).servers for _ in range(4)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_the_next_server_is_used_when_one_ends_and_nothing_is_lost(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    (tmp_path / "two").mkdir()
    with (
        mosquitto(tmp_path) as first,
        mosquitto(tmp_path / "two") as second,
        Ear(second.port) as ear,
        publishing(outbox, first.port, second.port) as publisher,
    ):
        wait_for(lambda: publisher.status.connected, 10)
        assert not ear.payloads(STATE)
        first.stop()
        event = Event("face_left", "one", 1, None, None, None, 3.0, 0.0)
        outbox.put(topics.event_message("hall", "desk", event), time.monotonic())
        ear.wait(STATE, timeout_s=10)
        ear.wait(STATUS, "online")
        assert json.loads(ear.wait(EVENT))["id"] == "one"
    assert len(lines(caplog, "connected")) == 2


def test_a_silent_server_is_left_within_seconds(tmp_path: Path, outbox: Outbox):
    (tmp_path / "two").mkdir()
    with (
        mosquitto(tmp_path) as first,
        mosquitto(tmp_path / "two") as second,
        Ear(second.port) as ear,
    ):
        first.freeze()
        with publishing(outbox, first.port, second.port):
            ear.wait(STATE, timeout_s=12)


def test_a_server_that_falls_silent_is_left_and_nothing_is_lost(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Its machine is gone or cut off: TCP does not notice, and the keepalive needs 40 s."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(publisher_module, "SILENT_AFTER_S", 0.5)
    (tmp_path / "two").mkdir()
    with (
        mosquitto(tmp_path) as first,
        mosquitto(tmp_path / "two") as second,
        Ear(second.port) as ear,
        publishing(outbox, first.port, second.port) as publisher,
    ):
        with Ear(first.port) as before:
            before.wait(STATE, timeout_s=10)
        first.freeze()
        event = Event("face_left", "one", 1, None, None, None, 3.0, 0.0)
        outbox.put(topics.event_message("hall", "desk", event), time.monotonic())
        assert json.loads(ear.wait(EVENT, timeout_s=20))["id"] == "one"
        ear.wait(STATUS, "online")
        wait_for(lambda: publisher.status.server.endswith(str(second.port)), 10)
    assert len(lines(caplog, "lost")) == 1
    assert "no answer for" in lines(caplog, "lost")[0]
    assert not lines(caplog, "absent")


def test_a_server_that_receives_and_does_not_answer_is_given_more_time(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It is busy: a fleet that leaves it and comes again keeps it so."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(publisher_module, "SILENT_AFTER_S", 0.5)
    monkeypatch.setattr(publisher_module, "BUSY_FACTOR", 60.0)
    (tmp_path / "two").mkdir()
    with (
        mosquitto(tmp_path) as first,
        mosquitto(tmp_path / "two") as second,
        publishing(outbox, first.port, second.port) as publisher,
    ):
        with Ear(first.port) as before:
            before.wait(STATE, timeout_s=10)
            first.freeze()
            outbox.put(topics.state_message("hall", "desk", State("fear", 0.8, 1, 0.0, 2)), time.monotonic())
            time.sleep(2)
            first.thaw()
            wait_for(lambda: any('"fear"' in payload for payload in before.payloads(STATE)), 10)
        assert publisher.status.server.endswith(str(first.port))
    assert not lines(caplog, "lost")


@contextmanager
def server_that_keeps_nothing() -> Iterator[int]:
    """Accept every MQTT 5 connection and acknowledge no message, as a cluster without a quorum may."""
    stopping, lines_ = threading.Event(), []

    def accept() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError, OSError):
                line, _ = server.accept()
                lines_.append(line)
                line.recv(4096)
                line.sendall(b"\x20\x03\x00\x00\x00")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        stopping.set()
        thread.join()
        for line in lines_:
            line.close()


def test_a_server_that_acknowledges_nothing_is_left_though_it_was_stable(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
):
    """It used to be chosen again and again, since its connections lasted."""
    monkeypatch.setattr(publisher_module, "ACKNOWLEDGED_WITHIN_S", 1.0)
    monkeypatch.setattr(publisher_module, "STABLE_AFTER_S", 0.5)
    with (
        mosquitto(tmp_path) as sound,
        server_that_keeps_nothing() as port,
        Ear(sound.port) as ear,
        publishing(outbox, port, sound.port),
    ):
        ear.wait(STATE, timeout_s=20)


def test_a_slow_server_is_given_more_time_each_time(tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch):
    """It used to be left before it could answer, again and again, which kept it slow."""
    monkeypatch.setattr(publisher_module, "ANSWER_WAITS_S", {"5": 0.2, "3.1.1": 0.2})
    late_s, stopping, threads = 0.8, threading.Event(), []

    def answer(line: socket.socket) -> None:
        with suppress(OSError), line:
            version = line.recv(4096)[8]
            time.sleep(late_s)
            line.sendall(b"\x20\x03\x00\x00\x00" if version == 5 else b"\x20\x02\x00\x00")
            stopping.wait(20)

    def accept() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError, OSError):
                threads.append(threading.Thread(target=answer, args=(server.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            with publishing(outbox, server.getsockname()[1]) as publisher:
                wait_for(lambda: publisher.status.connected, 20)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()


def test_a_server_that_refuses_version_5_is_not_asked_for_it_each_time(outbox: Outbox):
    """RabbitMQ 3.10 closes such a connection and writes 100 lines: with a fleet that returns it gets no further."""
    versions: list[int] = []
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError, OSError), server.accept()[0] as line:
                line.settimeout(5)
                versions.append(line.recv(4096)[8])
                if versions[-1] == 4:
                    line.sendall(b"\x20\x02\x00\x00")  # accepted; and closed, so that it comes again

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with publishing(outbox, server.getsockname()[1]) as publisher:
                publisher._protocols._chance = lambda: 0.5
                wait_for(lambda: len(versions) >= 8, 20)
        finally:
            stopping.set()
            thread.join()
    assert versions[:4] == [5, 4, 5, 4]
    assert set(versions[4:]) == {4}


def test_a_single_broker_is_not_left_while_it_is_busy(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(publisher_module, "SILENT_AFTER_S", 0.2)
    with mosquitto(tmp_path) as only, Ear(only.port) as ear, publishing(outbox, only.port) as publisher:
        ear.wait(STATE, timeout_s=10)
        only.freeze()
        outbox.put(topics.state_message("hall", "desk", State("fear", 0.8, 1, 0.0, 2)), time.monotonic())
        time.sleep(2)
        assert publisher.status.connected
        only.thaw()
        wait_for(lambda: any('"fear"' in payload for payload in ear.payloads(STATE)), 10)
    assert not lines(caplog, "lost")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_an_unreachable_and_a_half_dead_server_are_passed(tmp_path: Path, outbox: Outbox, order: tuple[int, ...]):
    """Nothing listens at one, and the other accepts TCP connections and never answers."""
    with (
        mosquitto(tmp_path) as alive,
        socket.create_server(("127.0.0.1", 0)) as half_dead,
        Ear(alive.port) as ear,
    ):
        ports = (free_port(), half_dead.getsockname()[1], alive.port)
        with publishing(outbox, *(ports[index] for index in order)):
            ear.wait(STATE, timeout_s=30)


def test_it_returns_to_the_preferred_server_without_being_offline(
    tmp_path: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "BACK_AFTER_S", (0.5, 0.6))
    (tmp_path / "two").mkdir()
    with (
        mosquitto(tmp_path, started=False) as first,
        mosquitto(tmp_path / "two") as second,
        Ear(second.port) as there,
        publishing(outbox, first.port, second.port) as publisher,
    ):
        there.wait(STATE, timeout_s=10)
        first.start()
        with Ear(first.port) as here:
            here.wait(STATE, timeout_s=10)
        assert "offline" not in there.payloads(STATUS)
        assert publisher.status.connected
    assert len(lines(caplog, "moving")) == 1


@contextmanager
def server_that_refers(to: str, *, when: str) -> Iterator[int]:
    """Answer "use another server" (MQTT 5): in the CONNACK, or in a DISCONNECT right after it."""
    text = to.encode()
    properties = b"\x1c" + len(text).to_bytes(2, "big") + text
    refusal = b"\x00\x9c" + bytes([len(properties)]) + properties
    leaving = b"\x9c" + bytes([len(properties)]) + properties
    answer = (
        b"\x20" + bytes([len(refusal)]) + refusal
        if when == "connack"
        else b"\x20\x03\x00\x00\x00\xe0" + bytes([len(leaving)]) + leaving
    )
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError, OSError):
                line, _ = server.accept()
                with line:
                    line.recv(4096)
                    line.sendall(answer)
                    time.sleep(0.3)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        stopping.set()
        thread.join()


@pytest.mark.parametrize("when", ["connack", "disconnect"])
def test_a_server_reference_is_followed(tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, when: str):
    caplog.set_level(logging.INFO)
    with (
        mosquitto(tmp_path) as target,
        server_that_refers(f"127.0.0.1:{target.port}", when=when) as port,
        Ear(target.port) as ear,
        publishing(outbox, port),
    ):
        ear.wait(STATE, timeout_s=10)
    assert len(lines(caplog, "moving")) == 1


def test_watch_and_doctor_look_at_each(tmp_path: Path):
    dead, stop, heard = free_port(), threading.Event(), []

    def note(topic: str, _payload: bytes) -> None:
        heard.append(topic)
        stop.set()

    with mosquitto(tmp_path) as alive, Ear(alive.port) as ear:
        ear.say(STATE, "{}", retain=True)
        config = MqttConfig(hosts=[f"127.0.0.1:{dead}", f"127.0.0.1:{alive.port}"])
        listen(broker_settings(config, {}), [STATE], note, lambda _line: None, stop)
        found = {it.about: it.verdict for it in examine(Config(mqtt=config), {})}
    assert heard == [STATE]
    assert found[f"broker 127.0.0.1:{dead}"] == "error"
    assert found[f"broker 127.0.0.1:{alive.port}"] == "ok"


def test_doctor_names_a_server_that_never_answers(tmp_path: Path):
    with mosquitto(tmp_path) as alive, socket.create_server(("127.0.0.1", 0)) as half_dead:
        dead = half_dead.getsockname()[1]
        config = MqttConfig(hosts=[f"127.0.0.1:{dead}", f"127.0.0.1:{alive.port}"], discovery=False)
        found = {it.about: it for it in examine(Config(mqtt=config), {})}
    assert found[f"broker 127.0.0.1:{dead}"].verdict == "error"
    assert found[f"broker 127.0.0.1:{dead}"].found.endswith("accepts connections and does not answer")
    assert "quorum" in found[f"broker 127.0.0.1:{dead}"].remedy
    assert found[f"broker 127.0.0.1:{alive.port}"].verdict == "ok"


def test_doctor_names_the_server_that_a_broker_refers_to(tmp_path: Path):
    with mosquitto(tmp_path) as alive, server_that_refers(f"127.0.0.1:{alive.port}", when="connack") as port:
        config = MqttConfig(host="127.0.0.1", port=port, discovery=False)
        (found,) = [it for it in examine(Config(mqtt=config), {}) if it.about == "broker"]
    assert found.verdict == "warning"
    assert f"names another server: 127.0.0.1:{alive.port}" in found.found
