from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.home_assistant.discovery import Form
from ferd.outputs.home_assistant.entities import Device
from ferd.outputs.home_assistant.registry import (
    FORGET_AFTER_S,
    DiscoveryRegistry,
    PublishedDiscovery,
    changes,
    recall,
    takes_documents_back,
)
from ferd.outputs.mqtt.message import Message

DEVICE = Device("ferd_abcdef", "hall", ["desk"], ["joy"])
WHOLE = "homeassistant/device/ferd_abcdef/config"
FORMS: tuple[Form | None, ...] = ("device", "components", None)


class Broker:
    """What is retained, and the entities that a Home Assistant has made of it."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.entities: dict[str, str] = {}
        self.before: PublishedDiscovery | None = None

    def run(
        self, device: Device, form: Form | None = "device", *, prefix: str = "homeassistant", wall: float = 0.0
    ) -> None:
        messages, self.before = changes(device, prefix, form, self.before, wall)
        for message in messages:
            self.take(message)
        own = [topic for topic in self.before.topics if topic.startswith("ferd/")]
        self.retained |= dict.fromkeys(own, b"x")

    def take(self, message: Message) -> None:
        assert message.retain
        if message.topic.endswith("/config"):
            self._discover(message)
        if message.payload:
            self.retained[message.topic] = message.payload
        else:
            self.retained.pop(message.topic, None)

    def _discover(self, message: Message) -> None:
        """As Home Assistant's mqtt/discovery.py."""
        _, kind, *_, key, _ = message.topic.split("/")
        whole: dict[str, Any] = json.loads(message.payload) if message.payload else {}
        if kind != "device":
            self._entity(key, message.topic, whole)
        elif not whole:
            self.entities = {key: topic for key, topic in self.entities.items() if topic != message.topic}
        else:
            for part, entity in whole["components"].items():
                self._entity(part, message.topic, {} if entity.keys() == {"platform"} else entity)

    def _entity(self, key: str, topic: str, entity: dict[str, Any]) -> None:
        if not entity:
            if self.entities.get(key) == topic:
                del self.entities[key]
            return
        assert self.entities.setdefault(key, topic) == topic, "two documents for one entity"


def test_the_first_time_there_is_nothing_to_take_back():
    messages, after = changes(DEVICE, "homeassistant", "device", None, 0.0)
    assert [message.topic for message in messages] == [WHOLE]
    assert "ferd/hall/desk/state" in after.topics
    assert not [topic for topic in after.topics if "fatigue" in topic]
    assert (after.cleared, after.gone) == ({}, {})


def test_an_alert_rule_that_was_removed_leaves_home_assistant():
    broker = Broker()
    broker.run(replace(DEVICE, alerts=["sad"]))
    broker.run(DEVICE)
    assert "desk_alert_sad" not in broker.entities
    assert json.loads(broker.retained[WHOLE])["components"]["desk_alert_sad"] == {"platform": "binary_sensor"}


def test_a_removal_is_said_for_a_month_and_then_forgotten():
    broker = Broker()
    broker.run(replace(DEVICE, fatigue=True), wall=0.0)
    for wall, there in ((10.0, True), (FORGET_AFTER_S, True), (FORGET_AFTER_S + 11, False)):
        broker.run(DEVICE, wall=wall)
        assert ("desk_drowsiness" in json.loads(broker.retained[WHOLE])["components"]) is there
        assert broker.before is not None
        assert ("ferd/hall/desk/fatigue" in broker.before.cleared) is there


def test_what_comes_back_is_announced_again():
    broker = Broker()
    for alerts in (["sad"], [], ["sad"]):
        broker.run(replace(DEVICE, alerts=alerts))
    assert "desk_alert_sad" in broker.entities
    assert broker.before is not None
    assert broker.before.gone == {}


def test_a_camera_that_was_removed_leaves_no_topics():
    broker = Broker()
    broker.run(replace(DEVICE, cameras=["desk", "door"]))
    broker.run(DEVICE)
    assert not [topic for topic in broker.retained if "/door/" in topic]
    assert "door_expression" not in broker.entities


def test_a_rename_keeps_every_entity_and_touches_no_topic_of_the_old_name():
    broker = Broker()
    broker.run(DEVICE)
    entities, old = dict(broker.entities), {t for t in broker.retained if t.startswith("ferd/hall/")}
    messages, after = changes(replace(DEVICE, node="kitchen"), "homeassistant", "device", broker.before, 0.0)
    broker.run(replace(DEVICE, node="kitchen"))
    assert broker.entities == entities
    assert [message.topic for message in messages] == [WHOLE]
    assert old <= broker.retained.keys()
    assert not [topic for topic in after.topics if "hall" in topic]


