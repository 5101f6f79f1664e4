"""Readings as the browser gets them: small JSON, numbers rounded to what a screen can show. Pure.

Made for each picture that is sent, so plain: dataclasses.asdict alone would cost as much as all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferd.outputs.web.explain import why
from ferd.outputs.web.image_quality import Quality
from ferd.policy.smoothing import SmoothingRules
from ferd.types import Alert, EyeMouthState, FaceReading, Fatigue, Frame, Reading


def reading_json(
    frame: Frame, reading: Reading, rules: SmoothingRules, judged: Mapping[int, Quality | None]
) -> dict[str, Any]:
    """One frame: sizes and positions in pixels of the source picture, also where a smaller one is sent.

    ``judged``: quality by track.
    """
    return {
        "t": round(reading.t, 3),
        "size": [frame.width, frame.height],
        "main": reading.main,
        "faces": [_face(face, reading, rules, judged.get(face.track.id)) for face in reading.faces],
        "fatigue": None if reading.fatigue is None else _fields(reading.fatigue),
        "alerts": [_alert(alert, reading.t) for alert in reading.alerts],
    }


def _face(face: FaceReading, reading: Reading, rules: SmoothingRules, judged: Quality | None) -> dict[str, Any]:
    found = face.track.face
    return {
        "id": face.track.id,
        "seen": face.track.seen >= reading.t,
        "for_s": round(reading.t - face.track.born, 1),
        "box": [round(value, 1) for value in found.box],
        "points": None if found.points is None else [[round(x, 1), round(y, 1)] for x, y in found.points],
        "found": round(found.score, 2),
        "scores": {label: round(value, 3) for label, value in face.scores.items()},
        "smooth": {label: round(value, 3) for label, value in face.smooth.items()},
        "label": face.expression,
        "confidence": None if face.confidence is None else round(face.confidence, 3),
        "held_s": round(max(0.0, reading.t - face.since), 1),
        "signals": None if face.signals is None else _fields(face.signals),
        "quality": None if judged is None else _fields(judged),
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


def _fields(value: EyeMouthState | Fatigue | Quality) -> dict[str, Any]:
    """Of a flat dataclass."""
    return {name: _rounded(getattr(value, name)) for name in value.__slots__}


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
