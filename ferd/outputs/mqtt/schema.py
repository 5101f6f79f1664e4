"""Make the JSON Schema of all topics from their types (`ferd mqtt schema`), and docs/mqtt.md from the schema."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ferd.payloads import Json, Part, adapter
from ferd.topics import PUBLISHED, TAKEN, Topic, encode

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/{model}"
_LATE = {
    "const": True,
    "description": "Present if the event waited for the broker: what it reports may be over.",
}


def schema() -> Json:
    """Return one document: in "topics" each topic with its payload's schema, in "$defs" the shared definitions."""
    kinds: list[tuple[Hashable, JsonSchemaMode, TypeAdapter[Any]]] = [
        (topic.pattern, "serialization", adapter(topic.payload)) for topic in (*PUBLISHED, *TAKEN)
    ]
    made, definitions = TypeAdapter.json_schemas(kinds, ref_template=_DEFINITIONS)
    payloads = {pattern: payload for (pattern, _), payload in made.items()}
    topics = {topic.pattern: _describe(topic, payloads[topic.pattern]) for topic in (*PUBLISHED, *TAKEN)}
    for topic in PUBLISHED:
        if topic.late:
            _allow_late(payloads[topic.pattern], definitions["$defs"])
    return {
        "$schema": DIALECT,
        "title": "ferd's MQTT topics",
        "topics": topics,
        "$defs": {name: _tidy(part) for name, part in sorted(definitions["$defs"].items())},
    }


def _describe(topic: Topic[Any], payload: Json) -> Json:
    return {
        "description": topic.meaning,
        "direction": "taken" if topic.taken else "published",
        "retained": topic.retain,
        "qos": topic.qos,
        "expires_s": topic.expires_s,
        "encoding": _encoding(topic.examples[0]),
        "payload": _tidy(payload),
        "examples": [encode(it).decode() for it in topic.examples if not isinstance(it, bytes)],
    }


def _encoding(example: object) -> str:
    if isinstance(example, bytes):
        return "binary"
    return "json" if isinstance(example, Part | dict) else "text"


def _allow_late(payload: Json, definitions: Json) -> None:
    for choice in payload.get("anyOf", [payload]):
        name = choice["$ref"].rpartition("/")[2]
        definitions[name]["properties"]["late"] = _LATE


def _tidy(part: Any) -> Any:
    """Remove the titles that only repeat the keys, and make the version required."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidy(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    if isinstance(part.get("properties"), dict) and "v" in part["properties"]:
        tidy["properties"]["v"].pop("default", None)
        tidy["required"] = ["v", *part.get("required", [])]
    return tidy


HEAD = """\
# MQTT topics of ferd

<!-- Made by `ferd mqtt schema --markdown` from ferd/topics.py and ferd/payloads.py: change those, not this page. -->

`ferd mqtt schema` prints all of this as JSON Schema. `{node}` and `{camera}` are the names in the configuration (a-z,
0-9 and hyphen, 32 characters at most), `{prefix}` is `mqtt.discovery_prefix`, `{identity}` is `ferd_` and six hex
digits that do not change when the node is renamed (`ferd check` prints it).

    mosquitto_sub -v -t 'ferd/#'

## Guarantees

- Every topic except events, pictures and responses is retained: a new subscriber gets the current values at once.
- An unchanged face publishes nothing: `state` contains no value that changes by itself, such as an age or a counter of
  frames.
- Without a face the expression is `null`, not "neutral". When a camera is `offline`, its last state is no longer valid.
- Times are UTC, in the form 2026-11-22T11:37:33.120Z.
- Keys may be added. The meaning of a key changes only with a new `v`.
- An empty payload on a retained topic means that the topic was removed (for example with its camera).
"""

COMMANDS = """\
## Commands

A payload is the plain value (`ON`, `70`), or a JSON object with the value under its name and optionally a
`transaction` (text or a number) that is returned in the response:

    mosquitto_pub -t ferd/hall-pi/desk/enabled/set -m OFF
    mosquitto_pub -t ferd/hall-pi/request/snooze -m '{"seconds":600,"transaction":"a1"}'
    mosquitto_sub -t 'ferd/hall-pi/response/#'

A switch accepts `ON` and `OFF`, `true` and `false`, `1` and `0` in upper or lower case; in JSON its value is called
`value`. A wrong command is answered with the accepted values, on `ferd/{node}/response/{verb}`; with MQTT 5 also on the
response topic of the request, if that is below `ferd/{node}/response/`, with its correlation data. **A retained command
is ignored**: it would be executed again at every start.
"""

HOME_ASSISTANT = """\
## Home Assistant

