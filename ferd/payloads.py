"""Define every payload that ferd publishes or accepts: its keys, their meaning, unit and range.

The JSON that is sent, the JSON Schema (`ferd mqtt schema`) and docs/mqtt.md are all made from these classes. Keys are
sent in the order of their definition. Times are held as ``wall``, seconds since 1970 (UTC), and sent as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainSerializer, TypeAdapter

from ferd.types import Level, Unjudged

VERSION: Literal[1] = 1
ONLINE = "online"
OFFLINE = "offline"

NodeStatus = Literal["online", "offline"]
CameraStatus = Literal["online", "offline", "disabled"]
Switch = Literal["ON", "OFF"]
EventType = Literal["expression_changed", "face_appeared", "face_left"]
AlertEventType = Literal["alert_began", "alert_ended"]
GestureEventType = Literal["gesture"]
EVENT_TYPES: tuple[EventType | AlertEventType | GestureEventType, ...] = (
    "expression_changed",
    "face_appeared",
    "face_left",
    "alert_began",
    "alert_ended",
    "gesture",
)
Transaction = str | int | float | None
Throttling = Literal["under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"]
THROTTLINGS: tuple[Throttling, ...] = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
"""The bits 0 to 3 of `vcgencmd get_throttled`."""
Json = dict[str, Any]

_ABOUT_V = "Version of this format. Keys may be added without a new version; a key never changes its meaning."
_ABOUT_TRANSACTION = "Returned in the response, so that the sender can match it to the request."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(wall: float) -> str:
    """Return ``wall`` in the form 2026-11-22T11:37:33.120Z."""
    moment = _EPOCH + timedelta(milliseconds=round(wall * 1000))
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return compact JSON with the keys in their order."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _to_tenths(value: float) -> float:
    return round(float(value), 1)


def _to_hundredths(value: float) -> float:
    return round(float(value), 2)


Wall = Annotated[float, PlainSerializer(iso, Annotated[str, Field(json_schema_extra={"format": "date-time"})])]
Share = Annotated[float, PlainSerializer(_to_hundredths, Annotated[float, Field(ge=0, le=1)])]
Tenths = Annotated[float, PlainSerializer(_to_tenths, float)]
LongTime = Annotated[float, PlainSerializer(_to_tenths, Annotated[float, Field(ge=0)])]
ShortTime = Annotated[float, PlainSerializer(_to_hundredths, Annotated[float, Field(ge=0)])]
Count = Annotated[int, PlainSerializer(int, Annotated[int, Field(ge=0)])]
Percent = Annotated[float, PlainSerializer(_to_tenths, Annotated[float, Field(ge=0, le=100)])]


@dataclass(frozen=True, slots=True)
class Part:
    """A JSON object. ``to_dict`` returns its keys in their order, ``to_json`` the bytes that are sent."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    def to_dict(self) -> Json:
        kind: Any = type(self)
        document: Json = adapter(kind).dump_python(self, mode="json", by_alias=True)
        return document

    def to_json(self) -> bytes:
        return to_bytes(self.to_dict())


@dataclass(frozen=True, slots=True)
class Payload(Part):
    """A complete JSON payload."""

    v: Annotated[Literal[1], Field(description=_ABOUT_V)] = field(default=VERSION, init=False)


@dataclass(frozen=True, slots=True)
class State(Payload):
    """What a camera sees. Published when it changes, never for an unchanged face."""

    expression: str | None
    """Expression of the main face, one of the model's labels; null without a face or without a clear expression."""
    confidence: Share | None
    """Confidence of the model in it; null without an expression. Published again when it changed by 0.15 or more."""
    faces: Count
    """Number of faces."""
    since: Wall
    """When this expression began."""
    seq: Count
    """Number of this state, counted per camera since ferd started."""


@dataclass(frozen=True, slots=True)
class Event(Payload):
    """A face appeared, left or changed its expression."""

    event_type: EventType
    """What happened."""
    id: str
    """Unique event id; use it to discard duplicates."""
    track: int | None
    """Number of the face; it stays the same while the face is tracked."""
    old: Annotated[str | None, Field(serialization_alias="from")]
    """expression_changed: the expression before; null for none."""
    new: Annotated[str | None, Field(serialization_alias="to")]
    """expression_changed: the expression now; null for none."""
    confidence: Share | None
    """expression_changed: confidence of the model in the new expression."""
    held_s: LongTime | None
    """Seconds that the expression before was held, or that the face was present before it left."""
    at: Wall
    """When it happened."""


@dataclass(frozen=True, slots=True)
class AlertEvent(Payload):
    """An alert began or ended."""

    event_type: AlertEventType
    """What happened."""
    id: str
    """Unique event id; use it to discard duplicates."""
    name: str
    """Name of the alert: "fatigue", or the rule's name in its short form (a-z, 0-9 and hyphen)."""
    level: Level
    """Severity: when it began, or for an alert that ended the worst level that it reached."""
    reason: str
    """Reason for that level: "eyes_closed", "perclos", "nodding", "distracted", why nobody can judge (as in `unjudged`
    of the fatigue), a label, "faces_absent" …"""
    held_s: LongTime | None
    """alert_ended: duration in seconds."""
    cause: Literal["over", "camera_lost"] | None
    """alert_ended: "over" when its condition ended, "camera_lost" when the camera stopped delivering frames."""
    at: Wall
    """When it happened."""


@dataclass(frozen=True, slots=True)
class GestureEvent(Payload):
    """A face made a gesture."""

    event_type: GestureEventType
    """What happened."""
    id: str
    """Unique event id; use it to discard duplicates."""
    gesture: str
    """The gesture: one of `use` in [gestures]. Right and left are the person's own."""
    track: int
    """Number of the face; it stays the same while the face is tracked."""
    main: bool
    """Whether it is the main face."""
    at: Wall
    """When it was completed."""


