from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.nativetypes import NativeEnvironment

from ferd.event_builder import nothing_known
from ferd.outputs.home_assistant.entities import Device, entities
from ferd.payloads import EVENT_TYPES, AlertState, CameraHealth, FatigueState, Health, Json, State
from ferd.types import Unjudged

PLAIN = Device("ferd_abcdef", "hall-pi", ["desk", "front-door"], ["joy", "neutral"])
FULL = replace(PLAIN, alerts=["Sad for long", "phone"], fatigue=True, buzzer=True)

CAMERA = {"expression", "face", "event", "confidence", "people", "frame_rate", "enabled", "sensitivity"}
TIRED = {"alert_fatigue", "drowsiness", "eye_closure", "driver_watch"}
NODE = {"restart", "temperature", "throttled", "last_restart"}


def render(entity: Json, payload: object) -> str:
    """As Home Assistant would: ``value`` is the text, ``value_json`` what it says in JSON."""
    template = NativeEnvironment().from_string(entity["value_template"])
    return str(template.render(value=payload, value_json=payload))


def keys_of(device: Device, camera: str) -> set[str]:
    return {key.removeprefix(f"{camera}_") for key in entities(device) if key.startswith(f"{camera}_")}


def test_what_there_is_without_fatigue_alerts_and_buzzer():
    assert keys_of(PLAIN, "desk") == keys_of(PLAIN, "front-door") == CAMERA
    assert len(entities(PLAIN)) == 2 * len(CAMERA) + len(NODE)


def test_what_there_is_with_all_of_them():
    both = {"alert_sad_for_long", "alert_phone"}
    assert keys_of(FULL, "desk") == CAMERA | TIRED | both | {"buzzer"}
    assert entities(FULL).keys() >= NODE | {"snooze"}


@pytest.mark.parametrize("device", [PLAIN, FULL])
def test_every_entity_has_a_name_and_an_id_that_outlives_a_rename(device: Device):
    renamed = entities(replace(device, node="new-name"))
    for key, entity in entities(device).items():
        assert entity["unique_id"] == renamed[key]["unique_id"] == f"ferd_abcdef_{key}"
        assert "hall" not in entity["unique_id"]
        assert re.fullmatch(rf"{entity['platform']}\.hall_pi_[a-z0-9_]+", entity["default_entity_id"])
        assert entity["name"]
        assert entity["availability_mode"] == "all"
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", key), "Home Assistant takes no other characters in a topic"


def test_names_are_in_sentence_case_and_name_the_camera_only_where_there_are_several():
    one = entities(replace(FULL, cameras=["desk"]))
    assert {one[key]["name"] for key in ("desk_expression", "desk_frame_rate", "desk_enabled", "last_restart")} == {
        "Expression",
        "Frame rate",
        "Camera",
        "Last restart",
    }
    assert one["desk_alert_sad_for_long"]["name"] == "Sad for long"
    several = entities(replace(FULL, cameras=["camera", "front-door"]))
    assert several["front-door_frame_rate"]["name"] == "Front door frame rate"
    assert several["front-door_enabled"]["name"] == "Front door camera"
    assert several["camera_enabled"]["name"] == "Camera enabled"
    for found in (one, several):
        named = [entity["name"] for entity in found.values()]
        assert len(set(named)) == len(named)
        assert all(name[0].isupper() for name in named)


def test_another_camera_changes_names_but_no_id():
    one, two = entities(replace(FULL, cameras=["desk"])), entities(FULL)
    for key, entity in one.items():
        assert (entity["unique_id"], entity["default_entity_id"]) == (
            two[key]["unique_id"],
            two[key]["default_entity_id"],
        )


def test_versions_before_2025_10_get_the_entity_id_as_they_know_it():
    for entity in entities(FULL).values():
        assert entity["default_entity_id"] == f"{entity['platform']}.{entity['object_id']}"


def test_pictures_are_an_entity_only_where_they_are_published():
    assert "desk_image" not in entities(FULL)
    image = entities(replace(PLAIN, image=True))["desk_image"]
    assert (image["platform"], image["name"]) == ("image", "Desk picture")
    assert (image["image_topic"], image["content_type"]) == ("ferd/hall-pi/desk/image", "image/jpeg")