With `mqtt.discovery` ferd announces its entities in one retained document (Home Assistant 2024.11 and newer), or with
`discovery = "components"` in one document per entity. They are published again 3 to 8 s after Home Assistant announces
its start. Entities of a camera, alert rule or feature that was removed are removed from Home Assistant too, if it is
running at that moment; otherwise it lists the entity as "no longer provided", with a button to delete it.

`ferd mqtt purge` removes everything that the broker retains of a node, for a node that is taken out of service;
`ferd mqtt purge --node OLD-NAME` removes what is left of an old name after a rename. When a node is renamed, its
entities keep their identity, their history and their settings in Home Assistant.
"""


_WORDS = {
    "string": "text",
    "date-time": "time",
    "integer": "whole number",
    "boolean": "`true` \\| `false`",
    "null": "`null`",
}


def markdown() -> str:
    """Return docs/mqtt.md (`ferd mqtt schema --markdown`)."""
    whole = schema()
    published = {name: it for name, it in whole["topics"].items() if it["direction"] == "published"}
    taken = {name: it for name, it in whole["topics"].items() if it["direction"] == "taken"}
    parts = [
        HEAD,
        "## Published topics\n",
        *_topics(published),
        "\n## Topics that ferd subscribes to\n",
        *_topics(taken),
        "",
        COMMANDS,
        HOME_ASSISTANT,
        "## Payloads\n",
        *_payloads(whole),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _topics(topics: Json) -> Iterator[str]:
    yield "| topic | payload | retained | QoS | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for name, topic in topics.items():
        expires = f" Expires after {topic['expires_s']} s (MQTT 5)." if topic["expires_s"] else ""
        retained = "yes" if topic["retained"] else "no" if topic["direction"] == "published" else "never"
        payload = _link(topic["payload"])
        yield f"| `{name}` | {payload} | {retained} | {topic['qos']} | {topic['description']}{expires} |"


def _payloads(whole: Json) -> Iterator[str]:
    for name in _in_order(whole):
        definition = whole["$defs"][name]
        places = {topic: it for topic, it in whole["topics"].items() if name in _names(it["payload"])}
        yield f"### {name}\n"
        yield f"{definition['description']}\n"
        if places:
            yield f"On {', '.join(f'`{place}`' for place in places)}.\n"
        yield "| key | value | meaning |"
        yield "| --- | --- | --- |"
        for key, value in definition["properties"].items():
            optional = "" if key in definition.get("required", ()) else " (may be missing)"
            meaning = " ".join(value["description"].split())
            yield f"| `{key}` | {_value(value)}{optional} | {meaning} |"
        yield ""
        keys = definition["properties"].keys() - {"late"}
        examples = [example for it in places.values() for example in it["examples"]]
        for example in dict.fromkeys(example for example in examples if json.loads(example).keys() == keys):
            yield f"    {example}\n"


def _in_order(whole: Json) -> list[str]:
    """Return the definitions in the order of the topics, then those that only other definitions use."""
    named = [name for topic in whole["topics"].values() for name in _names(topic["payload"])]
    return list(dict.fromkeys([*named, *whole["$defs"]]))


def _names(payload: Json) -> list[str]:
    """Return the definitions that a payload's schema refers to."""
    return [it["$ref"].rpartition("/")[2] for it in payload.get("anyOf", [payload]) if "$ref" in it]


def _link(payload: Json) -> str:
    names = _names(payload)
    return " or ".join(f"[{name}](#{name.lower()})" for name in names) or _value(payload)


def _value(value: Json) -> str:
    """Return the allowed values in words."""
    if "anyOf" in value:
        choices = [_value(choice) for choice in value["anyOf"]]
        return " or ".join(choice for choice in choices if not ("number" in choices and choice == "whole number"))
    if "$ref" in value:
        return _link(value)
    if value.get("contentMediaType") == "image/jpeg":
        return "JPEG"
    if choices := value.get("enum") or [value[key] for key in ("const",) if key in value]:
        return " \\| ".join(f"`{choice if isinstance(choice, str) else json.dumps(choice)}`" for choice in choices)
    inner = value.get("items") or value.get("additionalProperties")
    if isinstance(inner, dict):
        return f"{'list' if value['type'] == 'array' else 'object'} of {_value(inner)}"
    kind: str = "date-time" if value.get("format") == "date-time" else value["type"]
    return _WORDS.get(kind, kind) + _range(value)


def _range(value: Json) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    if low is None:
        return ""
    return f" from {low:g}" if high is None else f" {low:g} to {high:g}"
