"""What brokers, Home Assistant and other clients do to a ferd, and what a subscriber sees of it."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from pathlib import Path

import pytest
from brokers import Ear, mosquitto, wait_for
from ferd_process import broker_environ, ferd
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from published import Payload, Recorder

from ferd.config import MqttConfig
from ferd.outputs.mqtt import client as mqtt
from ferd.outputs.mqtt import publisher
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.outbox import Outbox
from ferd.payloads import AlertEvent, AlertState, State
from ferd.topics import ALERT, EVENT, STATE
from ferd.types import Box, Face, FaceReading, Reading, Track

START_S = 20.0
NODE = "ferd/test-pi"
IN_WAITING = (str(Path(__file__).with_name("ferd_in_waiting.py")),)


@pytest.fixture
def broker(tmp_path):
    with mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def ear(broker):
    with Ear(broker.port) as ear:
        yield ear


def demo(tmp_path, broker):
    return ferd("run", "--source", "demo", folder=tmp_path, environ=broker_environ(broker.port))


def test_home_assistant_restarts_and_is_told_everything_once_more(tmp_path, broker, ear):
    with demo(tmp_path, broker):
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        ear.wait(f"{NODE}/camera/state")
        time.sleep(0.5)
        before = len(ear.heard)
        born = time.monotonic()
        ear.say("homeassistant/status", "online")
        document = next(topic for topic, _, _ in ear.heard if topic.startswith("homeassistant/device/"))
        wanted = {document, *(f"{NODE}/{it}" for it in ("status", "info", "camera/status", "camera/state"))}
        wanted |= {f"{NODE}/camera/{it}" for it in ("alert", "enabled/state", "sensitivity/state")}

        def again():
            return {topic for topic, _, _ in ear.heard[before:]}

        wait_for(lambda: document in again(), 12)
        assert time.monotonic() - born > 2.9, "it needs a few seconds before it takes documents"
        wait_for(lambda: wanted <= again(), what=f"{wanted - again()}")


def test_killed_and_back_in_time_it_was_never_offline(tmp_path, broker, ear):
    go = tmp_path / "go"
    environ = broker_environ(broker.port)
    with demo(tmp_path, broker) as first:
        ear.wait(f"{NODE}/status", "online", START_S)
        arguments = (str(go), "run", "--source", "demo")
        with ferd(*arguments, folder=tmp_path, environ=environ, program=IN_WAITING):
            wait_for(lambda: Path(f"{go}.waiting").exists(), START_S)
            first.stop(signal.SIGKILL)
            go.touch()
            wait_for(lambda: ear.payloads(f"{NODE}/status").count("online") == 2, START_S)
            time.sleep(mqtt.WILL_DELAY_S + 1)
            assert ear.payloads(f"{NODE}/status") == ["online", "online"]


def test_another_client_with_our_id_is_survived(tmp_path, broker, ear):
    """It takes our connection away again and again. ferd gives in and goes on under another id."""
    with demo(tmp_path, broker) as daemon:
        ear.wait(f"{NODE}/camera/status", "online", START_S)
        document = next(topic for topic, _, _ in ear.heard if topic.startswith("homeassistant/device/"))
        identity = document.split("/")[2]
        thief = Client(CallbackAPIVersion.VERSION2, f"{identity}-test-pi")
        thief.reconnect_delay_set(1, 1)
        thief.connect(broker.host, broker.port)
        thief.loop_start()
        try:
            wait_for(lambda: "using another id" in daemon.log, 60, daemon.log)
            wait_for(lambda: daemon.log.rstrip().count("connected host") == 4, 30, daemon.log)
            for _ in range(10):  # it is connected a moment before it has subscribed
                ear.say(f"{NODE}/request/snooze", '{"transaction":1}')
                time.sleep(1)
                if ear.payloads(f"{NODE}/response/snooze"):
                    break
            ear.wait(f"{NODE}/response/snooze", timeout_s=5)
            ear.wait(f"{NODE}/status", "online", 15)
        finally:
            thief.disconnect()
            thief.loop_stop()


def test_a_frozen_broker_is_noticed_and_told_the_last_values_when_it_thaws(tmp_path, broker, monkeypatch):
    """In fast motion: pings after 1 s instead of 20. It neither answers nor hangs up."""
    monkeypatch.setattr(mqtt, "KEEPALIVE_S", 1)
    monkeypatch.setattr(publisher, "ANSWER_WAITS_S", {"5": 0.5, "3.1.1": 0.5})
    board = Outbox()
    config = MqttConfig(host=broker.host, port=broker.port)
    sender = publisher.Publisher(config, "hall", "ferd_abcdef", board, backoff=Backoff(0.2, 1.0))
    sender.start()
    try:
        wait_for(lambda: sender.status.connected)
        with Ear(broker.port) as ear:
            ear.wait("ferd/hall/status", "online")
        broker.freeze()
        wait_for(lambda: not sender.status.connected, 10)
        for seq in range(100):
            state = State("joy", 0.8, 1, 0.0, seq)
            board.put(STATE.message(state, node="hall", camera="desk"), time.monotonic())
        time.sleep(2)
        assert sender._thread.is_alive()
        broker.thaw()
        wait_for(lambda: sender.status.connected, 15)
        with Ear(broker.port) as ear:
            wait_for(lambda: ear.payloads("ferd/hall/desk/state"))
            assert json.loads(ear.payloads("ferd/hall/desk/state")[-1])["seq"] == 99
            assert ear.wait("ferd/hall/status", "online")
    finally:
        sender.stop()


def message_of(payload: Payload):
    topic = ALERT if isinstance(payload, AlertState) else STATE if isinstance(payload, State) else EVENT
    assert not isinstance(payload, AlertEvent)
    return topic.message(payload, node="hall", camera="desk")


def test_an_hour_of_a_restless_face(tmp_path):
    """In fast motion, from the readings to what goes to the broker: within the budget, and the end is right."""
    chance, recorder, board = random.Random(8322), Recorder(), Outbox()
    sent, now, expression, since = [], 0.0, "joy", 0.0
    while now < 3600:
        if chance.random() < 0.2:
            expression, since = chance.choice(["joy", "fear", "neutral", None]), now
        seen = Track(1, Face(Box(10, 10, 80, 80)), born=0.0, seen=now)
        confidence = None if expression is None else chance.random()
        face = FaceReading(seen, {}, {}, expression, confidence, since)
        for payload in recorder.update(Reading(now, (face,) if chance.random() < 0.98 else (), 1), 1e9 + now):
            board.put(message_of(payload), now)
        now += 0.1
        sent += [(now, message) for message in board.due(now)]
    while (at := board.next_at()) is not None:
        now = max(now, at)
        sent += [(now, message) for message in board.due(now)]
    assert 1000 < len(sent) <= 30 * 61
    times = [at for at, _ in sent]
    assert all(b - a >= 60 - 1e-6 for a, b in zip(times, times[30:], strict=False))
    states = [message for _, message in sent if message.retain]
    assert states[-1].payload == recorder.now.state
    gaps = [b - a for a, b in itertools.pairwise(at for at, message in sent if message.retain)]
    assert min(gaps) >= 1 - 1e-6
    assert max(gaps) < 10, "a restless face is told every few seconds, without a pause for the rest of the minute"
