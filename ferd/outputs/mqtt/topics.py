"""Every topic that ferd publishes to or listens to: the one list from which all others are made.

``{node}`` and ``{camera}`` match [a-z0-9-]{1,32} (checked by the configuration), ``{prefix}`` is Home Assistant's.
JSON payloads are UTF-8 without spaces, ``"v":1`` first, the keys always in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import Field

from ferd.outputs.mqtt.message import Message, Topic, mark_late
from ferd.payloads import (
    EVENT_TYPES,
    OFFLINE,
    ONLINE,
    VERSION,
    AlertEvent,
    AlertState,
    CameraHealth,
    CameraStatus,
    Event,
    EventType,
    FatigueState,
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
    iso,
    to_bytes,
)

__all__ = [
    "EVENT_TYPES",
    "OFFLINE",
    "ONLINE",
    "VERSION",
    "AlertEvent",
    "AlertState",
    "CameraHealth",
    "CameraStatus",
    "Event",
    "EventType",
    "FatigueState",
    "Health",
    "Info",
    "Json",
    "Message",
    "NodeStatus",
    "Response",
    "State",
    "Switch",
    "Topic",
    "iso",
    "mark_late",
    "to_bytes",
]

EVENT_EXPIRES_S = 60
RESPONSE_EXPIRES_S = 60

Percentage = Annotated[float, Field(ge=0, le=100)]
_A_MOMENT = 1795347453.12
_REQUEST = Request(transaction="a1")

NODE_STATUS: Topic[NodeStatus] = Topic(
    "ferd/{node}/status",
    "Whether ferd runs. The broker says offline for a ferd that is gone.",
    NodeStatus,
    ("online",),
    retain=True,
)
NODE_INFO: Topic[Info] = Topic(
    "ferd/{node}/info",
    "What this node is.",
    Info,
    (Info("0.1.0", "expression", ["neutral", "happiness"], ["desk"]),),
    retain=True,
)
NODE_HEALTH: Topic[Health] = Topic(
    "ferd/{node}/health",
    "How it is, every 60 s.",
    Health,
    (Health(3605.2, 132.4, 51.5, 0, {"desk": CameraHealth(14.9, 53712, 12, 0, 31.0)}, [], _A_MOMENT),),
    retain=True,
)
CAMERA_STATUS: Topic[CameraStatus] = Topic(
    "ferd/{node}/{camera}/status",
    "Whether the camera gives pictures; disabled: switched off, and closed.",
    CameraStatus,
    ("online",),
    retain=True,
)
STATE: Topic[State] = Topic(
    "ferd/{node}/{camera}/state",
    "What is seen. At most one a second and 30 a minute, and the last one always arrives.",
    State,
    (State("happiness", 0.83, 1, _A_MOMENT, 412), State(None, None, 0, _A_MOMENT, 413)),
    retain=True,
)
EVENT: Topic[Event | AlertEvent] = Topic(
    "ferd/{node}/{camera}/event",
    "Something happened. What waited for the broker says so: late.",
    Event | AlertEvent,
    (
        Event("expression_changed", "8d0f6e1c", 7, "neutral", "happiness", 0.83, 12.4, _A_MOMENT),
        AlertEvent("alert_ended", "b1946ac9", "fatigue", "alarm", "eyes_closed", 4.2, "over", _A_MOMENT),
    ),
    expires_s=EVENT_EXPIRES_S,
    late=True,
)
ALERT: Topic[AlertState] = Topic(
    "ferd/{node}/{camera}/alert",
    "The alerts that hold now.",
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
    "How tired the main face is. Only while fatigue is on.",
    FatigueState,
    (FatigueState("notice", 0.72, 0.16, 0.97, 14.0, 0.21, 1.1, 1),),
    retain=True,
)
ENABLED: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/enabled/state", "Whether the camera is to be used.", Switch, ("ON",), retain=True
)
BUZZER: Topic[Switch] = Topic(
    "ferd/{node}/{camera}/buzzer/state", "Whether this camera may sound the buzzer.", Switch, ("ON",), retain=True
)
SENSITIVITY: Topic[float] = Topic(
    "ferd/{node}/{camera}/sensitivity/state",
    "How easily expressions and alerts are taken up, from 0 to 100.",
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
    "Announces all entities to Home Assistant (2024.11 and newer).",
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
    "ferd/{node}/{camera}/buzzer/set", "OFF: this camera does not sound the buzzer.", Switch, ("OFF",), taken=True
)
SET_SENSITIVITY: Topic[float] = Topic(
    "ferd/{node}/{camera}/sensitivity/set", "From 0 to 100; 50 is what is configured.", Percentage, (70.0,), taken=True
)
RESTART: Topic[Request] = Topic(
    "ferd/{node}/request/restart", "Ends ferd and starts it anew.", Request, (_REQUEST,), taken=True
)
REBIRTH: Topic[Request] = Topic(
    "ferd/{node}/request/republish", "Everything retained is sent once more.", Request, (_REQUEST,), taken=True
)
RELOAD: Topic[Request] = Topic(
    "ferd/{node}/request/reload", "Reads the configuration again.", Request, (_REQUEST,), taken=True
)
SNOOZE: Topic[SnoozeRequest] = Topic(
    "ferd/{node}/request/snooze",
    "The buzzer is silent for a while.",
    SnoozeRequest,
    (SnoozeRequest(seconds=600, transaction="a1"),),
    taken=True,
)
LOG_LEVEL: Topic[LogLevelRequest] = Topic(
    "ferd/{node}/request/log_level",
    "Logs more or less.",
    LogLevelRequest,
    (LogLevelRequest(level="debug", transaction="a1"),),
    taken=True,
)
BIRTH: Topic[NodeStatus] = Topic(
    "{prefix}/status", "Home Assistant has started: entities are announced again.", NodeStatus, ("online",), taken=True
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
    ENABLED,
    BUZZER,
    SENSITIVITY,
    RESPONSE,
    DISCOVERY,
    DISCOVERY_COMPONENT,
)
REQUESTS: tuple[Topic[Any], ...] = (RESTART, REBIRTH, RELOAD, SNOOZE, LOG_LEVEL)
TAKEN: tuple[Topic[Any], ...] = (SET_ENABLED, SET_BUZZER, SET_SENSITIVITY, *REQUESTS, BIRTH)


def prepare() -> None:
    """Builds what makes the payloads; to be called before any thread starts.

    For the docstrings of their keys pydantic parses source code, and in two threads at once that may fail (Python
    3.11.2: gh-106905); it would also hold up the first pictures.
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
    """Where Home Assistant says that it has started."""
    return BIRTH.at(prefix=prefix)


def node_status_message(node: str, status: NodeStatus) -> Message:
    return NODE_STATUS.message(status, node=node)


def info_message(node: str, info: Info) -> Message:
    return NODE_INFO.message(info, node=node)


def health_message(node: str, health: Health) -> Message:
    return NODE_HEALTH.message(health, node=node)


def camera_status_message(node: str, camera: str, status: CameraStatus) -> Message:
    return CAMERA_STATUS.message(status, node=node, camera=camera)


def state_message(node: str, camera: str, state: State) -> Message:
    return STATE.message(state, node=node, camera=camera)


def event_message(node: str, camera: str, event: Event) -> Message:
    return EVENT.message(event, node=node, camera=camera)


def discovery_message(prefix: str, identity: str, document: Mapping[str, Any]) -> Message:
    return DISCOVERY.message(dict(document), prefix=prefix, identity=identity)


def farewell(node: str, cameras: Sequence[str]) -> list[Message]:
    """What a clean stop says: each camera is offline, then the node."""
    goodbyes = [camera_status_message(node, camera, "offline") for camera in cameras]
    return [*goodbyes, node_status_message(node, "offline")]