def test_entity_ids_stay_what_they_were():
    made = {key: entity["default_entity_id"] for key, entity in entities(FULL).items()}
    assert made["desk_enabled"] == "switch.hall_pi_desk_camera"
    assert made["desk_alert_sad_for_long"] == "binary_sensor.hall_pi_desk_sad_for_long"
    assert made["front-door_expression"] == "sensor.hall_pi_front_door_expression"
    assert len(set(made.values())) == len(made)


def test_gestures_are_an_event_entity_and_device_triggers():
    found = entities(replace(PLAIN, gestures=["wink_left", "nod"]))
    assert found["desk_gesture"]["event_types"] == ["wink_left", "nod"]
    wink = {"event_type": "gesture", "gesture": "wink_left", "main": True}
    other = {"event_type": "gesture", "gesture": "nod", "main": False}
    late = wink | {"late": True}
    came = {"event_type": "face_appeared", "track": 1}
    event = NativeEnvironment().from_string(found["desk_gesture"]["value_template"].replace("| tojson", "| string"))
    assert event.render(value_json=wink) == {"event_type": "wink_left"}
    assert not event.render(value_json=other)
    assert not event.render(value_json=late)
    assert not event.render(value_json=came)
    trigger = found["desk_trigger_wink_left"]
    assert (trigger["platform"], trigger["automation_type"]) == ("device_automation", "trigger")
    assert (trigger["type"], trigger["subtype"]) == ("wink left", "desk")
    assert render(trigger, wink) == trigger["payload"] == "wink_left"
    assert render(trigger, other) not in ("wink_left", "nod")
    assert render(trigger, late) != "wink_left"


def test_full_names_only():
    """No abbreviation and no "~": what stands here is found in Home Assistant's documentation."""
    assert all(re.fullmatch(r"[a-z]{3,}(_[a-z]+)*", key) for entity in entities(FULL).values() for key in entity)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32)


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.lists(NAMES, max_size=8, unique=True))
def test_no_two_entities_share_a_key(cameras: list[str], rules: list[str]):
    rules = [rule for rule in dict.fromkeys(name.strip("-") for name in rules) if re.search("[a-z0-9]", rule)]
    device = Device("ferd_abcdef", "n", cameras, ["joy"], alerts=[r for r in rules if "--" not in r and r != "fatigue"])
    per_camera = len(CAMERA) + len(device.alerts)
    assert len(entities(device)) == len(NODE) + len(cameras) * per_camera


def test_what_is_seen_is_unavailable_without_the_camera():
    sensor = entities(FULL)["front-door_expression"]
    node, camera = sensor["availability"]
    assert node == {"topic": "ferd/hall-pi/status"}
    assert camera["topic"] == "ferd/hall-pi/front-door/status"
    published = {status: render(camera, status) for status in ("online", "offline", "disabled")}
    assert published == {"online": "online", "offline": "offline", "disabled": "offline"}


def test_what_can_be_set_stays_available_while_the_camera_is_off():
    settable = {key for key, entity in entities(FULL).items() if "command_topic" in entity}
    assert {key for key in settable if key.startswith("desk")} == {"desk_enabled", "desk_buzzer", "desk_sensitivity"}
    for key in settable | NODE:
        assert entities(FULL)[key]["availability"] == [{"topic": "ferd/hall-pi/status"}], key


def test_what_a_user_sees_by_default():
    hidden = {key for key, entity in entities(FULL).items() if not entity.get("enabled_by_default", True)}
    assert hidden == {"desk_frame_rate", "front-door_frame_rate", "temperature", "throttled", "last_restart"}
    diagnostic = {key for key, entity in entities(FULL).items() if entity.get("entity_category") == "diagnostic"}
    assert diagnostic == {"desk_frame_rate", "front-door_frame_rate"} | NODE


