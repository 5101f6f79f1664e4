"""What is published, and the kind of place it is published at."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ferd.payloads import Part, to_bytes

P = TypeVar("P")

_NAMES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. ``expires_s``: a broker that speaks MQTT 5 forgets it after so many seconds.

    ``urgent``: an alert. No limit holds it back, and it waits for the broker until it is told.
    ``correlation``: goes back to the one who asked, with MQTT 5.
    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    expires_s: int | None = None
    urgent: bool = False
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Topic(Generic[P]):
    """One kind of topic: ``pattern`` with {names}, the type of its ``payload``, and ``examples`` of it.

    ``taken``: others publish there, ferd listens. ``late``: the payload may carry "late":true, see ``mark_late``.
    """

    pattern: str
    meaning: str
    payload: Any
    examples: tuple[P, ...]
    retain: bool = False
    qos: int = 1
    taken: bool = False
    expires_s: int | None = None
    urgent: bool = False
    late: bool = False

    def at(self, **names: str) -> str:
        """The topic with its names filled in."""
        return self.pattern.format(**names)

    def message(self, payload: P, **names: str) -> Message:
        return Message(self.at(**names), encode(payload), self.retain, self.qos, self.expires_s, self.urgent)

    def clear(self, **names: str) -> Message:
        """What removes the retained value from the broker: an empty payload (MQTT 5, section 3.3.1.3)."""
        return Message(self.at(**names), b"", self.retain, self.qos, None, self.urgent)

    def names_in(self, topic: str) -> dict[str, str] | None:
        """The names that ``topic`` fills in; None when it is another kind of topic."""
        levels, ours = topic.split("/"), self.pattern.split("/")
        if len(levels) != len(ours):
            return None
        names: dict[str, str] = {}
        for level, our in zip(levels, ours, strict=True):
            name = _NAMES.fullmatch(our)
            if name:
                names[name[1]] = level
            elif level != our:
                return None
        return names

    def listened(self, **names: str) -> str:
        """The topic filter of an MQTT subscription: a name that is not given matches all."""
        return _NAMES.sub(lambda found: names.get(found[1], "+"), self.pattern)


def encode(payload: object) -> bytes:
    """Text and numbers as they stand, everything else as JSON; None is an empty payload."""
    if isinstance(payload, Part):
        return payload.to_json()
    if isinstance(payload, dict):
        return to_bytes(payload)
    if isinstance(payload, float | int):
        return f"{payload:g}".encode()
    return str("" if payload is None else payload).encode()


def mark_late(message: Message) -> Message:
    """The same event with ``"late":true``: it waited for the broker."""
    return replace(message, payload=to_bytes(json.loads(message.payload) | {"late": True}))
