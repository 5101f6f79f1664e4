"""The recipes without the tools that they are for: they parse, their templates render, and they name what exists."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from puppet import DEVICE, LABELS
from recipe_files import (
    AUTOMATIONS,
    BLUEPRINT,
    CARD,
    FLOW,
    GESTURE_BLUEPRINT,
    HOME_ASSISTANT,
    ROOT,
    TEMPLATE,
    flow_nodes,
)

from ferd import topics
from ferd.outputs.home_assistant.entities import entities
from ferd.policy.gesture_rules import GESTURES
from ferd.topics import Topic

ENTITY_ID = re.compile(r"\b(?:sensor|binary_sensor|event|image|switch|number|button)\.hall_pi_\w+")
OURS = {it["default_entity_id"]: it for it in entities(DEVICE).values() if it["platform"] != "device_automation"}
PAGES = [ROOT / "docs" / "home-assistant.md", ROOT / "docs" / "node-red.md"]


class Loader(yaml.SafeLoader):
    """Reads Home Assistant's own tag as well."""


Loader.add_constructor("!input", lambda loader, node: f"input:{loader.construct_scalar(node)}")


def load(text: str) -> Any:
    return yaml.load(text, Loader)


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def automation(name: str) -> Any:
    return next(entry for entry in load(AUTOMATIONS.read_text()) if entry["id"] == name)


@pytest.mark.parametrize(
    "path", [*PAGES, *HOME_ASSISTANT.rglob("*.yaml"), ROOT / "README.md"], ids=lambda path: path.name
)
def test_every_entity_that_a_recipe_names_is_announced(path):
    named = set(ENTITY_ID.findall(path.read_text()))
    assert named <= OURS.keys() | {"switch.hall_pi_desk_camera"}


def test_all_entities_that_a_user_sees_are_described():
    shown = {name for name, entity in OURS.items() if entity.get("enabled_by_default", True)}
    assert shown <= set(ENTITY_ID.findall(PAGES[0].read_text()))


def test_the_page_shows_what_the_files_say():
    """Copied from the page or from the file: it is the same."""
    shown = [load(block) for block in blocks(PAGES[0].read_text(), "yaml")]
    entries = [entry for block in shown if isinstance(block, list) for entry in block]
    assert entries == load(AUTOMATIONS.read_text()) + load(TEMPLATE.read_text())
    assert load(CARD.read_text()) in shown


def test_a_file_that_the_page_links_to_is_there():
    for page in PAGES:
        for link in re.findall(r"\]\((\.\./[^)#]+)\)", page.read_text()):
            assert (page.parent / link).resolve().exists(), link


def test_the_lamp_has_a_colour_for_every_expression():
    action = automation("ferd_mood_lamp")["actions"][0]["else"]
    colours = action[0]["variables"]["colours"]
    assert colours.keys() == set(LABELS)
    assert all(len(colour) == 3 and all(0 <= part <= 255 for part in colour) for colour in colours.values())


def test_states_that_recipes_wait_for_can_be_told():
    for waits in (waits for entry in load(AUTOMATIONS.read_text()) for waits in entry["triggers"] if "to" in waits):
        wanted = waits["to"] if isinstance(waits["to"], list) else [waits["to"]]
        assert set(wanted) <= set(OURS[waits["entity_id"]].get("options", ("on", "off")))
    options = load(BLUEPRINT.read_text())["blueprint"]["input"]["expression"]["selector"]["select"]["options"]
    assert options == list(LABELS)


def test_the_gesture_blueprint_offers_every_gesture():
    options = load(GESTURE_BLUEPRINT.read_text())["blueprint"]["input"]["gesture"]["selector"]["select"]["options"]
    assert [option["value"] for option in options] == list(GESTURES)


@pytest.mark.parametrize("path", [BLUEPRINT, GESTURE_BLUEPRINT], ids=lambda path: path.name)
def test_a_blueprint_uses_every_input_and_no_other(path):
    text = path.read_text()
    assert set(re.findall(r"!input (\w+)", text)) == set(load(text)["blueprint"]["input"])


class Moment:
    def strftime(self, form: str) -> str:
        return "12:34"


