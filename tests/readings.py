"""Readings for the tests of this folder."""

from __future__ import annotations

from typing import Any

from ferd.types import Alert, Box, Face, FaceReading, Fatigue, Level, Reading, Track


def face(
    track: int = 1, expression: str | None = "happiness", confidence: float | None = 0.83, since: float = 0.0
) -> FaceReading:
    if expression is None:
        confidence = None
    seen = Track(track, Face(Box(10, 10, 80, 80)), born=since, seen=since)
    return FaceReading(seen, {}, {}, expression, confidence, since)


def reading(t: float, *faces: FaceReading) -> Reading:
    return Reading(t, faces, main=faces[0].track.id if faces else None)


def alert(
    name: str = "fatigue",
    level: Level = "warning",
    reason: str = "eyes_closed",
    since: float = 0.0,
    *,
    pattern: str | None = "double",
    awareness: float | None = None,
) -> Alert:
    return Alert(name, level, reason, since, pattern, awareness)


def fatigue(level: Level = "none", awareness: float = 1.0, perclos: float | None = 0.05, **more: Any) -> Fatigue:
    rest: dict[str, Any] = {"observed": 0.9, "blinks": 14.0, "blink_s": 0.2, "longest_s": 0.3, "yawns": 0} | more
    return Fatigue(awareness, level, None, perclos, **rest)
