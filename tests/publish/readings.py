"""Readings for the tests of this folder."""

from __future__ import annotations

from ferd.data import Box, Face, FaceReading, Reading, Track


def face(
    track: int = 1, expression: str | None = "happiness", confidence: float | None = 0.83, since: float = 0.0
) -> FaceReading:
    if expression is None:
        confidence = None
    seen = Track(track, Face(Box(10, 10, 80, 80)), born=since, seen=since)
    return FaceReading(seen, {}, {}, expression, confidence, since)


def reading(t: float, *faces: FaceReading) -> Reading:
    return Reading(t, faces, main=faces[0].track.id if faces else None)