def test_whole_documents_that_go_are_told_apart():
    _, before = changes(replace(DEVICE, cameras=["desk", "door"]), "homeassistant", "components", None, 0.0)
    for form, prefix, wanted in (("device", "homeassistant", True), ("components", "ha", True)):
        assert takes_documents_back(changes(DEVICE, prefix, form, before, 0.0)[0]) is wanted
    _, before = changes(replace(DEVICE, cameras=["desk", "door"]), "homeassistant", "device", None, 0.0)
    assert not takes_documents_back(changes(DEVICE, "homeassistant", "device", before, 0.0)[0])


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_the_other_form_leaves_nothing_of_the_first(first: Form | None, second: Form | None):
    broker, fresh = Broker(), Broker()
    broker.run(DEVICE, first)
    broker.run(DEVICE, second)
    fresh.run(DEVICE, second)
    assert broker.entities == fresh.entities
    assert broker.retained.keys() == fresh.retained.keys()


def test_another_prefix_leaves_nothing_below_the_first():
    broker = Broker()
    broker.run(DEVICE)
    broker.run(DEVICE, prefix="ha")
    assert not [topic for topic in broker.retained if topic.startswith("homeassistant/")]


def test_a_copied_card_takes_nothing_back_from_the_pi_it_came_from():
    _, before = changes(replace(DEVICE, alerts=["sad"]), "homeassistant", "device", None, 0.0)
    messages, _ = changes(replace(DEVICE, identity="ferd_012345"), "homeassistant", None, before, 0.0)
    assert messages == []


CHOICES = st.tuples(
    st.lists(st.sampled_from(["desk", "door", "car"]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["sad", "phone", "absent"]), max_size=3, unique=True),
    st.booleans(),
    st.booleans(),
    st.sampled_from(FORMS),
    st.sampled_from(["homeassistant", "ha"]),
)


@given(st.lists(CHOICES, min_size=1, max_size=8))
def test_whatever_changes_nothing_is_left_behind(runs: Any):
    broker, fresh = Broker(), Broker()
    for cameras, alerts, fatigue, buzzer, form, prefix in runs:
        device = Device("ferd_abcdef", "hall", cameras, ["joy"], alerts=alerts, fatigue=fatigue, buzzer=buzzer)
        broker.run(device, form, prefix=prefix)
    fresh.run(device, form, prefix=prefix)
    assert broker.entities == fresh.entities
    assert broker.retained.keys() == fresh.retained.keys()


def announce(device: Device, file: Path) -> list[Message]:
    """As a new run of ferd would."""
    return DiscoveryRegistry(file).announce(device, "homeassistant", "device")


def test_it_is_remembered_over_a_restart(tmp_path: Path):
    file = tmp_path / "state" / "announced.json"
    announce(replace(DEVICE, alerts=["sad"], fatigue=True), file)
    messages = announce(DEVICE, file)
    assert [message.topic for message in messages] == ["ferd/hall/desk/fatigue", WHOLE]
    assert messages[0].payload == b""
    written = file.stat().st_mtime_ns
    announce(DEVICE, file)
    assert file.stat().st_mtime_ns == written, "nothing changed, nothing is written"


def test_what_the_broker_has_cleared_is_not_said_again(tmp_path: Path):
    file = tmp_path / "announced.json"
    announce(replace(DEVICE, cameras=["desk", "door"], fatigue=True), file)
    announcer = DiscoveryRegistry(file)
    topics = [m.topic for m in announcer.announce(DEVICE, "homeassistant", "device") if not m.payload]
    assert len(topics) > 2
    for topic in topics[1:]:
        announcer.cleared(topic)
    assert [m.topic for m in announce(DEVICE, file)][:-1] == topics, "one of them may be there still"
    announcer = DiscoveryRegistry(file)
    announcer.announce(DEVICE, "homeassistant", "device")
    for topic in ("ferd/another", *topics):
        announcer.cleared(topic)
    assert [m.topic for m in announce(DEVICE, file)] == [WHOLE]


def test_a_rename_says_how_to_clean_up(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    announce(DEVICE, tmp_path / "a.json")
    announce(replace(DEVICE, node="kitchen"), tmp_path / "a.json")
    assert "ferd mqtt purge --node hall" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity":1}', "[" * 100_000, '{"entities":[]}', "\x00", "null"])
def test_a_broken_memory_is_told_and_harms_nothing(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "announced.json"
    file.write_text(text)
    assert [message.topic for message in announce(DEVICE, file)] == [WHOLE]
    assert "begins anew" in caplog.text
    assert recall(file) is not None


def test_a_folder_that_cannot_be_written_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "no-folder").write_text("")
    assert announce(DEVICE, tmp_path / "no-folder" / "announced.json")
    assert "not kept" in caplog.text
