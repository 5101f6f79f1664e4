from __future__ import annotations

import json
from dataclasses import replace
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


def test_several_on_one_machine_differ_by_their_id():
    assert len({identity(), identity("car"), identity("door")}) == 3


def test_the_document_is_retained_on_the_devices_topic():
    message = announcement("homeassistant", DEVICE)
    assert (message.topic, message.retain) == ("homeassistant/device/ferd_abcdef/config", True)
    assert b'"~"' not in message.encoded()


def test_the_root_has_documented_keys_only():
    whole = document(DEVICE)
    assert set(whole) == {"device", "origin", "components"}
    assert set(whole["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert set(whole["origin"]) == {"name", "sw_version"}


def test_the_device_has_the_nodes_name_as_people_write_it():
    assert document(DEVICE)["device"]["name"] == "Hall Pi"
    assert document(replace(DEVICE, node="2-hall--pi4"))["device"]["name"] == "2 Hall Pi4"
    assert document(replace(DEVICE, node="--"))["device"]["name"] == "--"


def test_area_and_page_are_in_the_document_only_where_they_are_known():
    assert not {"suggested_area", "configuration_url"} & document(DEVICE)["device"].keys()
    about = document(replace(DEVICE, area="Living room", page_url="http://hall-pi.local:8322/"))["device"]
    assert about["suggested_area"] == "Living room"
    assert about["configuration_url"] == "http://hall-pi.local:8322/"


def test_what_is_gone_stands_there_with_its_platform_only():
    components = document(DEVICE, {"desk_alert_sad": "binary_sensor"})["components"]
    assert components["desk_alert_sad"] == {"platform": "binary_sensor"}
    assert len(components) == 1 + len(document(DEVICE)["components"])


def test_the_older_form_is_a_document_for_each_entity():
    messages = documents("homeassistant", DEVICE, "components")
    whole = document(DEVICE)
    assert len(messages) == len(whole["components"])
    for message in messages:
        published = json.loads(message.encoded())
        prefix, platform, identity, key, config = message.topic.split("/")
        assert (prefix, identity, config) == ("homeassistant", "ferd_abcdef", "config")
        assert (published.pop("device"), published.pop("origin")) == (whole["device"], whole["origin"])
        entity = whole["components"][key]
        if "options" not in entity:
            assert {"platform": platform} | published == entity
        assert message.retain


def test_an_older_home_assistant_gets_unknown_where_it_does_not_accept_none():
    expression = json.loads(next(m for m in documents("homeassistant", DEVICE, "components")).encoded())
    assert "options" not in expression
    assert "device_class" not in expression
    assert expression["value_template"] == (
        "{{ value_json.expression if value_json.expression is not none else 'unknown' }}"
    )


def test_a_rename_changes_no_identity():
    other = Device("ferd_abcdef", "renamed", DEVICE.cameras, DEVICE.labels)
    ids = [json.dumps([p["unique_id"] for p in document(d)["components"].values()]) for d in (DEVICE, other)]
    assert ids[0] == ids[1]
