from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemas import faults, topic_of

from ferd.cli.main import main
from ferd.outputs.mqtt.schema import markdown, schema
from ferd.payloads import EVENT_TYPES, AlertEvent, Event, GestureEvent, Part, Payload
from ferd.topics import ALERT, EVENT, IMAGE, PUBLISHED, STATE, TAKEN, Message, Topic, encode, mark_late

PAGE = Path(__file__).parents[4] / "docs" / "mqtt.md"
NAMES = {"node": "hall", "camera": "desk", "verb": "reload", "prefix": "homeassistant", "identity": "ferd_abcdef"}
NAMES |= {"platform": "sensor", "key": "desk_expression"}


def ids(value: Any) -> str:
    return value.pattern if isinstance(value, Topic) else str(value)


def test_the_page_in_docs_is_current():
    assert PAGE.read_text(encoding="utf-8") == markdown(), "ferd mqtt schema --markdown > docs/mqtt.md"


def test_the_schema_is_a_schema():
    whole = schema()
    for topic in whole["topics"].values():
        Draft202012Validator.check_schema(topic["payload"] | {"$defs": whole["$defs"]})
    assert whole["topics"].keys() == {topic.pattern for topic in (*PUBLISHED, *TAKEN)}


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]):
    assert main(["mqtt", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    assert main(["mqtt", "schema", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown()


@pytest.mark.parametrize("topic", [*PUBLISHED, *TAKEN], ids=ids)
def test_examples_match_the_schema(topic: Topic[Any]):
    for example in topic.examples:
        if topic.taken:
            published, where = encode(example), topic.at(**NAMES)
        else:
            message = topic.message(example, **NAMES)
            published, where = message.encoded(), message.topic
        assert topic_of(where) is topic
        assert faults(where, published.decode(errors="replace")) == []


def test_a_picture_is_binary_and_shows_no_example():
    topic = schema()["topics"][IMAGE.pattern]
    assert (topic["encoding"], topic["payload"]["contentMediaType"]) == ("binary", "image/jpeg")
    assert (topic["retained"], topic["qos"], topic["examples"]) == (False, 0, [])
    assert f"| `{IMAGE.pattern}` | JPEG | no | 0 |" in markdown()


def test_every_key_of_every_payload_has_a_description():
    for name, definition in schema()["$defs"].items():
        assert definition["description"], name
        for key, value in definition["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_every_payload_type_stands_in_a_topic():
    def below(kind: type[Part]) -> set[str]:
        return {kind.__name__}.union(*(below(child) for child in kind.__subclasses__()))

    assert below(Part) - {"Part", "Payload"} == schema()["$defs"].keys()
    assert {kind.__name__ for kind in Payload.__subclasses__()} < schema()["$defs"].keys()


def test_event_types_are_listed_once():
    kinds = [schema()["$defs"][kind.__name__]["properties"]["event_type"] for kind in (Event, AlertEvent, GestureEvent)]
    assert [name for kind in kinds for name in kind.get("enum", [kind.get("const")])] == list(EVENT_TYPES)


def test_only_events_may_be_late():
    for example in EVENT.examples:
        late = mark_late(EVENT.message(example, **NAMES))
        assert faults(late.topic, late.encoded().decode()) == []
    for topic in (STATE, ALERT):
        late = mark_late(topic.message(topic.examples[0], **NAMES))
        assert "late" in str(faults(late.topic, late.encoded().decode()))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ferd/hall/status", "asleep"),
        ("ferd/hall/desk/state", "{}"),
        ("ferd/hall/desk/state", "joy"),
        ("ferd/hall/desk/sensitivity/state", "101"),
        ("ferd/hall/desk/alert", '{"v":2}'),
        ("ferd/hall/desk/nothing", "1"),
    ],
)
def test_the_judge_sees_what_is_wrong(topic: str, payload: str):
    assert faults(topic, payload)


def test_the_judge_sees_what_must_not_be_retained():
    published = EVENT.message(EVENT.examples[0], **NAMES)
    assert faults(published.topic, published.encoded().decode(), retained=False) == []
    assert faults(published.topic, published.encoded().decode(), retained=True)


WORDS = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)


@given(st.sampled_from([*PUBLISHED, *TAKEN]), st.dictionaries(st.sampled_from(sorted(NAMES)), WORDS))
def test_names_go_into_a_topic_and_come_out_again(topic: Topic[Any], given_names: dict[str, str]):
    names = NAMES | given_names
    wanted = {name: names[name] for name in re.findall(r"\{(\w+)\}", topic.pattern)}
    assert topic.names_in(topic.at(**names)) == wanted
    assert topic.filter(**names) == topic.at(**names)
    assert re.sub(r"\{\w+\}", "+", topic.pattern) == topic.filter()


def test_clearing_is_an_empty_retained_payload():
    assert ALERT.clear(node="hall", camera="desk") == Message("ferd/hall/desk/alert", None, True, 1, urgent=True)
