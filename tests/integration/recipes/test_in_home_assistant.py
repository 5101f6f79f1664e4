"""ferd and its recipes in a real Home Assistant: real ferd, real broker, and Home Assistant asked through its API."""

from __future__ import annotations

import pytest
from brokers import Ear, wait_for
from ferd_process import broker_environ, ferd
from hass import HASS, home_assistant

pytestmark = pytest.mark.skipif(HASS is None, reason="needs Home Assistant: ./scripts/test-recipes")
EXPRESSION, FACE, EVENT = (
    "sensor.hall_pi_camera_expression",
    "binary_sensor.hall_pi_camera_face",
    "event.hall_pi_camera_event",
)
SWITCH, SENSITIVITY, RESTART = (
    "switch.hall_pi_camera_enabled",
    "number.hall_pi_camera_sensitivity",
    "button.hall_pi_restart",
)
LABELS = {"hall-pi": "Hall Pi", "attic-pi": "Attic Pi"}
SCENE_S = 180
"""So long may anything in the demo scene (40 s) take."""


@pytest.fixture(scope="module")
def house(tmp_path_factory, broker):
    """A Home Assistant with nothing but the MQTT integration."""
    with home_assistant(tmp_path_factory.mktemp("house")) as house:
        house.start()
        house.add_broker(broker.port)
        yield house


def run_ferd(house, broker, folder, node="hall-pi"):
    """The daemon, once the one before it is known to be gone."""
    wait_for(lambda: set(house.ours().values()) <= {"unavailable"}, 15, str(house.ours()))
    form = {} if house.knows_devices() else {"FERD_MQTT__DISCOVERY": "components"}
    environ = broker_environ(broker.port) | {"FERD_NODE__NAME": node} | form
    return ferd("run", "--source", "demo", folder=folder, environ=environ)


def wait_until_back(house, timeout_s=SCENE_S):
    """Nothing of ours is unavailable, and what is seen is told."""
    wait_for(lambda: house.state(EXPRESSION) not in (None, "unknown", "unavailable"), timeout_s, str(house.ours()))
    wait_for(lambda: "unavailable" not in house.ours().values(), 10, str(house.ours()))


def test_a_user_adds_mqtt_and_everything_is_there(house, broker, tmp_path):
    """Entities come by themselves, the expression follows the scene, nobody is "unknown", the end "unavailable"."""
    with run_ferd(house, broker, tmp_path) as daemon:
        for told in ("neutral", "happiness", "sadness", "unknown"):
            wait_for(lambda told=told: house.state(EXPRESSION) == told, SCENE_S, f"it never was {told}")
        wait_for(lambda: (house.state(EXPRESSION), house.state(FACE)) == ("neutral", "on"), SCENE_S)
        last = house.states()[EVENT]["attributes"]
        assert last["event_type"] in last["event_types"]
        assert daemon.stop() == 0
    wait_for(lambda: set(house.ours().values()) == {"unavailable"}, 10, str(house.ours()))
    assert house.problems("mqtt", "ferd") == []


def test_home_assistant_restarts(house, broker, tmp_path):
    with run_ferd(house, broker, tmp_path):
        wait_until_back(house)
        before = set(house.ours())
        house.stop()
        house.start()
        wait_until_back(house)
        assert set(house.ours()) == before
    assert house.problems("mqtt", "ferd") == []


def test_the_broker_restarts_and_has_forgotten_everything(house, broker, tmp_path):
    with run_ferd(house, broker, tmp_path):
        wait_until_back(house)
        before = set(house.ours())
        broker.stop()
        wait_for(lambda: set(house.ours().values()) == {"unavailable"}, 30, str(house.ours()))
        broker.start()
        wait_until_back(house)
        assert set(house.ours()) == before


def test_home_assistant_restarts_and_the_broker_keeps_no_document(house, broker, tmp_path):
    """What brings the entities back is ferd's answer to Home Assistant's birth message."""
    with run_ferd(house, broker, tmp_path):
        wait_until_back(house)
        house.stop()
        with Ear(broker.port, "homeassistant/+/#") as ear:
            wait_for(lambda: any(topic.endswith("/config") for topic, *_ in ear.heard))
            for topic in {topic for topic, _, kept in ear.heard if kept and topic.endswith("/config")}:
                ear.say(topic, "", retain=True)
        house.start()
        wait_until_back(house)


def test_a_user_switches_the_camera_off_and_on(house, broker, tmp_path):
    """What it saw is unavailable then, the switch itself is not; the sensitivity is set, and ferd restarted."""
    with run_ferd(house, broker, tmp_path):
        wait_until_back(house)
        house.call("switch.turn_off", entity_id=SWITCH)
        wait_for(
            lambda: (house.state(SWITCH), house.state(EXPRESSION)) == ("off", "unavailable"), 10, str(house.ours())
        )
        house.call("switch.turn_on", entity_id=SWITCH)
        wait_until_back(house)
        house.call("number.set_value", entity_id=SENSITIVITY, value=70)
        wait_for(lambda: float(house.state(SENSITIVITY)) == 70, 10, str(house.ours()))
        pressed = house.states()[RESTART]["state"]
        house.call("button.press", entity_id=RESTART)
        wait_for(lambda: house.state(EXPRESSION) == "unavailable", 20, "it did not restart")
        wait_until_back(house)
        assert house.states()[RESTART]["state"] != pressed
        assert float(house.state(SENSITIVITY)) == 70
        assert house.state(SWITCH) == "on"
    assert house.problems("mqtt", "ferd") == []


def test_a_renamed_node_keeps_its_entities(house, broker, tmp_path):
    names = []
    for node in ("hall-pi", "attic-pi", "hall-pi"):
        with run_ferd(house, broker, tmp_path, node) as daemon:
            wait_until_back(house)
            wait_for(
                lambda node=node: house.render(f"{{{{ device_attr('{EXPRESSION}', 'name') }}}}") == LABELS[node], 10
            )
            names.append(set(house.ours()))
            assert daemon.stop() == 0
        wait_for(lambda: set(house.ours().values()) == {"unavailable"}, 10, str(house.ours()))
    assert names[0] == names[1] == names[2]
    assert house.problems("mqtt", "ferd") == []
