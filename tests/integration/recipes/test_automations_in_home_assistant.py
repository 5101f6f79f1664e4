"""The automations and the blueprint in a real Home Assistant, with a lamp that it knows over MQTT."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import pytest
from brokers import Ear, wait_for
from hass import HASS, home_assistant
from puppet import DEVICE, PAGE, Puppet
from recipe_files import HOME_ASSISTANT

from ferd.outputs.home_assistant.entities import entities

pytestmark = pytest.mark.skipif(HASS is None, reason="needs Home Assistant: ./scripts/test-recipes")
USES = """
template: !include template.yaml
automation: !include automations.yaml
automation from_blueprint:
  - alias: from the blueprint
    use_blueprint:
      path: ferd/expression.yaml
      input:
        expression_sensor: sensor.hall_pi_camera_expression
        expression: surprise
        hold: {seconds: 0}
        begin: [{action: mqtt.publish, data: {topic: test/blueprint, payload: begin}}]
        over: [{action: mqtt.publish, data: {topic: test/blueprint, payload: over}}]
  - alias: from the gesture blueprint
    use_blueprint:
      path: ferd/gesture.yaml
      input:
        gesture_event: event.hall_pi_camera_gesture
        gesture: wink_left
        switched: [light.desk]
        more: [{action: mqtt.publish, data: {topic: test/gesture, payload: wink}}]
        cooldown: {seconds: 2}
