from __future__ import annotations

import pytest
from brokers import mosquitto
from hass import home_assistant
from recipe_files import HOME_ASSISTANT

USES = """
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
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def house(tmp_path_factory, broker):
    """A Home Assistant with the MQTT integration, our automations and one that is made from our blueprint.

    The half minute after which the lamp goes out is half a second.
    """
    with home_assistant(tmp_path_factory.mktemp("house"), USES, like=HOME_ASSISTANT) as house:
        automations = house.folder / "automations.yaml"
        automations.write_text(automations.read_text().replace('"00:00:30"', '{"milliseconds": 500}'))
        house.start()
        house.add_broker(broker.port)
        yield house
