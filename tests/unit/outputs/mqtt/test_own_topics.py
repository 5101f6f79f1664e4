from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from brokers import Ear, mosquitto, wait_for
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.connection_policy import Backoff
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.own_topics import LONGEST_INTERVAL_S, TWIN_AGAIN_S, OwnTopics, Twin
from ferd.outputs.mqtt.publisher import Publisher
from ferd.payloads import AlertState, Info, State

STATUS, INFO, CAMERA, ALERT = "ferd/pi/status", "ferd/pi/info", "ferd/pi/desk/status", "ferd/pi/desk/alert"
STATE, FATIGUE, SWITCH = "ferd/pi/desk/state", "ferd/pi/desk/fatigue", "ferd/pi/desk/enabled/state"
NONE = AlertState("none", None, None, 0.0, False, [])


def info(identity: str, run: str) -> Info:
    return Info("0.1", "expression", ["joy"], ["desk"], identity, run)


def other(identity: str = "ferd_bbbbbb", run: str = "b1") -> bytes:
    return info(identity, run).to_json()


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.getMessage().startswith(word)]


@contextmanager
def device(
    port: int, identity: str, run: str, protocol: Protocol = "5", switch: Literal["ON", "OFF"] = "ON"
) -> Iterator[Publisher]:
    """One ferd called pi with a camera that is online."""
    outbox = Outbox()
    outbox.put(topics.info_message("pi", info(identity, run)), time.monotonic())
    outbox.put(topics.camera_status_message("pi", "desk", "online"), time.monotonic())
    outbox.put(topics.STATE.message(State(None, None, 0, 0.0, 1), node="pi", camera="desk"), time.monotonic())
    outbox.put(topics.ENABLED.message(switch, node="pi", camera="desk"), time.monotonic())
    outbox.put(topics.ALERT.message(NONE, node="pi", camera="desk"), time.monotonic())
    publisher = Publisher(
        MqttConfig(host="127.0.0.1", port=port, discovery=False),
        "pi",
        identity,
        outbox,
        cameras=["desk"],
        run=run,
        prefer=protocol,
        backoff=Backoff(0.1, 0.3),
    )
    publisher.start()
    try:
        wait_for(lambda: publisher.status.connected, 10)
        yield publisher
    finally:
        publisher.stop()


def test_a_value_of_ours_is_no_foreign_one():
    own = OwnTopics("pi", "a1")
    own.sent(ALERT, b"old")
    for payload in (b"new", b"old"):
        assert own.received(ALERT, payload, b"new", 0.0) is None
    assert own.received("ferd/pi/ghost/status", b"online", None, 0.0) is None
    assert own.next_at() is None


def test_a_foreign_value_is_repaired_at_once_then_ever_more_slowly():
    own, now, repaired = OwnTopics("pi", "a1"), 0.0, []
    for _ in range(3000):
        own.received(STATUS, b"offline", b"online", now)
        if own.due(now):
            repaired.append(now)
        now += 0.1
    gaps = [round(b - a) for a, b in pairwise(repaired)]
    assert repaired[0] == 0.0
    assert gaps[:4] == [10, 20, 40, 60]
    assert max(gaps) <= LONGEST_INTERVAL_S


def test_after_calm_it_is_repaired_at_once_again():
    own = OwnTopics("pi", "a1")
    for now in (0.0, 1.0):
        own.received(STATUS, b"offline", b"online", now)
        own.due(now)
    own.due(10.0)
    own.received(STATUS, b"offline", b"online", 1000.0)
    assert own.due(1000.0) == [STATUS]


def test_topics_do_not_wait_for_each_other():
    own = OwnTopics("pi", "a1")
    for topic in (STATUS, CAMERA):
        own.received(topic, b"offline", b"online", 0.0)
    assert own.due(0.0) == [STATUS, CAMERA]


def test_another_device_is_reported_once_an_hour_and_a_second_one_at_once():
    own, ours = OwnTopics("pi", "a1"), info("ferd_aaaaaa", "a1").to_json()
    assert own.received(INFO, other(), ours, 0.0) == Twin("ferd_bbbbbb", "b1")
    assert own.received(INFO, other(), ours, 1.0) is None
    assert own.received(INFO, other(run="b2"), ours, 2.0) == Twin("ferd_bbbbbb", "b2")
    assert own.received(INFO, other(run="b2"), ours, 2.0 + TWIN_AGAIN_S) is not None


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"{}", b'{"id":1,"run":"x"}', b"[" * 100_000, b'{"id":"x","run":"a1"}', b"null"]
)
def test_rubbish_on_info_is_no_device_but_is_repaired(payload: bytes):
    own = OwnTopics("pi", "a1")
    assert own.received(INFO, payload, b"ours", 0.0) is None
    assert own.due(0.0) == [INFO]


