"""docs/mqtt.md, made from the schema (`ferd mqtt schema --markdown`)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ferd.outputs.mqtt.schema import schema
from ferd.outputs.mqtt.topics import Json

HEAD = """\
# What ferd says and hears over MQTT

<!-- Made by `ferd mqtt schema --markdown` from the types in ferd/outputs/mqtt/: change those, not this page. -->

`ferd mqtt schema` prints all of this as JSON Schema. `{node}` and `{camera}` are the names in the configuration (a-z,
0-9 and hyphen, 32 at most), `{prefix}` is `mqtt.discovery_prefix`, `{identity}` is `ferd_` and six hex digits that stay
when the node is renamed (`ferd check` prints it).

    mosquitto_sub -v -t 'ferd/#'

## What you can rely on

- Every topic but events and responses is retained: whoever subscribes knows at once how things are.
- An unchanged face says nothing: what moves by itself, an age or a count of frames, does not stand in `state`.
- No face is `null`, not "neutral". A camera that is gone is `offline`: what it saw last holds no more.
- Times are UTC, in the form 2026-11-22T11:37:33.120Z.
- Keys may be added. A key that is there keeps its meaning, or `v` counts up.
- An empty payload on a retained topic means that the topic is no more (a camera was removed).
"""

COMMANDS = """\
## How commands are read

A payload is the plain value (`ON`, `70`), or a JSON object with the value under its name and, if wanted, a
`transaction`, text or a number, that stands in the response again:

    mosquitto_pub -t ferd/hall-pi/desk/enabled/set -m OFF
    mosquitto_pub -t ferd/hall-pi/request/snooze -m '{"seconds":600,"transaction":"a1"}'
    mosquitto_sub -t 'ferd/hall-pi/response/#'

A switch knows `ON` and `OFF`, `true` and `false`, `1` and `0` in any case; its value is called `value` in JSON. What
is wrong is answered with what would be right, on `ferd/{node}/response/{verb}`; with MQTT 5 also on the response topic
of the request, with its correlation data. **A retained command is ignored**: it would be obeyed again at every start.
"""

HOME_ASSISTANT = """\
## Home Assistant

With `mqtt.discovery` ferd announces its entities in one retained document (Home Assistant 2024.11 and newer), or with
`discovery = "components"` in one for each entity. They are sent again 3 to 8 s after Home Assistant says that it has
started. What is no more (a camera, an alert rule, a feature) is removed there. Home Assistant must be running to hear
that; otherwise it lists the entity as "no longer provided", with a button to delete it.

`ferd mqtt purge` removes everything of a node that is retained at the broker, for one that is taken out of service;
`ferd mqtt purge --node OLD-NAME` what is left of an old name after a rename. Entities keep their identity, their
history and what was set for them in Home Assistant when the node is renamed.
"""


_WORDS = {
    "string": "text",
    "date-time": "time",
    "integer": "whole number",
    "boolean": "`true` \\| `false`",
    "null": "`null`",
}


def page() -> str:
    """The whole page."""
    whole = schema()
    published = {name: it for name, it in whole["topics"].items() if it["direction"] == "published"}
    taken = {name: it for name, it in whole["topics"].items() if it["direction"] == "taken"}
    parts = [
        HEAD,
        "## What ferd publishes\n",
        *_topics(published),
        "\n## What ferd listens to\n",
        *_topics(taken),
        "",
        COMMANDS,
        HOME_ASSISTANT,
        "## Payloads\n",
        *_payloads(whole),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _topics(topics: Json) -> Iterator[str]:
    yield "| topic | payload | retained | QoS | what it says |"
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
            yield f"| `{key}` | {_value(value)}{optional} | {value['description']} |"
        yield ""
        keys = definition["properties"].keys() - {"late"}
        examples = [example for it in places.values() for example in it["examples"]]
        for example in dict.fromkeys(example for example in examples if json.loads(example).keys() == keys):
            yield f"    {example}\n"


def _in_order(whole: Json) -> list[str]:
    """The definitions as the topics name them, then those that stand in others only."""
    named = [name for topic in whole["topics"].values() for name in _names(topic["payload"])]
    return list(dict.fromkeys([*named, *whole["$defs"]]))


def _names(payload: Json) -> list[str]:
    """The definitions that a payload's schema refers to."""
    return [it["$ref"].rpartition("/")[2] for it in payload.get("anyOf", [payload]) if "$ref" in it]


def _link(payload: Json) -> str:
    names = _names(payload)
    return " or ".join(f"[{name}](#{name.lower()})" for name in names) or _value(payload)


def _value(value: Json) -> str:
    """What may stand there, in words."""
    if "anyOf" in value:
        choices = [_value(choice) for choice in value["anyOf"]]
        return " or ".join(choice for choice in choices if not ("number" in choices and choice == "whole number"))
    if "$ref" in value:
        return _link(value)
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
