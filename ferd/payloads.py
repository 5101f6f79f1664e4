"""Every payload that ferd publishes or takes, as a type: its keys, their meaning, unit and range.

The JSON that is sent, the JSON Schema (`ferd mqtt schema`) and docs/mqtt.md are all made from these classes. Keys are
sent in the order in which they stand here. Times are held as ``wall``, seconds since 1970 (UTC), and sent as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainSerializer, TypeAdapter

from ferd.types import Level

VERSION: Literal[1] = 1
ONLINE = "online"
OFFLINE = "offline"

NodeStatus = Literal["online", "offline"]
CameraStatus = Literal["online", "offline", "disabled"]
Switch = Literal["ON", "OFF"]
EventType = Literal["expression_changed", "face_appeared", "face_left"]
AlertEventType = Literal["alert_began", "alert_ended"]
EVENT_TYPES: tuple[EventType | AlertEventType, ...] = (
    "expression_changed",
    "face_appeared",
    "face_left",
    "alert_began",
    "alert_ended",
)
Transaction = str | int | float | None
Throttling = Literal["under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"]
THROTTLINGS: tuple[Throttling, ...] = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")
"""The bits 0 to 3 of `vcgencmd get_throttled`."""
Json = dict[str, Any]

_ABOUT_V = "Version of this form. New keys may come without a new version; a key never changes its meaning."
_ABOUT_TRANSACTION = "Stands in the response again, so that the one who asked knows it."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(wall: float) -> str:
    """``wall`` in the form 2026-11-22T11:37:33.120Z."""
    moment = _EPOCH + timedelta(milliseconds=round(wall * 1000))
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Compact JSON, keys in the order in which they stand."""
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
    """A JSON object: ``to_dict`` gives its keys in their order, ``to_json`` the bytes that are sent."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    def to_dict(self) -> Json:
        kind: Any = type(self)
        document: Json = adapter(kind).dump_python(self, mode="json", by_alias=True)
        return document

    def to_json(self) -> bytes:
        return to_bytes(self.to_dict())


@dataclass(frozen=True, slots=True)
class Payload(Part):
    """A whole JSON payload."""

    v: Annotated[Literal[1], Field(description=_ABOUT_V)] = field(default=VERSION, init=False)


@dataclass(frozen=True, slots=True)
class State(Payload):
    """What a camera sees. Sent when it changes, never for an unchanged face."""

    expression: str | None
    """The main face's expression, one of the model's labels; null without a face or while none is held."""
    confidence: Share | None
    """How sure the model is of it; null without one. Sent again when it moved by 0.15 or more."""
    faces: Count
    """How many faces are seen."""
    since: Wall
    """When this expression began."""
    seq: Count
    """Counts the states of this camera since ferd started."""


@dataclass(frozen=True, slots=True)
class Event(Payload):
    """A face came, went or changed its expression."""

    event_type: EventType
    """What happened."""
    id: str
    """Never twice the same: whoever gets an event a second time can tell."""
    track: int | None
    """Which face: a number that one face keeps while it is followed."""
    old: Annotated[str | None, Field(serialization_alias="from")]
    """expression_changed: the expression before; null for none."""
    new: Annotated[str | None, Field(serialization_alias="to")]
    """expression_changed: the expression now; null for none."""
    confidence: Share | None
    """expression_changed: how sure the model is of it."""
    held_s: LongTime | None
    """Seconds: how long the expression before was held, or how long the face that left was there."""
    at: Wall
    """When it happened."""


@dataclass(frozen=True, slots=True)
class AlertEvent(Payload):
    """An alert began or ended."""

    event_type: AlertEventType
    """What happened."""
    id: str
    """Never twice the same: whoever gets an event a second time can tell."""
    name: str
    """Whose alert: "fatigue" or the rule's name in its short form (a-z, 0-9 and hyphen)."""
    level: Level
    """How urgent: at its begin, or at its end the worst that it came to."""
    reason: str
    """Why it came to that level: "eyes_closed", "perclos", "not_seen", "eyes_not_seen", a label, "faces_absent" …"""
    held_s: LongTime | None
    """alert_ended: how many seconds it lasted."""
    cause: Literal["over", "camera_lost"] | None
    """alert_ended: "over" when what raised it went away, "camera_lost" when nothing is seen any more."""
    at: Wall
    """When it happened."""


