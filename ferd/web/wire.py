"""Readings as the browser gets them: small JSON, numbers rounded to what a screen can show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ferd.data import Alert, FaceReading, Frame, Reading
from ferd.mind.smooth import Rules
from ferd.web.hints import Quality
from ferd.web.why import why


def reading_json(frame: Frame, reading: Reading, rules: Rules, judged: Mapping[int, Quality | None]) -> dict[str, Any]:
    """One frame: sizes and positions in pixels of the source picture, also where a smaller one is sent.

    ``judged``: quality by track.
    """
    return {
        "t": round(reading.t, 3),
        "size": [frame.width, frame.height],
        "main": reading.main,
        "faces": [_face(face, reading, rules, judged.get(face.track.id)) for face in reading.faces],
        "fatigue": None if reading.fatigue is None else rounded(asdict(reading.fatigue)),
        "alerts": [_alert(alert, reading.t) for alert in reading.alerts],
    }


def rounded(value: Any) -> Any:
    """The same with floats of three decimals."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return value


def _face(face: FaceReading, reading: Reading, rules: Rules, judged: Quality | None) -> dict[str, Any]:
    found = face.track.face
    return {
        "id": face.track.id,
        "seen": face.track.seen >= reading.t,
        "for_s": round(reading.t - face.track.born, 1),
        "box": [round(value, 1) for value in found.box],
        "points": None if found.points is None else [[round(x, 1), round(y, 1)] for x, y in found.points],
        "found": round(found.score, 2),
        "scores": rounded(face.scores),
        "smooth": rounded(face.smooth),
        "label": face.expression,
        "confidence": rounded(face.confidence),
        "held_s": round(max(0.0, reading.t - face.since), 1),
        "signals": None if face.signals is None else rounded(asdict(face.signals)),
        "quality": None if judged is None else rounded(asdict(judged)),
        "why": why(face, rules),
    }


def _alert(alert: Alert, t: float) -> dict[str, Any]:
    return {
        "name": alert.name,
        "level": alert.level,
        "reason": alert.reason,
        "for_s": round(max(0.0, t - alert.since), 1),
        "buzzer": alert.pattern is not None,
    }
