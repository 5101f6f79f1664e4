"""ferd and its recipes in a real Home Assistant: real ferd, real broker, and Home Assistant asked through its API."""

from __future__ import annotations

import pytest
from brokers import Ear, wait_for
from ferd_process import broker_environ, ferd
from hass import HASS

pytestmark = pytest.mark.skipif(
    not HASS.exists(), reason="Home Assistant is not installed here: ./scripts/test-recipes installs it"
)
EXPRESSION, FACE, EVENT = (
    "sensor.hall_pi_camera_expression",
    "binary_sensor.hall_pi_camera_face",
    "event.hall_pi_camera_event",
)
SCENE_S = 60
"""So long may anything in the demo scene (40 s) take."""


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
        seen: list[str | None] = []

        def told(*wanted: str) -> bool:
            seen.append(house.state(EXPRESSION))
            return set(wanted) <= set(seen)

        wait_for(lambda: told("neutral", "happiness", "sadness", "unknown"), SCENE_S, str(seen))
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


def test_a_renamed_node_keeps_its_entities(house, broker, tmp_path):
    names = []
    for node in ("hall-pi", "attic-pi", "hall-pi"):
        with run_ferd(house, broker, tmp_path, node) as daemon:
            wait_until_back(house)
            wait_for(lambda node=node: house.render(f"{{{{ device_attr('{EXPRESSION}', 'name') }}}}") == node, 10)
            names.append(set(house.ours()))
            assert daemon.stop() == 0
        wait_for(lambda: set(house.ours().values()) == {"unavailable"}, 10, str(house.ours()))
    assert names[0] == names[1] == names[2]
    assert house.problems("mqtt", "ferd") == []