AnyEvent = Event | AlertEvent | GestureEvent


@dataclass(frozen=True, slots=True)
class AlertState(Payload):
    """The worst active alert, and the names of all. Cleared when ferd starts. Not rate-limited."""

    level: Level
    """Severity; "none" without an active alert."""
    reason: str | None
    """Reason: "eyes_closed", "perclos", "nodding", "distracted", why nobody can judge (as in `unjudged` of the
    fatigue), a label, "faces_absent" …; null without one."""
    awareness: Share | None
    """1 (wide awake) to 0, at the time of publishing; null for an alert that is not about fatigue."""
    since: Wall
    """When this level began."""
    buzzer: bool
    """Whether an active alert sounds: there is a buzzer, the alert has a pattern, and nobody muted or snoozed it."""
    active: Sequence[str]
    """All active alerts, the worst first: "fatigue" or a rule's name in its short form (a-z, 0-9 and hyphen)."""


@dataclass(frozen=True, slots=True)
class FatigueState(Payload):
    """Fatigue of the main face. Published when `level` or `unjudged` changes, otherwise at most every 10 s."""

    level: Level
    """The level of the fatigue policy."""
    awareness: Share | None
    """1 (wide awake) to 0; null while the camera is not available."""
    perclos: Share | None
    """PERCLOS: share of the observed time of the last 60 s with the eyes at least 80 % closed; null if not observed."""
    observed: Share
    """Share of these 60 s in which the eyes were visible."""
    blinks: LongTime | None
    """Blinks per minute; null if too little was observed."""
    blink_s: ShortTime | None
    """Mean duration of a blink in seconds; null if too little was observed."""
    longest_s: ShortTime
    """Longest eye closure of the last 60 s, in seconds."""
    yawns: Count
    """Yawns in the last 5 minutes."""
    judged: bool = True
    """Whether closed eyes would raise a level now."""
    unjudged: Unjudged | None = None
    """Why they would not: "too_few_frames", "not_seen" (no face), "eyes_not_seen", "turned_away", "no_blinks" (for half
    a minute: a photograph?), "frozen" (the camera repeats its pictures), "camera_lost", "loop_stopped"; null if judged.
    """
    attention: Share | None = None
    """1 (looking ahead) to 0 (off the road for `attention_after_s`); null if `attention` is off or not known yet."""
    nods: Count = 0
    """How often the head nodded off in the last 5 minutes."""


@dataclass(frozen=True, slots=True)
class Info(Payload):
    """What this node is. It changes only with the configuration and at a start."""

    version: str
    """ferd's version."""
    model: str
    """Name of the expression model."""
    labels: Sequence[str]
    """The expressions that it distinguishes."""
    cameras: Sequence[str]
    """Names of the cameras, as used in topics."""
    id: str = ""
    """Identity of this device towards Home Assistant. Another one under the same name: two devices share a name."""
    run: str = ""
    """Another text after each start of ferd."""


@dataclass(frozen=True, slots=True)
class CameraHealth(Part):
    """Health of one camera. Counters start with ferd."""

    fps: LongTime
    """Analysed frames per second since the last report."""
    frames: Count
    """Analysed frames."""
    skipped: Count
    """Frames that were replaced by a newer one before they were analysed, or left out while the board is throttled."""
    reopened: Count
    """How often the camera was opened again."""
    latency_ms: LongTime | None
    """Running mean of the milliseconds from capture to reading; null before the first."""
    rebuilt: Count = 0
    """How many of these times a call to the camera hung, so that its thread was abandoned and replaced."""
    restarts: Count = 0
    """How often ferd was restarted because this camera hung; counts from the start of the service."""
    reason: str | None = None
    """Why the camera last failed; null while it never did."""


@dataclass(frozen=True, slots=True)
class Health(Payload):
    """Health of the daemon, every 60 s. A value is null if this machine does not provide it."""

    uptime_s: Annotated[float, PlainSerializer(round, Annotated[int, Field(ge=0)])]
    """Seconds since ferd started."""
    rss_mb: LongTime | None
    """Resident memory in megabytes (10^6 bytes)."""
    temperature_c: Tenths | None
    """The processor's temperature in degrees Celsius."""
    mqtt_reconnects: Count
    """How often the connection to the broker was re-established."""
    cameras: Mapping[str, CameraHealth]
    """Health of each camera by name."""
    throttled: Sequence[Throttling] | None
    """What throttles the Raspberry Pi now; empty: nothing. null: this machine does not report it."""
    started: Wall
    """When ferd started."""
    slowed: bool = False
    """Whether only half of the frames are analysed because the board is or was recently throttled."""


@dataclass(frozen=True, slots=True)
class Response(Payload):
    """The answer to a request."""

    status: Literal["ok", "error"]
    """Whether the request succeeded."""
    error: str | None
    """What was wrong and what to do; null if the request succeeded."""
    data: Mapping[str, Any]
    """Result of the request; often empty."""
    transaction: Transaction
    """The transaction of the request; null without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Part):
    """A request. An empty payload is the same request without a transaction."""

    transaction: Annotated[Transaction, Field(description=_ABOUT_TRANSACTION)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeRequest(Request):
    """Silence the buzzer for a while. A plain number is read as the seconds."""

    seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """Duration; 0 ends a snooze."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLevelRequest(Request):
    """Set the log level until ferd ends. A plain word is read as the level."""

    level: Literal["debug", "info", "warning", "error"]
    """The least severe messages that are logged."""


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's adapter of a payload's type: it serialises the payload and makes its schema."""
    return TypeAdapter(kind)
