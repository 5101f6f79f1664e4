"""Commands that come over MQTT: what a payload means, and the response. Pure.

A payload is empty, the plain value, or a JSON object with the value under its name and, if wanted, a `transaction`
that stands in the response. Whatever arrives is either a Command, or a Refusal that says what is wrong, or None: not
for us. Nothing that arrives raises.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.topics import Json, Message, Response

LONGEST = 4096
"""Bytes of a payload; no command needs more than a hundred."""
LONGEST_TRANSACTION = 200
LONGEST_REPLY_TOPIC = 256
SNOOZE_S = 300.0
LONGEST_SNOOZE_S = 3600.0
LEVELS = ("debug", "info", "warning", "error")

Value = bool | float | str | None
Transaction = str | int | float | None

_WORD = re.compile(r"[a-z0-9_-]{1,32}")
_ON, _OFF = ("on", "true", "1"), ("off", "false", "0")
_PRESSED = "PRESS"
"""What a button of Home Assistant sends unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as it came. ``reply_to``, ``correlation``: the response topic and correlation data of MQTT 5."""

    topic: str
    payload: bytes
    retained: bool = False
    reply_to: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReplyInfo:
    """What the response must carry so that whoever asked knows it."""

    transaction: Transaction = None
    reply_to: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """``verb``: a switch (then with its ``camera``) or a request."""

    verb: str
    camera: str | None
    value: Value
    asked: ReplyInfo


@dataclass(frozen=True, slots=True)
class Refusal:
    """``error`` says what is wrong and what would be right."""

    verb: str
    camera: str | None
    error: str
    asked: ReplyInfo


class _WrongError(ValueError):
    """Its text is the response's error."""


def on_or_off(value: object) -> bool:
    word = str(value).strip().lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise _WrongError("send ON or OFF")


def number(low: float, high: float, remedy: str) -> Callable[[object], float]:
    """Reads a number from ``low`` to ``high``, also written as text."""

    def read(value: object) -> float:
        try:
            result = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise _WrongError(remedy) from None
        if not low <= result <= high:  # also when it is no number
            raise _WrongError(remedy)
        return result

    return read


def level(value: object) -> str:
    word = str(value).strip().lower()
    if word not in LEVELS:
        raise _WrongError(f"send one of {', '.join(LEVELS)}")
    return word


@dataclass(frozen=True, slots=True)
class Form:
    """What a verb takes. ``key``: the value's name in JSON, None without one. ``default``: None if it must be said."""

    key: str | None = None
    read: Callable[[object], Value] | None = None
    default: Value = None


SWITCHES: Mapping[str, Form] = {
    "enabled": Form("value", on_or_off),
    "buzzer": Form("value", on_or_off),
    "sensitivity": Form("value", number(0, 100, "send a number from 0 to 100")),
}
REQUESTS: Mapping[str, Form] = {
    "restart": Form(),
    "republish": Form(),
    "reload": Form(),
    "snooze": Form(
        "seconds",
        number(0, LONGEST_SNOOZE_S, f"send the seconds, 0 to {LONGEST_SNOOZE_S:.0f}, or nothing for {SNOOZE_S:.0f}"),
        SNOOZE_S,
    ),
    "log_level": Form("level", level),
}


def filters(node: str) -> tuple[str, ...]:
    """What a node subscribes to for its commands: also what it does not know, so that it can say so."""
    return f"ferd/{node}/request/+", f"ferd/{node}/+/+/set"


def parse(node: str, cameras: Sequence[str], heard: IncomingMessage) -> Command | Refusal | None:
    """What a message asks for. None: retained (it may be years old), or no topic of ours."""
    place = _place(node, heard.topic)
    if heard.retained or place is None:
        return None
    verb, camera = place
    forms = REQUESTS if camera is None else SWITCHES
    asked = ReplyInfo(None, _usable(node, heard.reply_to), heard.correlation)
    try:
        given = _given(heard.payload)
        asked = ReplyInfo(_transaction(given), asked.reply_to, asked.correlation)
        _check_camera(camera, cameras)
        return Command(verb, camera, _value(_form(verb, forms), given), asked)
    except _WrongError as error:
        return Refusal(verb, camera, str(error), asked)