def render(template: str, **names: object) -> str:
    helpers = {"states": lambda name: "warning", "now": Moment, "has_value": lambda name: True}
    return SandboxedEnvironment(undefined=StrictUndefined).from_string(template).render(helpers | names).strip()


def trigger(state: str, **attributes: object) -> dict[str, Any]:
    return {"to_state": {"state": state, "attributes": attributes}}


def test_the_lamps_template_renders():
    variables, turn_on = automation("ferd_mood_lamp")["actions"][0]["else"]
    template = turn_on["data"]["rgb_color"]
    assert render(template, trigger=trigger("sadness"), **variables["variables"]) == "[58, 107, 255]"
    assert render(template, trigger=trigger("wink"), **variables["variables"]) == "[255, 241, 224]"


@pytest.mark.parametrize("label", LABELS)
def test_the_template_sensor_has_a_word_and_an_icon_for_every_expression(label):
    (sensor,) = load(TEMPLATE.read_text())[0]["sensor"]
    word = render(sensor["state"], states=lambda name: label)
    assert word != label or label == "neutral"
    assert render(sensor["state"], states=lambda name: "wink") == "wink", "labels of one's own model stay"
    icon = render(sensor["icon"], states=lambda name: label)
    assert re.fullmatch(r"mdi:emoticon-[a-z]+-outline", icon)
    assert ("neutral" in icon) is (label == "neutral")


@pytest.mark.parametrize(
    ("event", "smile"),
    [
        ({"event_type": "expression_changed", "to": "happiness", "confidence": 0.83}, True),
        ({"event_type": "expression_changed", "to": "happiness", "confidence": 0.83, "late": True}, False),
        ({"event_type": "expression_changed", "to": None, "confidence": None}, False),
        ({"event_type": "alert_began", "name": "fatigue"}, False),
    ],
)
def test_only_a_fresh_smile_is_a_smile(event, smile):
    condition = automation("ferd_someone_smiled")["conditions"][0]["value_template"]
    assert render(condition, trigger=trigger("2026-11-22", **event)) == str(smile)


def test_messages_render():
    smiled = automation("ferd_someone_smiled")["actions"][0]["data"]["message"]
    assert render(smiled, trigger=trigger("", confidence=0.83)) == "12:34, 83 % sure"
    tired = automation("ferd_driver_alert")["actions"][1]["data"]["message"]
    assert render(tired, trigger=trigger("warning")) == "12:34, the driver looks tired: warning"
    assert "warning" in render(load(CARD.read_text())["cards"][0]["content"])


def test_the_flow_listens_to_topics_that_exist_and_sends_what_ferd_takes():
    nodes = flow_nodes()
    known = [topic for topic in vars(topics).values() if isinstance(topic, Topic)]
    listened = {node["topic"] for node in nodes if node["type"] == "mqtt in"}
    assert listened == {topic.filter() for topic in (topics.STATE, topics.EVENT, topics.ALERT)}
    for node in (node for node in nodes if node["type"] == "mqtt out" and node["topic"].startswith("ferd/")):
        assert [topic for topic in known if topic.taken and topic.names_in(node["topic"])], node["topic"]
    assert all(node["retain"] == "false" for node in nodes if node["type"] == "mqtt out")


def test_the_flow_is_whole():
    """Every wire ends at a node, every node belongs to the one tab and the one broker, and none needs a package."""
    nodes = {node["id"]: node for node in flow_nodes()}
    assert len(nodes) == len(json.loads(FLOW.read_text()))
    for node in nodes.values():
        assert {end for wires in node.get("wires", []) for end in wires} <= nodes.keys()
        if node["type"].startswith("mqtt "):
            assert nodes[node["broker"]]["type"] == "mqtt-broker"
    kinds = {node["type"] for node in nodes.values()} - {"tab", "mqtt-broker", "comment"}
    assert kinds <= {"mqtt in", "mqtt out", "switch", "change", "rbe", "delay", "debug", "inject"}


def test_topics_of_the_shell_recipes_exist():
    text = PAGES[1].read_text()
    known = [topic for topic in vars(topics).values() if isinstance(topic, Topic)]
    for named in set(re.findall(r"\bferd/[\w+-]+/[\w+/-]+", text)):
        assert any(topic.names_in(named) for topic in known), named