def test_a_name_from_outside_cannot_forge_a_log_line():
    own = OwnTopics("pi", "a1")
    twin = own.received(INFO, json.dumps({"id": 'x"\nERROR ', "run": "r" * 500}).encode(), b"ours", 0.0)
    assert twin == Twin("xERROR", "r" * 32)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("topic", "forged"),
    [
        (STATUS, "offline"),
        (STATUS, ""),
        (CAMERA, "offline"),
        (CAMERA, "disabled"),
        (ALERT, '{"v":1}'),
        (INFO, "{}"),
        (STATE, '{"v":1,"expression":"happiness","faces":1}'),
    ],
)
def test_a_forged_retained_value_is_repaired_within_a_second(
    tmp_path: Path, topic: str, forged: str, protocol: Protocol
):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, device(broker.port, "ferd_aaaaaa", "a1", protocol):
        true = ear.wait(topic)
        ear.wait(ALERT)
        ear.say(topic, forged, retain=True)
        wait_for(lambda: ear.payloads(topic)[-2:] == [forged, true], 2)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_devices_under_one_name_are_said_on_both_and_do_not_fight(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: Protocol
):
    """Two Pis called raspberrypi. The second one to start is noticed by the first, and its answer by the second."""
    caplog.set_level(logging.INFO)
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear:
        with device(broker.port, "ferd_aaaaaa", "a1", protocol), device(broker.port, "ferd_bbbbbb", "b1", protocol):
            wait_for(lambda: len(lines(caplog, "another ferd")) == 2)
            said = " ".join(lines(caplog, "another ferd"))
            assert "its_id=ferd_bbbbbb our_id=ferd_aaaaaa" in said
            assert "its_id=ferd_aaaaaa our_id=ferd_bbbbbb" in said
            assert "node.name" in said
            time.sleep(1)
            assert len(ear.payloads(INFO)) <= 4
            assert len(lines(caplog, "another ferd")) == 2


def test_the_living_one_is_online_again_soon_after_the_other_stopped(tmp_path: Path):
    """Its camera stayed offline for 90 s: only the status of the node was corrected."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, device(broker.port, "ferd_aaaaaa", "a1"):
        with device(broker.port, "ferd_bbbbbb", "b1"):
            ear.wait(CAMERA)
        for topic in (CAMERA, STATUS):
            wait_for(lambda topic=topic: "offline" in ear.payloads(topic))
            ear.wait(topic, "online", 3)


def test_what_the_other_one_left_behind_is_replaced(tmp_path: Path):
    """In an empty room its last state and its switches stayed until something changed, possibly for a day."""
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, device(broker.port, "ferd_aaaaaa", "a1"):
        ear.wait(SWITCH, "ON")
        with device(broker.port, "ferd_bbbbbb", "b1", switch="OFF"):
            ear.wait(SWITCH, "OFF")
            ear.wait(INFO)
        ear.wait(STATUS, "online")
        ear.wait(SWITCH, "ON")


def test_states_that_come_back_from_a_broker_of_3_1_1_are_not_repaired(tmp_path: Path):
    """It returns what ferd publishes itself: a burst of states must not begin a conversation."""
    with (
        mosquitto(tmp_path) as broker,
        Ear(broker.port) as ear,
        device(broker.port, "ferd_aaaaaa", "a1", "3.1.1") as it,
    ):
        ear.wait(ALERT)
        for seq in range(2, 6):
            state = State(None, None, 0, 0.0, seq)
            it._outbox.put(topics.STATE.message(state, node="pi", camera="desk"), time.monotonic())
            wait_for(lambda seq=seq: f'"seq":{seq}' in ear.wait(STATE))
        time.sleep(0.5)
        assert it._own.next_at() is None
        heard = [json.loads(payload)["seq"] for payload in ear.payloads(STATE)]
        assert heard == sorted(set(heard))


def test_a_copied_system_is_told_to_make_a_new_machine_id(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker, Ear(broker.port) as ear, device(broker.port, "ferd_aaaaaa", "a1"):
        ear.wait(ALERT)  # sent after ferd has subscribed
        ear.say(INFO, other("ferd_aaaaaa", "b1").decode())
        wait_for(lambda: lines(caplog, "another ferd"))
        assert "machine-id" in lines(caplog, "another ferd")[0]


def test_a_restart_finds_no_other_device(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with mosquitto(tmp_path) as broker:
        for run in ("a1", "a2"):
            with device(broker.port, "ferd_aaaaaa", run):
                time.sleep(0.3)
    assert not lines(caplog, "another ferd")


def test_a_broker_that_gives_one_user_one_id_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Each new client of the user disconnects the one before, whatever their ids. mosquitto 2.0.11 gives no reason."""
    caplog.set_level(logging.INFO)
    password = tmp_path / "password"
    password.write_text("secret\n")
    more = ["use_username_as_clientid true"]
    with mosquitto(tmp_path, users={"ferd": "secret"}, more=more) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port, username="ferd", password_file=password)
        publisher = Publisher(config, "pi", "ferd_aaaaaa", Outbox(), backoff=Backoff(0.05, 0.1))
        publisher.start()
        rival = Client(CallbackAPIVersion.VERSION2, "rival", protocol=MQTTProtocolVersion.MQTTv5)
        rival.reconnect_delay_set(1, 1)
        rival.username_pw_set("ferd", "secret")
        try:
            wait_for(lambda: publisher.status.connected, 10)
            rival.connect(broker.host, broker.port)
            rival.loop_start()
            wait_for(lambda: lines(caplog, "no connection lasts with another id either"), 20)
            assert "use_username_as_clientid" in caplog.text
            assert len(lines(caplog, "using another id")) == 1
        finally:
            publisher.stop()
            rival.disconnect()
            rival.loop_stop()


def test_info_names_the_device_and_the_run():
    document = json.loads(replace(info("ferd_aaaaaa", "a1")).to_json())
    assert (document["id"], document["run"]) == ("ferd_aaaaaa", "a1")