def respond(
    node: str, verb: str, asked: ReplyInfo, *, error: str | None = None, data: Json | None = None
) -> list[Message]:
    """The response to a command: on the topic of its verb, and on the one that the sender named, if any."""
    response = Response("error" if error else "ok", error, data or {}, asked.transaction)
    message = topics.RESPONSE.message(response, node=node, verb=verb)
    if asked.reply_to is None:
        return [message]
    reply = replace(message, topic=asked.reply_to, correlation=asked.correlation)
    return [reply] if reply.topic == message.topic else [message, reply]


def _place(node: str, topic: str) -> tuple[str, str | None] | None:
    """Verb and camera (None for a request) of a command topic of this node."""
    levels = topic.split("/")
    if levels[:2] != ["ferd", node]:
        return None
    match levels[2:]:
        case ["request", verb] if _WORD.fullmatch(verb):
            return verb, None
        case [camera, switch, "set"] if _WORD.fullmatch(camera) and _WORD.fullmatch(switch):
            return switch, camera
    return None


def _form(verb: str, forms: Mapping[str, Form]) -> Form:
    if verb not in forms:
        raise _WrongError(f"there is no {verb} here; known: {', '.join(forms)}")
    return forms[verb]


def _check_camera(camera: str | None, cameras: Sequence[str]) -> None:
    if camera is not None and camera not in cameras:
        raise _WrongError(f"there is no camera {camera}; known: {', '.join(cameras)}")


def _given(payload: bytes) -> str | dict[str, Any]:
    """The payload as text, or as an object where it is one."""
    if len(payload) > LONGEST:
        raise _WrongError(f"the payload is too long: at most {LONGEST} bytes are read")
    try:
        text = payload.decode().strip()
        if not text.startswith("{"):
            return text
        given = json.loads(text)
    except UnicodeDecodeError:
        raise _WrongError("the payload is not UTF-8 text") from None
    except (ValueError, RecursionError):  # json: also "Exceeds the limit for integer string conversion"
        raise _WrongError("the payload begins like a JSON object, but is none") from None
    assert isinstance(given, dict)
    return given


def _transaction(given: str | dict[str, Any]) -> Transaction:
    transaction = given.get("transaction") if isinstance(given, dict) else None
    if transaction is None:
        return None
    if isinstance(transaction, bool) or not isinstance(transaction, str | int | float):
        raise _WrongError("transaction must be text or a number")
    if isinstance(transaction, float) and not math.isfinite(transaction):
        raise _WrongError("transaction must be text or a number")
    if len(str(transaction)) > LONGEST_TRANSACTION or not _is_utf8(str(transaction)):
        raise _WrongError(f"transaction must be text of at most {LONGEST_TRANSACTION} characters")
    return transaction


def _value(form: Form, given: str | dict[str, Any]) -> Value:
    if isinstance(given, dict):
        known = {"transaction", form.key} - {None}
        if unknown := sorted(repr(key) for key in given if key not in known):
            raise _WrongError(f"unknown key {unknown[0][:80]}; known: {', '.join(sorted(map(str, known)))}")
        value = given.get(form.key, "") if form.key else ""
    else:
        value = given
    if value == "" or (value == _PRESSED and (form.read is None or form.default is not None)):
        if form.read is not None and form.default is None:
            form.read("")  # says what to send
        return form.default
    if form.read is None:
        raise _WrongError("this takes no value: send an empty payload")
    return form.read(value)


def _usable(node: str, topic: str | None) -> str | None:
    """A response topic to which we may write: no wildcard, and none that means something else here."""
    if not topic or len(topic.encode(errors="replace")) > LONGEST_REPLY_TOPIC or not _is_utf8(topic):
        return None
    if any(sign in topic for sign in "+#\0") or topic.startswith("$"):
        return None
    ours = topic.startswith(("ferd/", "homeassistant/")) and not topic.startswith(f"ferd/{node}/response/")
    return None if ours else topic


def _is_utf8(text: str) -> bool:
    """False with half of a surrogate pair, as JSON's escapes can make it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
