"""Every topic that ferd publishes to or listens to, and the messages on them.

This is the one list from which the subscriptions, the JSON Schema and docs/mqtt.md are made. ``{node}`` and
``{camera}`` match [a-z0-9-]{1,32} (checked by the configuration), ``{prefix}`` is Home Assistant's. JSON payloads are
UTF-8 without spaces, ``"v":1`` first, the keys always in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import Field, WithJsonSchema

from ferd.payloads import (
    AlertEvent,
    AlertState,
    AnyEvent,
    CameraHealth,
    CameraStatus,
    Event,
    FatigueState,
    GestureEvent,
    Health,
    Info,
    Json,
    LogLevelRequest,
    NodeStatus,
    Part,
    Request,
    Response,
    SnoozeRequest,
    State,
    Switch,
    adapter,
    to_bytes,
)

P = TypeVar("P")

_NAMES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Message:
    """Describe what is published. The payload stays an object until the message is sent or stored.

    Attributes:
        payload: a payload object, JSON object, text or number; bytes are sent as they are, None clears the topic.
        expires_s: a broker that speaks MQTT 5 discards the message after this many seconds.
        urgent: an alert. No rate limit delays it, and it waits for the broker without a time limit.
        late: the message waited for the broker; sent as ``"late":true`` in the payload.
        correlation: the correlation data of the request that this message answers (MQTT 5).
    """

    topic: str
    payload: object
    retain: bool = False
    qos: int = 0
    expires_s: int | None = None
    urgent: bool = False
    late: bool = False
    correlation: bytes | None = None

    @property
    def clears(self) -> bool:
        """Whether it removes the retained value from the broker: an empty payload (MQTT 5, section 3.3.1.3)."""
        return self.payload is None

    def encoded(self) -> bytes:
        """Return the bytes of the payload as they are sent."""
        if not self.late:
            return encode(self.payload)
        document = self.payload.to_dict() if isinstance(self.payload, Part) else self.payload
        if not isinstance(document, dict):
            raise TypeError(f"{self.topic}: only a JSON object can be late")
        return to_bytes(document | {"late": True})


def encode(payload: object) -> bytes:
    """Return text and numbers as they are and everything else as JSON; None becomes an empty payload."""
    if payload is None:
        return b""
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, Part):
        return payload.to_json()
    if isinstance(payload, dict):
        return to_bytes(payload)
    if isinstance(payload, float | int):
        return f"{payload:g}".encode()
    return str(payload).encode()


def printable(topic: str, payload: bytes) -> str:
    """Return a payload as text for a terminal: a picture is only named."""
    if IMAGE.names_in(topic) and payload:
        return f"({len(payload)} bytes, JPEG)"
    return payload.decode(errors="replace")


def mark_late(message: Message) -> Message:
    """Return the same message with the mark that it waited for the broker."""
    return message if message.late else replace(message, late=True)


@dataclass(frozen=True, slots=True, eq=False)
class Topic(Generic[P]):
    """Describe one kind of topic.

    Attributes:
        pattern: the topic with {names} in braces.
        meaning: one sentence for the documentation.
        payload: the type of the payload; examples: values of it.
        taken: others publish here and ferd subscribes.
        late: the payload may carry ``"late":true``, see ``mark_late``.
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
        """Return the topic with its names filled in."""
        return self.pattern.format(**names)

    def message(self, payload: P, **names: str) -> Message:
        """Return the message with this payload."""
        return Message(self.at(**names), payload, self.retain, self.qos, self.expires_s, self.urgent)

    def clear(self, **names: str) -> Message:
        """Return the message that removes the retained value from the broker."""
        return Message(self.at(**names), None, self.retain, self.qos, None, self.urgent)

    def names_in(self, topic: str) -> dict[str, str] | None:
        """Return the names in ``topic``; None when it is another kind of topic."""
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

    def filter(self, **names: str) -> str:
        """Return the topic filter of a subscription: a name that is not given matches everything."""
        return _NAMES.sub(lambda found: names.get(found[1], "+"), self.pattern)


EVENT_EXPIRES_S = 60
RESPONSE_EXPIRES_S = 60

Jpeg = Annotated[bytes, WithJsonSchema({"type": "string", "contentMediaType": "image/jpeg"})]
Percentage = Annotated[float, Field(ge=0, le=100)]
_A_MOMENT = 1795347453.12
_REQUEST = Request(transaction="a1")

