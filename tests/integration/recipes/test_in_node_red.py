"""The Node-RED flow in a real Node-RED, with a real broker between it and ferd's own payloads."""

from __future__ import annotations

import json
import time

import pytest
from brokers import Ear, mosquitto, wait_for
from node_red import NODE, RED, node_red
from recipe_files import FLOW, flow_nodes

from ferd.payloads import AlertState, Event, GestureEvent, State

pytestmark = pytest.mark.skipif(NODE is None or RED is None, reason="needs Node-RED: ./scripts/test-recipes")
STATE, EVENT, ALERT = (f"ferd/hall-pi/camera/{what}" for what in ("state", "event", "alert"))
LAMP, NOTICE, SWITCH = "zigbee2mqtt/desk/set", "home/notice", "ferd/hall-pi/camera/enabled/set"


@pytest.fixture(scope="module")
def ear(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node-red")
    with mosquitto(folder) as broker, Ear(broker.port) as ear:
        ear.say(ALERT, alert("notice", "perclos", ["fatigue"]), retain=True)
        ear.say(STATE, state("neutral"), retain=True)
        with node_red(folder / "red", FLOW, broker.port) as red:
            ear.red, ear.broker_port = red, broker.port
            ear.wait(LAMP)  # what is retained was taken: it has subscribed
            yield ear


@pytest.fixture(autouse=True)
def heard_anew(ear):
    ear.heard.clear()


def state(expression, faces=1, seq=1):
    confidence = None if expression is None else 0.9
    return State(expression, confidence, faces, 1795347453.0, seq).to_json().decode()


def event(old, new):
    return Event("expression_changed", "8d0f6e1c", 7, old, new, 0.83, 12.4, 1795347453.0).to_json().decode()


def gesture(name, *, main=True):
    return GestureEvent("gesture", "5f1c2a77", name, 7, main, 1795347453.0).to_json().decode()


def alert(level, reason, active):
    return AlertState(level, reason, None, 1795347453.0, True, active).to_json().decode()


def test_the_lamp_follows_the_mood(ear):
    """On, in its colour; off when nobody is there; as it was while ferd is not sure."""
    ear.say(STATE, state("happiness"), retain=True)
    assert json.loads(ear.wait(LAMP)) == {"state": "ON", "color": {"hex": "#ffc04d"}, "transition": 1}
    ear.say(STATE, state("sadness"), retain=True)
    wait_for(lambda: json.loads(ear.payloads(LAMP)[-1])["color"]["hex"] == "#3a6bff")
    ear.say(STATE, state("sadness", seq=3), retain=True)
    ear.say(STATE, state(None, faces=1), retain=True)
    ear.say(STATE, state(None, faces=0), retain=True)
    wait_for(lambda: len(ear.payloads(LAMP)) == 3, what=str(ear.heard))
    assert json.loads(ear.payloads(LAMP)[-1]) == {"state": "OFF", "transition": 3}


def test_a_smile_is_told_once_and_an_old_one_is_not(ear):
    ear.say(EVENT, event("neutral", "happiness"))
    assert ear.wait(NOTICE) == "Someone smiled at hall-pi/camera"
    late = json.dumps(json.loads(event("neutral", "happiness")) | {"late": True})
    ear.say(EVENT, late)
    ear.say(EVENT, event("neutral", "sadness"))
    ear.say(EVENT, event("sadness", "happiness"))
    wait_for(lambda: len(ear.payloads(NOTICE)) == 2)
    time.sleep(0.3)
    assert len(ear.payloads(NOTICE)) == 2


def test_a_driver_alert_is_told_when_its_level_changes(ear):
    ear.say(ALERT, alert("none", None, []), retain=True)
    ear.say(ALERT, alert("warning", "eyes_closed", ["fatigue"]), retain=True)
    assert ear.wait(NOTICE) == "WARNING at hall-pi: eyes_closed"
    ear.say(ALERT, alert("warning", "eyes_closed", ["fatigue", "sad-for-long"]), retain=True)
    ear.say(ALERT, alert("alarm", "eyes_closed", ["fatigue"]), retain=True)
    ear.wait(NOTICE, "ALARM at hall-pi: eyes_closed")
    ear.say(ALERT, alert("none", None, []), retain=True)
    time.sleep(0.3)
    assert len(ear.payloads(NOTICE)) == 2


def test_a_wink_of_the_left_eye_toggles_the_lamp(ear):
    """Of the main face only, not an old one, and not twice at once."""
    ear.say(EVENT, gesture("wink_right"))
    ear.say(EVENT, gesture("wink_left", main=False))
    ear.say(EVENT, json.dumps(json.loads(gesture("wink_left")) | {"late": True}))
    for _ in range(3):
        ear.say(EVENT, gesture("wink_left"))
    assert json.loads(ear.wait(LAMP)) == {"state": "TOGGLE"}
    time.sleep(2.5)  # the pause is over
    assert len(ear.payloads(LAMP)) == 1
    ear.say(EVENT, gesture("wink_left"))
    wait_for(lambda: len(ear.payloads(LAMP)) == 2, what=str(ear.heard))


def test_the_buttons_switch_the_camera_and_nothing_is_retained(ear):
    for name in ("off", "on"):
        ear.red.press(next(node["id"] for node in flow_nodes() if node["type"] == "inject" and node["name"] == name))
        ear.wait(SWITCH, name.upper())
    with Ear(ear.broker_port, SWITCH) as late:
        time.sleep(0.3)
        assert late.heard == []


def test_node_red_has_nothing_to_complain_about(ear):
    _, started, since = ear.red.log.partition("Starting flows")
    assert started
    assert "[error]" not in since
    assert "[warn]" not in since
