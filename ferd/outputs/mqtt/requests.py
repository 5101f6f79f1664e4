"""Parse commands that arrive over MQTT, and build the responses.

A payload is empty, the plain value, or a JSON object with the value under its name and optionally a `transaction` that
is returned in the response. What arrives is a command, or a refusal that says what is wrong, or neither: not for us.
Nothing that arrives raises.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ferd.payloads import Json, Response, Transaction
from ferd.snapshot import Command
from ferd.switches import SWITCHES, WrongValueError, number
from ferd.topics import RESPONSE, Message

MAX_PAYLOAD = 4096
"""Bytes of a payload; no command needs more than a hundred."""
MAX_TRANSACTION = 200
MAX_REPLY_TOPIC = 256
SNOOZE_S = 300.0
MAX_SNOOZE_S = 3600.0
LEVELS = ("debug", "info", "warning", "error")
WARN_EVERY_S = 60.0
"""Minimum interval between two log lines about refused commands: rubbish must not fill the disk."""

Value = bool | float | str | None

_WORD = re.compile(r"[a-z0-9_-]{1,32}")
_PRESSED = "PRESS"
"""What a button of Home Assistant sends unless it is configured otherwise."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as it arrived. ``reply_to``, ``correlation``: response topic and correlation data of MQTT 5."""

    topic: str
    payload: bytes
    retained: bool = False
    reply_to: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReplyInfo:
    """What the response must carry so that the sender can match it to the request."""

    transaction: Transaction = None
    reply_to: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A valid command. ``verb``: a switch (then with its ``camera``) or a request."""

    verb: str
    camera: str | None
    value: Value
    reply_info: ReplyInfo


@dataclass(frozen=True, slots=True)
class Refusal:
    """An invalid command. ``error`` says what is wrong and what would be right."""

    verb: str
    camera: str | None
    error: str
    reply_info: ReplyInfo


class CommandReceiver:
    """Turn messages on command topics into commands. `handle` is called from the MQTT thread.

    ``submit`` takes a command; ``publish`` takes a response. Both are called from any thread and return at once. A
    refused command is answered here. ``cameras`` may be replaced at any time.
    """

    def __init__(
        self,
        node: str,
        cameras: Sequence[str],
        submit: Callable[[Command], None],
        publish: Callable[[Message], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cameras = tuple(cameras)
        self._node, self._submit, self._publish, self._clock = node, submit, publish, clock
        self._warned_at = float("-inf")

    def handle(self, incoming: IncomingMessage) -> None:
        parsed = parse(self._node, self.cameras, incoming)
        if parsed is None:
            log.debug("ignored topic=%s retained=%s", incoming.topic, incoming.retained)
        elif isinstance(parsed, Refusal):
            self._refuse(parsed)
        else:
            self._submit(Command(parsed.verb, parsed.camera, parsed.value, self._reply_to(parsed), source="mqtt"))

    def _reply_to(self, parsed: ParsedCommand) -> Callable[[str | None, Json], None]:
        """A switch without a transaction or reply topic is answered only on an error: its own topic shows the rest."""

        def reply(error: str | None, data: Json) -> None:
            if error is None and parsed.camera is not None and parsed.reply_info == ReplyInfo():
                return
            self._answer(parsed, error, data)

        return reply

    def _refuse(self, refusal: Refusal) -> None:
        now = self._clock()
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            camera = "" if refusal.camera is None else f" camera={refusal.camera}"
            log.warning("command refused verb=%s%s reason=%r", refusal.verb, camera, refusal.error)
        self._answer(refusal, refusal.error, {})

    def _answer(self, request: ParsedCommand | Refusal, error: str | None, data: Json) -> None:
        if error is not None and request.camera is not None:
            data = {"camera": request.camera} | data
        for message in respond(self._node, request.verb, request.reply_info, error=error, data=data):
            self._publish(message)


def level(value: object) -> str:
    word = str(value).strip().lower()
    if word not in LEVELS:
        raise WrongValueError(f"send one of {', '.join(LEVELS)}")
    return word


@dataclass(frozen=True, slots=True)
class Form:
    """Describe the value of a verb. ``key``: its name in JSON, None without one. ``default``: None if required."""

    key: str | None = None
    read: Callable[[object], Value] | None = None
    default: Value = None


_SWITCHES: Mapping[str, Form] = {name: Form("value", switch.read) for name, switch in SWITCHES.items()}
REQUESTS: Mapping[str, Form] = {
    "restart": Form(),
    "republish": Form(),
    "reload": Form(),
    "snooze": Form(
        "seconds",
        number(0, MAX_SNOOZE_S, f"send the seconds, 0 to {MAX_SNOOZE_S:.0f}, or nothing for {SNOOZE_S:.0f}"),
        SNOOZE_S,
    ),
    "log_level": Form("level", level),
}


def filters(node: str) -> tuple[str, ...]:
    """Return the subscriptions for commands. They include unknown verbs, so that those can be refused."""
    return f"ferd/{node}/request/+", f"ferd/{node}/+/+/set"


def command_topics(node: str, cameras: Sequence[str]) -> tuple[str, ...]:
    """Return the known command topics one by one, for a broker that allows no wildcards in subscriptions."""
    requests = [f"ferd/{node}/request/{verb}" for verb in REQUESTS]
    return (*requests, *(f"ferd/{node}/{camera}/{switch}/set" for camera in cameras for switch in SWITCHES))


def parse(node: str, cameras: Sequence[str], incoming: IncomingMessage) -> ParsedCommand | Refusal | None:
    """Return what a message asks for. None: it was retained (and may be years old), or is on no topic of ours."""
    place = _place(node, incoming.topic)
    if incoming.retained or place is None:
        return None
    verb, camera = place
    forms = REQUESTS if camera is None else _SWITCHES
    reply_info = ReplyInfo(None, _usable(node, incoming.reply_to), incoming.correlation)
    try:
        given = _given(incoming.payload)
        reply_info = replace(reply_info, transaction=_transaction(given))
        _check_camera(camera, cameras)
        return ParsedCommand(verb, camera, _value(_form(verb, forms), given), reply_info)
    except WrongValueError as error:
        return Refusal(verb, camera, str(error), reply_info)


def respond(
    node: str, verb: str, reply_info: ReplyInfo, *, error: str | None = None, data: Json | None = None
) -> list[Message]:
    """Return the response to a command: on the topic of its verb, and on the one that the sender named, if any."""
    response = Response("error" if error else "ok", error, data or {}, reply_info.transaction)
    message = RESPONSE.message(response, node=node, verb=verb)
    if reply_info.reply_to is None:
        return [message]
    reply = replace(message, topic=reply_info.reply_to, correlation=reply_info.correlation)
    return [reply] if reply.topic == message.topic else [message, reply]


def _place(node: str, topic: str) -> tuple[str, str | None] | None:
    """Return verb and camera (None for a request) of a command topic of this node."""
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
        raise WrongValueError(f"there is no {verb} here; known: {', '.join(forms)}")
    return forms[verb]


def _check_camera(camera: str | None, cameras: Sequence[str]) -> None:
    if camera is not None and camera not in cameras:
        raise WrongValueError(f"there is no camera {camera}; known: {', '.join(cameras)}")


def _given(payload: bytes) -> str | dict[str, Any]:
    """Return the payload as text, or as an object if it is one."""
    if len(payload) > MAX_PAYLOAD:
        raise WrongValueError(f"the payload is too long: at most {MAX_PAYLOAD} bytes are read")
    try:
        text = payload.decode().strip()
        if not text.startswith("{"):
            return text
        given = json.loads(text)
    except UnicodeDecodeError:
        raise WrongValueError("the payload is not UTF-8 text") from None
    except (ValueError, RecursionError):  # json: also "Exceeds the limit for integer string conversion"
        raise WrongValueError("the payload begins like a JSON object but is not valid JSON") from None
    assert isinstance(given, dict)
    return given


def _transaction(given: str | dict[str, Any]) -> Transaction:
    transaction = given.get("transaction") if isinstance(given, dict) else None
    if transaction is None:
        return None
    if isinstance(transaction, bool) or not isinstance(transaction, str | int | float):
        raise WrongValueError("transaction must be text or a number")
    if isinstance(transaction, float) and not math.isfinite(transaction):
        raise WrongValueError("transaction must be text or a number")
    if len(str(transaction)) > MAX_TRANSACTION or not _is_utf8(str(transaction)):
        raise WrongValueError(f"transaction must be text of at most {MAX_TRANSACTION} characters")
    return transaction


def _value(form: Form, given: str | dict[str, Any]) -> Value:
    if isinstance(given, dict):
        known = {"transaction", form.key} - {None}
        if unknown := sorted(repr(key) for key in given if key not in known):
            raise WrongValueError(f"unknown key {unknown[0][:80]}; known: {', '.join(sorted(map(str, known)))}")
        value = given.get(form.key, "") if form.key else ""
    else:
        value = given
    if value == "" or (value == _PRESSED and (form.read is None or form.default is not None)):
        if form.read is not None and form.default is None:
            form.read("")  # raises with what to send
        return form.default
    if form.read is None:
        raise WrongValueError("this takes no value: send an empty payload")
    return form.read(value)


def _usable(node: str, topic: str | None) -> str | None:
    """Return the response topic if it is below the node's own responses and has no wildcard.

    Anywhere else a sender could have ferd publish where only ferd's user may write.
    """
    if not topic or len(topic.encode(errors="replace")) > MAX_REPLY_TOPIC or not _is_utf8(topic):
        return None
    own = f"ferd/{node}/response/"
    return topic if topic.startswith(own) and topic != own and not any(sign in topic for sign in "+#\0") else None


def _is_utf8(text: str) -> bool:
    """False with half of a surrogate pair, as JSON's escapes can make it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