NODE_STATUS: Topic[NodeStatus] = Topic(
    "ferd/{node}/status",
    "Whether ferd is running. The broker publishes offline as the last will when ferd disappears.",
    NodeStatus,
    ("online",),
    retain=True,
)
NODE_INFO: Topic[Info] = Topic(
    "ferd/{node}/info",
    "Version, model, expressions and cameras of this node.",
    Info,
    (Info("0.1.0", "expression", ["neutral", "happiness"], ["desk"], "ferd_3f9a1c", "5d0e77b2"),),
    retain=True,
)
NODE_HEALTH: Topic[Health] = Topic(
    "ferd/{node}/health",
    "Health report, every 60 s.",
    Health,
    (Health(3605.2, 132.4, 51.5, 0, {"desk": CameraHealth(14.9, 53712, 12, 0, 31.0)}, [], _A_MOMENT),),
    retain=True,
)
CAMERA_STATUS: Topic[CameraStatus] = Topic(
    "ferd/{node}/{camera}/status",
    "Whether the camera delivers frames. disabled: switched off, and the device is closed.",
    CameraStatus,
    ("online",),
    retain=True,
)
STATE: Topic[State] = Topic(
    "ferd/{node}/{camera}/state",
    "What the camera sees. Limited to one per second and 30 per minute; the last value always arrives.",
    State,
    (State("happiness", 0.83, 1, _A_MOMENT, 412), State(None, None, 0, _A_MOMENT, 413)),
    retain=True,
)
EVENT: Topic[AnyEvent] = Topic(
    "ferd/{node}/{camera}/event",
    "Something happened. An event that waited for the broker carries late. [mqtt] event_expiry_s sets the expiry.",
    AnyEvent,
    (
        Event("expression_changed", "8d0f6e1c", 7, "neutral", "happiness", 0.83, 12.4, _A_MOMENT),
        GestureEvent("gesture", "5f1c2a77", "wink_left", 7, True, _A_MOMENT),
        AlertEvent("alert_ended", "b1946ac9", "fatigue", "alarm", "eyes_closed", 4.2, "over", _A_MOMENT),
    ),
    expires_s=EVENT_EXPIRES_S,
    late=True,
)
ALERT: Topic[AlertState] = Topic(
    "ferd/{node}/{camera}/alert",
    "The active alerts.",
    AlertState,
    (
        AlertState("warning", "eyes_closed", 0.41, _A_MOMENT, True, ["fatigue"]),
        AlertState("none", None, None, _A_MOMENT, False, []),
    ),
    retain=True,
    urgent=True,
)
FATIGUE: Topic[FatigueState] = Topic(
    "ferd/{node}/{camera}/fatigue",
    "Fatigue of the person with the main face. Only while fatigue detection is enabled.",
    FatigueState,
    (FatigueState("notice", 0.72, 0.16, 0.97, 14.0, 0.21, 1.1, 1),),
    retain=True,
)
IMAGE: Topic[bytes] = Topic(
    "ferd/{node}/{camera}/image",
    "A JPEG of at most 60 kB when the expression changes, at most one every 5 s. Only with [mqtt] image.",
    Jpeg,
    (b"\xff\xd8\xff\xd9",),
    qos=0,
)
ENABLED: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/enabled/state", "Whether the camera is switched on.", Switch, ("ON",), retain=True
)
BUZZER: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/buzzer/state", "Whether this camera may sound the buzzer.", Switch, ("ON",), retain=True
)
SENSITIVITY: Topic[float] = Topic(
    "ferd/{node}/{camera}/sensitivity/state",
    "How easily expressions and alerts are detected, from 0 to 100.",
    Percentage,
    (50.0,),
    retain=True,
)
RESPONSE: Topic[Response] = Topic(
    "ferd/{node}/response/{verb}",
    "The answer to a request.",
    Response,
    (Response("ok", None, {}, "a1"),),
    expires_s=RESPONSE_EXPIRES_S,
)
DISCOVERY: Topic[Json] = Topic(
    "{prefix}/device/{identity}/config",
    "Announces all entities to Home Assistant 2024.11 and newer.",
    Json,
    ({"device": {}, "origin": {}, "components": {}},),
    retain=True,
)
DISCOVERY_COMPONENT: Topic[Json] = Topic(
    "{prefix}/{platform}/{identity}/{key}/config",
    'Announces one entity to an older Home Assistant (discovery = "components").',
    Json,
    ({"device": {}, "origin": {}},),
    retain=True,
)