def test_expression_is_one_of_the_labels_or_unknown():
    sensor = entities(PLAIN)["desk_expression"]
    assert (sensor["device_class"], sensor["options"]) == ("enum", ["joy", "neutral"])
    assert render(sensor, State("joy", 0.9, 1, 0.0, 1).to_dict()) == "joy"
    assert render(sensor, State(None, None, 0, 0.0, 1).to_dict()) == "None"


@pytest.mark.parametrize(
    ("key", "known", "unknown"),
    [("desk_confidence", "83", "None"), ("desk_people", "2", "0"), ("desk_face", "ON", "OFF")],
)
def test_the_rest_of_the_state(key: str, known: str, unknown: str):
    assert render(entities(PLAIN)[key], State("joy", 0.831, 2, 0.0, 1).to_dict()) == known
    assert render(entities(PLAIN)[key], State(None, None, 0, 0.0, 1).to_dict()) == unknown


def test_each_rule_has_a_sensor_that_follows_the_names_that_hold():
    found = entities(FULL)
    published = AlertState("warning", "sadness", None, 0.0, True, ["sad-for-long", "fatigue"]).to_dict()
    shown = {key: render(found[f"desk_alert_{key}"], published) for key in ("sad_for_long", "phone", "fatigue")}
    assert shown == {"sad_for_long": "ON", "phone": "OFF", "fatigue": "ON"}
    assert found["desk_alert_sad_for_long"]["name"] == "Desk Sad for long"


def test_fatigue_is_shown_as_level_and_percent():
    found = entities(FULL)
    tired = FatigueState("notice", 0.7, 0.163, 0.9, None, None, 0.0, 0).to_dict()
    blind = FatigueState("none", None, None, 0.0, None, None, 0.0, 0).to_dict()
    assert found["desk_drowsiness"]["options"] == ["none", "notice", "warning", "alarm"]
    assert [render(found["desk_drowsiness"], it) for it in (tired, blind)] == ["notice", "none"]
    assert [render(found["desk_eye_closure"], it) for it in (tired, blind)] == ["16", "None"]


def test_why_nobody_judges_is_shown_also_while_the_camera_is_gone():
    watch = entities(FULL)["desk_driver_watch"]
    assert render(watch, FatigueState("none", 1.0, 0.0, 0.9, None, None, 0.0, 0).to_dict()) == "judged"
    for reason in get_args(Unjudged):
        assert reason in watch["options"]
        assert render(watch, nothing_known(reason).to_dict()) == reason
    assert len(watch["availability"]) == 1


def health(temperature: float | None, throttled: list[Any] | None) -> Json:
    return Health(1, 1, temperature, 0, {"desk": CameraHealth(14.9, 1, 0, 0, None)}, throttled, 0.0).to_dict()


def test_health_is_shown():
    found = entities(PLAIN)
    pi, pc = health(51.5, ["under_voltage"]), health(None, None)
    assert [render(found["temperature"], it) for it in (pi, pc)] == ["51.5", "None"]
    assert [render(found["throttled"], it) for it in (pi, pc, health(1, []))] == ["ON", "None", "OFF"]
    assert render(found["last_restart"], pi) == "1970-01-01T00:00:00.000Z"
    assert render(found["desk_frame_rate"], pi) == "14.9"
    assert render(found["front-door_frame_rate"], pi) == "None", "a camera that is off"


def test_the_event_entity_knows_all_events():
    event = entities(PLAIN)["desk_event"]
    assert event["event_types"] == list(EVENT_TYPES)
    assert event["state_topic"] == "ferd/hall-pi/desk/event"


def test_controls_send_what_the_commands_accept():
    found = entities(FULL)
    assert found["desk_enabled"]["command_topic"] == "ferd/hall-pi/desk/enabled/set"
    assert found["desk_enabled"]["state_topic"] == "ferd/hall-pi/desk/enabled/state"
    assert (found["desk_sensitivity"]["min"], found["desk_sensitivity"]["max"]) == (0, 100)
    assert found["snooze"]["command_topic"] == "ferd/hall-pi/request/snooze"
    assert json.loads(found["snooze"]["payload_press"]) == {}
