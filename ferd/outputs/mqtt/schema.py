"""The JSON Schema of all topics, made from their types (`ferd mqtt schema`)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ferd.outputs.mqtt.message import Topic, encode
from ferd.outputs.mqtt.topics import PUBLISHED, TAKEN, Json
from ferd.payloads import Part, adapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/{model}"
_LATE = {
    "const": True,
    "description": "Stands there when it waited for the broker: it tells of what may be over.",
}


def schema() -> Json:
    """One document: below "topics" each topic with its payload's schema, below "$defs" what they have in common."""
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
        "encoding": "json" if isinstance(topic.examples[0], Part | dict) else "text",
        "payload": _tidy(payload),
        "examples": [encode(example).decode() for example in topic.examples],
    }


def _allow_late(payload: Json, definitions: Json) -> None:
    for choice in payload.get("anyOf", [payload]):
        name = choice["$ref"].rpartition("/")[2]
        definitions[name]["properties"]["late"] = _LATE


def _tidy(part: Any) -> Any:
    """Without the titles that only repeat the keys, and with the version among what must be there."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidy(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    if isinstance(part.get("properties"), dict) and "v" in part["properties"]:
        tidy["properties"]["v"].pop("default", None)
        tidy["required"] = ["v", *part.get("required", [])]
    return tidy