"""
ON_WINK = "on a wink"
LAMP = "test/lamp/set"
LAMP_DOCUMENT = {
    "schema": "json",
    "name": "desk",
    "unique_id": "test_lamp",
    "command_topic": LAMP,
    "supported_color_modes": ["rgb"],
    "brightness": True,
}
IMAGE = "image.hall_pi_camera_image"
SMILED, TIRED = "Someone smiled", "Take a break"


@pytest.fixture(scope="module")
def house(tmp_path_factory, broker):
    """A Home Assistant with the MQTT integration, our automations and one that is made from our blueprint.

    The half minute after which the lamp goes out is half a second.
    """
    with home_assistant(tmp_path_factory.mktemp("house"), USES, like=HOME_ASSISTANT) as house:
        automations = house.folder / "automations.yaml"
        automations.write_text(automations.read_text().replace('"00:00:30"', '{"milliseconds": 500}'))
        house.start()
        if not house.knows_devices():
            pytest.skip("automations are written for Home Assistant 2024.11 and newer")
        house.add_broker(broker.port)
        yield house


@pytest.fixture(scope="module")
def ear(broker):
    with Ear(broker.port) as ear:
        yield ear


@pytest.fixture(scope="module")
def ferd(house, ear):
    """A puppet that Home Assistant knows, and a lamp called light.desk."""
    ear.say("homeassistant/light/test_lamp/config", json.dumps(LAMP_DOCUMENT), retain=True)
    puppet = Puppet(ear)
    puppet.announce()
    wait_for(lambda: "sensor.hall_pi_camera_expression" in house.states(), 10)
    puppet.run()
    wait_for(lambda: house.state("sensor.hall_pi_camera_expression") == "unknown", 10)
    assert house.state("light.desk") is not None
    yield puppet
    puppet.stop()


@pytest.fixture(autouse=True)
def heard_anew(ear):
    ear.heard.clear()


def last_lamp(ear):
    return json.loads(ear.payloads(LAMP)[-1]) if ear.payloads(LAMP) else {}


def test_the_examples_are_what_home_assistant_loaded(house, ferd):
    names = {entity["attributes"]["friendly_name"] for name, entity in house.states().items() if "automation." in name}
    assert names == {
        "The lamp follows the mood",
        "Someone smiled",
        "Driver alert",
        "from the blueprint",
        "from the gesture blueprint",
    }
    assert house.problems("automation", "blueprint") == []


def test_the_lamp_follows_the_mood(house, ferd, ear):
    ferd.see("happiness")
    wait_for(lambda: last_lamp(ear).get("color") == {"r": 255, "g": 192, "b": 77}, 5, str(ear.heard))
    ferd.see("sadness")
    wait_for(lambda: last_lamp(ear).get("color") == {"r": 58, "g": 107, "b": 255})
    ferd.see(None)
    time.sleep(0.5)
    assert len(ear.payloads(LAMP)) == 2, "somebody is there, but ferd is not sure: the lamp stays"
    ferd.see(None, faces=0)
    wait_for(lambda: last_lamp(ear)["state"] == "OFF", 5, str(ear.heard))


def test_the_mood_in_another_language(house, ferd):
    for expression, word, icon in (("anger", "Wut", "angry"), ("neutral", "neutral", "neutral")):
        ferd.see(expression)
        wait_for(lambda word=word: house.state("sensor.mood") == word, 10)
        assert house.states()["sensor.mood"]["attributes"]["icon"] == f"mdi:emoticon-{icon}-outline"
    ferd.see(None, faces=0)
    wait_for(lambda: house.state("sensor.mood") == "unavailable", 10)


def test_someone_smiled(house, ferd):
    ferd.change("neutral", "sadness")
    ferd.change("sadness", "happiness")
    wait_for(lambda: house.notices(SMILED))
    ferd.change("happiness", "happiness", late=True)
    time.sleep(0.5)
    assert len(house.notices(SMILED)) == 1
    assert house.notices(SMILED)[0].endswith(", 83 % sure")


def test_a_driver_alert(house, ferd, ear):
    ferd.warn("notice", "not_seen")
    ferd.warn("warning", "eyes_closed")
    wait_for(lambda: last_lamp(ear).get("color") == {"r": 255, "g": 0, "b": 0}, 5, str(ear.heard))
    ferd.warn("alarm", "eyes_closed")
    wait_for(lambda: len(house.notices(TIRED)) == 2)
    ferd.warn("none")
    wait_for(lambda: house.state("sensor.hall_pi_camera_drowsiness") == "none")
    assert [notice.rpartition(": ")[2] for notice in house.notices(TIRED)] == ["warning", "alarm"]


def test_the_blueprint(house, ferd, ear):
    ferd.see("surprise")
    assert ear.wait("test/blueprint", "begin")
    ferd.see("neutral")
    assert ear.wait("test/blueprint", "over")


def test_the_device_is_named_as_people_write_it(house, ferd):
    about = house.device()
    assert (about["name"], about["configuration_url"]) == ("Hall Pi", PAGE)
    areas = {area["area_id"]: area["name"] for area in house.ask("config/area_registry/list")}
    assert areas[about["area_id"]] == "Workshop"
    ours = [it for it in house.ask("config/entity_registry/list") if it["device_id"] == about["id"]]
    named = {it["entity_id"]: it["original_name"] for it in ours}
    assert named["sensor.hall_pi_camera_expression"] == "Expression"
    assert named["switch.hall_pi_camera_enabled"] == "Camera"
    assert named["sensor.hall_pi_camera_frame_rate"] == "Frame rate"
    assert house.states()["sensor.hall_pi_camera_people"]["attributes"]["friendly_name"] == "Hall Pi People"
    assert named.keys() == {it["default_entity_id"] for it in entities(DEVICE).values() if "unique_id" in it}


def test_home_assistant_lists_the_gestures_as_triggers_of_the_device(house, ferd):
    """What its editor offers under "Device"."""
    listed = house.ask("device_automation/trigger/list", device_id=house.device()["id"])
    ours = [(it["type"], it["subtype"]) for it in listed if it["domain"] == "mqtt"]
    assert ours == [("wink left", "camera"), ("wink right", "camera"), ("nod", "camera")]


def test_an_automation_on_a_device_trigger_runs(house, ferd, ear):
    """Saved as its editor saves it. Only the main face counts, and a gesture that waited for the broker does not."""
    trigger = {"trigger": "device", "domain": "mqtt", "device_id": house.device()["id"], "type": "wink left"}
    publish = {"action": "mqtt.publish", "data": {"topic": "test/trigger", "payload": "wink"}}
    automation = {"alias": ON_WINK, "triggers": [trigger | {"subtype": "camera"}], "actions": [publish]}
    house.post("/api/config/automation/config/wink", automation)
    wait_for(lambda: house.state("automation.on_a_wink") == "on", 10)
    ferd.gesture("wink_right")
    ferd.gesture("wink_left", main=False)
    ferd.gesture("wink_left", late=True)
    ferd.gesture("wink_left")
    assert ear.wait("test/trigger", "wink")
    time.sleep(0.5)
    assert len(ear.payloads("test/trigger")) == 1


def test_the_gesture_blueprint_toggles_a_lamp(house, ferd, ear):
    """Only for its gesture, once in its pause, and again after it."""
    time.sleep(2.5)  # the pause of a test before is over
    before = house.state("light.desk")
    ear.heard.clear()
    ferd.gesture("nod")
    ferd.gesture("wink_left")
    ear.wait("test/gesture", "wink")
    ferd.gesture("wink_left")
    wait_for(lambda: house.state("light.desk") not in (before, None), 10)
    time.sleep(2.5)
    assert len(ear.payloads("test/gesture")) == 1
    ferd.gesture("wink_left")
    wait_for(lambda: len(ear.payloads("test/gesture")) == 2, 10, str(ear.heard))
    wait_for(lambda: house.state("light.desk") == before, 10)
    assert [json.loads(said)["state"] for said in ear.payloads(LAMP)] in (["ON", "OFF"], ["OFF", "ON"])


def test_the_picture_is_shown(house, ferd):
    picture = cv2.imencode(".jpg", np.full((110, 110, 3), 90, np.uint8))[1].tobytes()
    assert house.state(IMAGE) == "unknown"
    ferd.show(picture)
    wait_for(lambda: house.state(IMAGE) != "unknown", 10)
    assert house.picture(IMAGE) == picture


def test_home_assistant_restarts_and_no_old_smile_comes_again(house, ferd):
    before = len(house.notices(SMILED))
    ferd.change("neutral", "happiness")
    wait_for(lambda: len(house.notices(SMILED)) == before + 1)
    house.stop()
    house.start()
    wait_for(lambda: house.state("event.hall_pi_camera_event") not in (None, "unavailable"), 20)
    time.sleep(1)
    assert house.notices(SMILED) == []


def test_home_assistant_has_nothing_to_complain_about(house, ferd):
    assert house.problems("mqtt", "automation", "blueprint", "template", "ferd", "hall_pi") == []
