"""Every topic and every payload that ferd publishes, in one place.

``<node>`` and ``<camera>`` match [a-z0-9-]{1,32} (checked by the configuration). Payloads are UTF-8 JSON without
spaces, ``"v":1`` first, the keys always in the same order. ``wall`` is in seconds since 1970, UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

VERSION = 1
ONLINE = "online"
OFFLINE = "offline"
EVENT_EXPIRES_S = 60
EVENT_TYPES = ("expression_changed", "face_appeared", "face_left")

CameraStatus = Literal["online", "offline", "disabled"]
EventType = Literal["expression_changed", "face_appeared", "face_left"]
Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """What is published. ``expires_s``: a broker that speaks MQTT 5 forgets it after so many seconds.

    ``urgent``: an alert. No limit holds it back, and it waits for the broker until it is told.
    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    expires_s: int | None = None
    urgent: bool = False


def node_status(node: str) -> str:
    return f"ferd/{node}/status"


def node_info(node: str) -> str:
    return f"ferd/{node}/info"


def node_health(node: str) -> str:
    return f"ferd/{node}/health"


def camera_status(node: str, camera: str) -> str:
    return f"ferd/{node}/{camera}/status"


def camera_state(node: str, camera: str) -> str:
    return f"ferd/{node}/{camera}/state"


def camera_event(node: str, camera: str) -> str:
    return f"ferd/{node}/{camera}/event"


def discovery(prefix: str, identity: str) -> str:
    return f"{prefix}/device/{identity}/config"


def birth(prefix: str) -> str:
    """Where Home Assistant says that it has started."""
    return f"{prefix}/status"


def is_camera_state(topic: str) -> bool:
    """True for ferd/<node>/<camera>/state, the topics whose rate is limited."""
    levels = topic.split("/")
    return len(levels) == 4 and levels[0] == "ferd" and levels[3] == "state"


def iso(wall: float) -> str:
    """``wall`` in the form 2026-11-22T11:37:33.120Z."""
    moment = _EPOCH + timedelta(milliseconds=round(wall * 1000))
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Compact JSON, keys in the order in which they stand."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


class Payload:
    """A JSON payload: ``to_dict`` gives its keys in their order, ``to_json`` the bytes that are sent."""

    __slots__ = ()

    def to_dict(self) -> Json:
        raise NotImplementedError

    def to_json(self) -> bytes:
        return to_bytes(self.to_dict())


@dataclass(frozen=True, slots=True)
class State(Payload):
    """What a camera sees. ``since`` (wall): when the expression began. ``expression``: None without a face."""

    expression: str | None
    confidence: float | None
    faces: int
    since: float
    seq: int

    def to_dict(self) -> Json:
        return {
            "v": VERSION,
            "expression": self.expression,
            "confidence": rounded(self.confidence),
            "faces": self.faces,
            "since": iso(self.since),
            "seq": self.seq,
        }


@dataclass(frozen=True, slots=True)
class Event(Payload):
    """Something that happened. ``old``, ``new``: the main face's expression before and now ("from" and "to").

    ``held_s``: how long the old expression was held, or how long the face that left was there. ``at`` is in wall.
    """

    event_type: EventType
    id: str
    track: int | None
    old: str | None
    new: str | None
    confidence: float | None
    held_s: float | None
    at: float

    def to_dict(self) -> Json:
        return {
            "v": VERSION,
            "event_type": self.event_type,
            "id": self.id,
            "track": self.track,
            "from": self.old,
            "to": self.new,
            "confidence": rounded(self.confidence),
            "held_s": rounded(self.held_s, 1),
            "at": iso(self.at),
        }


@dataclass(frozen=True, slots=True)
class Info(Payload):
    """What this node is: it changes with the configuration only."""

    version: str
    model: str
    labels: Sequence[str]
    cameras: Sequence[str]

    def to_dict(self) -> Json:
        return {
            "v": VERSION,
            "version": self.version,
            "model": self.model,
            "labels": list(self.labels),
            "cameras": list(self.cameras),
        }


@dataclass(frozen=True, slots=True)
class CameraHealth(Payload):
    """``fps``: analysed frames a second since the last report; the counters count from the start of the daemon."""

    fps: float
    frames: int
    skipped: int
    reopened: int
    latency_ms: float | None

    def to_dict(self) -> Json:
        return {
            "fps": rounded(self.fps, 1),
            "frames": self.frames,
            "skipped": self.skipped,
            "reopened": self.reopened,
            "latency_ms": rounded(self.latency_ms, 1),
        }


@dataclass(frozen=True, slots=True)
class Health(Payload):
    """How the daemon is. None where this machine does not tell."""

    uptime_s: float
    rss_mb: float | None
    temperature_c: float | None
    mqtt_reconnects: int
    cameras: Mapping[str, CameraHealth]

    def to_dict(self) -> Json:
        return {
            "v": VERSION,
            "uptime_s": round(self.uptime_s),
            "rss_mb": rounded(self.rss_mb, 1),
            "temperature_c": rounded(self.temperature_c, 1),
            "mqtt_reconnects": self.mqtt_reconnects,
            "cameras": {name: camera.to_dict() for name, camera in self.cameras.items()},
        }


def rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(float(value), digits)


def node_status_message(node: str, status: Literal["online", "offline"]) -> Message:
    return Message(node_status(node), status.encode(), retain=True, qos=1)


def info_message(node: str, info: Info) -> Message:
    return Message(node_info(node), info.to_json(), retain=True, qos=1)


def health_message(node: str, health: Health) -> Message:
    return Message(node_health(node), health.to_json(), retain=True, qos=1)


def camera_status_message(node: str, camera: str, status: CameraStatus) -> Message:
    return Message(camera_status(node, camera), status.encode(), retain=True, qos=1)


def state_message(node: str, camera: str, state: State) -> Message:
    return Message(camera_state(node, camera), state.to_json(), retain=True, qos=1)


def event_message(node: str, camera: str, event: Event) -> Message:
    return Message(camera_event(node, camera), event.to_json(), qos=1, expires_s=EVENT_EXPIRES_S)


def discovery_message(prefix: str, identity: str, document: Mapping[str, Any]) -> Message:
    return Message(discovery(prefix, identity), to_bytes(document), retain=True, qos=1)


def farewell(node: str, cameras: Sequence[str]) -> list[Message]:
    """What a clean stop says: each camera is offline, then the node."""
    goodbyes = [camera_status_message(node, camera, "offline") for camera in cameras]
    return [*goodbyes, node_status_message(node, "offline")]


def mark_late(message: Message) -> Message:
    """The same event with ``"late":true``: it waited for the broker."""
    return replace(message, payload=to_bytes(json.loads(message.payload) | {"late": True}))
