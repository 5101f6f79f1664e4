from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferd.publish.home_assistant import Device, announcement, document, identity
from ferd.publish.topics import EVENT_TYPES, Json

DEVICE = Device("ferd_abcdef", "hall-pi", ["desk", "front-door"], ["joy", "neutral"])


@pytest.fixture
def components() -> Json:
    parts: Json = document(DEVICE)["components"]
    return parts


def test_the_identity_comes_from_the_machine_not_from_its_name(tmp_path: Path):
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    assert identity(file) == "ferd_5f31da"
    assert identity(tmp_path / "none").startswith("ferd_")
    assert len(identity(tmp_path / "none")) == 11


def test_the_document_is_retained_on_the_devices_topic():
    message = announcement("homeassistant", DEVICE)
    assert (message.topic, message.retain) == ("homeassistant/device/ferd_abcdef/config", True)
    assert b'"~"' not in message.payload


def test_the_root_has_documented_keys_only():
    whole = document(DEVICE)
    assert set(whole) == {"device", "origin", "components"}
    assert set(whole["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert set(whole["origin"]) == {"name", "sw_version"}


def test_every_entity_has_a_name_a_stable_id_and_both_availabilities(components: Json):
    ids = [part["unique_id"] for part in components.values()]
    assert len(set(ids)) == len(ids) == 12
    for part in components.values():
        assert part["unique_id"].startswith("ferd_abcdef_")
        assert part["default_entity_id"].startswith(part["platform"] + ".hall_pi_")
        assert part["name"]
        assert part["availability_mode"] == "all"
        camera = "front-door" if "front" in part["unique_id"] else "desk"
        topics = [entry["topic"] for entry in part["availability"]]
        assert topics == ["ferd/hall-pi/status", f"ferd/hall-pi/{camera}/status"]


def test_what_a_user_sees_by_default(components: Json):
    shown = {key for key, part in components.items() if part.get("enabled_by_default", True)}
    assert shown == {
        f"{camera}_{what}" for camera in ("desk", "front_door") for what in ("expression", "face", "event")
    }


def test_expression_is_one_of_the_labels_or_unknown(components: Json):
    sensor = components["desk_expression"]
    assert (sensor["device_class"], sensor["options"]) == ("enum", ["joy", "neutral"])
    assert sensor["value_template"] == ("{{ value_json.expression if value_json.expression is not none else 'None' }}")


def test_the_event_entity_knows_all_events(components: Json):
    assert components["desk_event"]["event_types"] == list(EVENT_TYPES)
    assert components["desk_event"]["state_topic"] == "ferd/hall-pi/desk/event"


def test_two_nodes_of_one_machine_would_differ_in_nothing_but_topics():
    other = Device("ferd_abcdef", "renamed", DEVICE.cameras, DEVICE.labels)
    ids = [json.dumps([p["unique_id"] for p in document(d)["components"].values()]) for d in (DEVICE, other)]
    assert ids[0] == ids[1]