SET_ENABLED: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/enabled/set", "OFF closes the camera, ON opens it again.", Switch, ("OFF",), taken=True
)
SET_BUZZER: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/buzzer/set", "OFF mutes the buzzer for this camera.", Switch, ("OFF",), taken=True
)
SET_SENSITIVITY: Topic[float] = Topic(
    "ferd/{node}/{camera}/sensitivity/set",
    "From 0 to 100; 50 uses the thresholds as configured.",
    Percentage,
    (70.0,),
    taken=True,
)
RESTART: Topic[Request] = Topic("ferd/{node}/request/restart", "Restarts ferd.", Request, (_REQUEST,), taken=True)
REPUBLISH: Topic[Request] = Topic(
    "ferd/{node}/request/republish", "Publishes every retained value again.", Request, (_REQUEST,), taken=True
)
RELOAD: Topic[Request] = Topic(
    "ferd/{node}/request/reload", "Reloads the configuration.", Request, (_REQUEST,), taken=True
)
SNOOZE: Topic[SnoozeRequest] = Topic(
    "ferd/{node}/request/snooze",
    "Silences the buzzer for a while.",
    SnoozeRequest,
    (SnoozeRequest(seconds=600, transaction="a1"),),
    taken=True,
)
LOG_LEVEL: Topic[LogLevelRequest] = Topic(
    "ferd/{node}/request/log_level",
    "Sets the log level.",
    LogLevelRequest,
    (LogLevelRequest(level="debug", transaction="a1"),),
    taken=True,
)
BIRTH: Topic[NodeStatus] = Topic(
    "{prefix}/status",
    "Home Assistant has started; ferd announces its entities again.",
    NodeStatus,
    ("online",),
    taken=True,
)

PUBLISHED: tuple[Topic[Any], ...] = (
    NODE_STATUS,
    NODE_INFO,
    NODE_HEALTH,
    CAMERA_STATUS,
    STATE,
    EVENT,
    ALERT,
    FATIGUE,
    IMAGE,
    ENABLED,
    BUZZER,
    SENSITIVITY,
    RESPONSE,
    DISCOVERY,
    DISCOVERY_COMPONENT,
)
REQUESTS: tuple[Topic[Any], ...] = (RESTART, REPUBLISH, RELOAD, SNOOZE, LOG_LEVEL)
TAKEN: tuple[Topic[Any], ...] = (SET_ENABLED, SET_BUZZER, SET_SENSITIVITY, *REQUESTS, BIRTH)


def prepare() -> None:
    """Build the serialisers of all payloads. Call it before any thread starts.

    Pydantic parses source code for the docstrings of the keys, and in two threads at once that can fail (Python
    3.11.2: gh-106905); it would also delay the first frames.
    """
    for topic in PUBLISHED:
        payloads = get_args(topic.payload) or (topic.payload,)
        parts: list[Any] = [it for it in payloads if isinstance(it, type) and issubclass(it, Part)]
        for part in parts:
            adapter(part)


def camera_state(node: str, camera: str) -> str:
    return STATE.at(node=node, camera=camera)


def camera_event(node: str, camera: str) -> str:
    return EVENT.at(node=node, camera=camera)


def node_status(node: str) -> str:
    return NODE_STATUS.at(node=node)


def node_health(node: str) -> str:
    return NODE_HEALTH.at(node=node)


def discovery(prefix: str, identity: str) -> str:
    return DISCOVERY.at(prefix=prefix, identity=identity)


def birth(prefix: str) -> str:
    """Return the topic on which Home Assistant announces its start."""
    return BIRTH.at(prefix=prefix)


def node_status_message(node: str, status: NodeStatus) -> Message:
    return NODE_STATUS.message(status, node=node)


def info_message(node: str, info: Info) -> Message:
    return NODE_INFO.message(info, node=node)


def camera_status_message(node: str, camera: str, status: CameraStatus) -> Message:
    return CAMERA_STATUS.message(status, node=node, camera=camera)


def state_message(node: str, camera: str, state: State) -> Message:
    return STATE.message(state, node=node, camera=camera)


def event_message(node: str, camera: str, event: Event) -> Message:
    return EVENT.message(event, node=node, camera=camera)


def discovery_message(prefix: str, identity: str, document: Mapping[str, Any]) -> Message:
    return DISCOVERY.message(dict(document), prefix=prefix, identity=identity)


def offline_messages(node: str, cameras: Sequence[str]) -> list[Message]:
    """Return what a clean stop publishes: each camera is offline, then the node."""
    return [
        *(camera_status_message(node, camera, "offline") for camera in cameras),
        node_status_message(node, "offline"),
    ]