@dataclass(frozen=True, slots=True)
class AlertState(Payload):
    """The worst alert that holds now, and the names of all. Cleared when ferd starts. Never held back by a limit."""

    level: Level
    """How urgent; "none" when nothing holds."""
    reason: str | None
    """Why: "eyes_closed", "perclos", "not_seen", "eyes_not_seen", a label, "faces_absent" …; null without an alert."""
    awareness: Share | None
    """1 wide awake to 0, when this was sent; null for an alert that is not about fatigue."""
    since: Wall
    """When this level began."""
    buzzer: bool
    """Whether one that holds sounds: there is a buzzer, it has a pattern, and nobody switched it off or snoozed it."""
    active: Sequence[str]
    """All that hold, the worst first: "fatigue" or a rule's name in its short form (a-z, 0-9 and hyphen)."""


@dataclass(frozen=True, slots=True)
class FatigueState(Payload):
    """How tired the main face is. At once when the level changes, else every 10 s at most. Only with fatigue on."""

    level: Level
    """The level of the fatigue policy."""
    awareness: Share | None
    """1 wide awake to 0; null when no camera looks."""
    perclos: Share | None
    """PERCLOS: share of the observed time of the last 60 s with the eyes at least 80 % closed; null: not observed."""
    observed: Share
    """How much of these 60 s the eyes could be seen."""
    blinks: LongTime | None
    """Blinks a minute; null: too little was observed."""
    blink_s: ShortTime | None
    """Seconds: how long a blink lasts in the mean; null: too little was observed."""
    longest_s: ShortTime
    """Seconds: the longest closure of the last 60 s."""
    yawns: Count
    """Yawns in the last 5 minutes."""


@dataclass(frozen=True, slots=True)
class Info(Payload):
    """What this node is: it changes with the configuration only."""

    version: str
    """ferd's version."""
    model: str
    """Name of the expression model."""
    labels: Sequence[str]
    """The expressions that it knows."""
    cameras: Sequence[str]
    """Names of the cameras, as they stand in topics."""


@dataclass(frozen=True, slots=True)
class CameraHealth(Part):
    """How one camera is. Counters count from the start of ferd."""

    fps: LongTime
    """Analysed frames a second since the last report."""
    frames: Count
    """Analysed frames."""
    skipped: Count
    """Frames that were replaced by a newer one before their turn came, or left out for the board to recover."""
    reopened: Count
    """How often the camera had to be opened again."""
    latency_ms: LongTime | None
    """Milliseconds from the picture to its reading, a running mean; null before the first."""
    rebuilt: Count = 0
    """How many of these times a call to the camera hung, so that it was left behind and all was built anew."""
    restarts: Count = 0
    """How often systemd started ferd anew because this camera hung for good; counts from the start of the service."""
    reason: str | None = None
    """Why the camera was last given up; null while it never was."""


@dataclass(frozen=True, slots=True)
class Health(Payload):
    """How the daemon is, every 60 s. null where this machine does not tell."""

    uptime_s: Annotated[float, PlainSerializer(round, Annotated[int, Field(ge=0)])]
    """Seconds since ferd started."""
    rss_mb: LongTime | None
    """Resident memory in megabytes (10^6 bytes)."""
    temperature_c: Tenths | None
    """The processor's temperature in degrees Celsius."""
    mqtt_reconnects: Count
    """How often the connection to the broker had to be made again."""
    cameras: Mapping[str, CameraHealth]
    """By the camera's name."""
    throttled: Sequence[Throttling] | None
    """What slows a Raspberry Pi down at this moment; an empty list: nothing. null: the machine does not tell."""
    started: Wall
    """When ferd started."""
    slowed: bool = False
    """Whether only half of the pictures are read, so that the board recovers: it was throttled a moment ago."""


@dataclass(frozen=True, slots=True)
class Response(Payload):
    """The answer to a request."""

    status: Literal["ok", "error"]
    """Whether it was done."""
    error: str | None
    """What was wrong, and what to do; null when nothing was."""
    data: Mapping[str, Any]
    """What the request asked for; often empty."""
    transaction: Transaction
    """That of the request, so that the one who asked knows the answer; null without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Part):
    """What is asked for. An empty payload asks for the same, without a transaction."""

    transaction: Annotated[Transaction, Field(description=_ABOUT_TRANSACTION)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeRequest(Request):
    """The buzzer is to be silent for a while. A plain number is taken as the seconds."""

    seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """For how long; 0 ends a snooze."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLevelRequest(Request):
    """How much ferd writes to its log, until it ends. A plain word is taken as the level."""

    level: Literal["debug", "info", "warning", "error"]
    """From most to least."""


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Pydantic's view of a payload's type: what serialises it and makes its schema."""
    return TypeAdapter(kind)
