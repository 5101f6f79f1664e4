"""Judges messages by the schema that `ferd mqtt schema` prints, more strictly than a reader of them should."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from ferd.outputs.mqtt.schema import schema
from ferd.topics import PUBLISHED, TAKEN, Topic


def topic_of(topic: str) -> Topic[Any] | None:
    """Which kind it is: that with most levels in words, so a request before the state of a camera."""
    found = [kind for kind in (*PUBLISHED, *TAKEN) if kind.names_in(topic) is not None]
    return min(found, key=lambda kind: kind.pattern.count("{"), default=None)


def faults(topic: str, payload: str, *, retained: bool | None = None) -> list[str]:
    """What is wrong with a message; nothing when it is as the schema says. ``retained``: None where nobody knows."""
    kind = topic_of(topic)
    if kind is None:
        return [f"{topic} is in no list"]
    if retained and not kind.retain:
        return [f"{topic} must not be retained"]
    if payload == "" and kind.retain:
        return []  # cleared
    encoding, judge = _judge(kind.pattern)
    if encoding == "binary":
        return [] if payload else [f"{topic} is empty"]
    try:
        value = json.loads(payload) if encoding == "json" else _plain(payload)
    except ValueError as error:
        return [f"{topic} {payload!r}: {error}"]
    return [f"{topic} {payload}: {error.json_path} {error.message}" for error in judge.iter_errors(value)]


@cache
def _judge(pattern: str) -> tuple[str, Any]:
    whole = schema()
    topic = whole["topics"][pattern]
    strict = {name: part | {"additionalProperties": False} for name, part in whole["$defs"].items()}
    return topic["encoding"], Draft202012Validator(topic["payload"] | {"$defs": strict})


def _plain(payload: str) -> str | float:
    try:
        return float(payload)
    except ValueError:
        return payload
