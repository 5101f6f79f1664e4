from __future__ import annotations

import json
from pathlib import Path

from ferd.outputs.home_assistant.discovery import announcement, document, documents, identity
from ferd.outputs.home_assistant.entities import Device

DEVICE = Device("ferd_abcdef", "hall-pi", ["desk", "front-door"], ["joy", "neutral"])


def test_the_identity_comes_from_the_machine_not_from_its_name(tmp_path: Path):
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    assert identity(machine_id=file) == "ferd_5f31da"
    assert identity(machine_id=tmp_path / "none").startswith("ferd_")
    assert len(identity(machine_id=tmp_path / "none")) == 11


def test_several_on_one_machine_are_told_apart_by_their_id():
    assert len({identity(), identity("car"), identity("door")}) == 3


def test_the_document_is_retained_on_the_devices_topic():
    message = announcement("homeassistant", DEVICE)
    assert (message.topic, message.retain) == ("homeassistant/device/ferd_abcdef/config", True)
    assert b'"~"' not in message.payload


def test_the_root_has_documented_keys_only():
    whole = document(DEVICE)
    assert set(whole) == {"device", "origin", "components"}
    assert set(whole["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert set(whole["origin"]) == {"name", "sw_version"}


def test_what_is_gone_stands_there_with_its_platform_only():
    components = document(DEVICE, {"desk_alert_sad": "binary_sensor"})["components"]
    assert components["desk_alert_sad"] == {"platform": "binary_sensor"}
    assert len(components) == 1 + len(document(DEVICE)["components"])


def test_the_older_form_is_a_document_for_each_entity():
    messages = documents("homeassistant", DEVICE, "components")
    whole = document(DEVICE)
    assert len(messages) == len(whole["components"])
    for message in messages:
        told = json.loads(message.payload)
        prefix, platform, identity, key, config = message.topic.split("/")
        assert (prefix, identity, config) == ("homeassistant", "ferd_abcdef", "config")
        assert (told.pop("device"), told.pop("origin")) == (whole["device"], whole["origin"])
        entity = whole["components"][key]
        if "options" not in entity:
            assert {"platform": platform} | told == entity
        assert message.retain


def test_an_older_home_assistant_is_told_unknown_where_it_takes_no_none():
    expression = json.loads(next(m for m in documents("homeassistant", DEVICE, "components")).payload)
    assert "options" not in expression
    assert "device_class" not in expression
    assert expression["value_template"] == (
        "{{ value_json.expression if value_json.expression is not none else 'unknown' }}"
    )


def test_a_rename_changes_no_identity():
    other = Device("ferd_abcdef", "renamed", DEVICE.cameras, DEVICE.labels)
    ids = [json.dumps([p["unique_id"] for p in document(d)["components"].values()]) for d in (DEVICE, other)]
    assert ids[0] == ids[1]
