"""Turn readings into JSON values for the browser: rounded to what a screen can show, with an explanation each.

This runs for each frame that is sent, so it names the keys: dataclasses.asdict alone would cost as much as all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.image_quality import ImageQuality, measure_quality
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.policy.smoothing import SmoothingRules
from ferd.types import Alert, EyeMouthState, FaceReading, Fatigue, Frame, Reading

QUALITY_EVERY_S = 1.0
"""Light and sharpness of a face are measured at most this often: nobody reads faster, it costs a third of a JPEG."""


class Describer:
    """Describe readings and the daemon's state.

    Args:
        token_required: the page shows a button to log out.
        sender: tells which browser sends the pictures of a camera.
    """

    def __init__(
        self,
        view: DaemonView,
        *,
        token_required: bool,
        sender: Callable[[str], dict[str, Any] | None] = lambda _camera: None,
    ) -> None:
        self._view, self._token_required, self._sender = view, token_required, sender
        self._quality: dict[str, QualityCache] = {}

    def state(self, frames: FrameBroadcaster) -> dict[str, Any]:
        state = self._view.state() | {"token": self._token_required}
        for camera in state["cameras"]:
            camera["sender"] = self._sender(camera["name"])
            camera["lookers"] = frames.viewers(camera["name"])
            camera["pictures_to"] = frames.viewers(camera["name"], picture=True)
        return state

    def reading(self, camera: str, frame: Frame, reading: Reading) -> dict[str, Any]:
        cache = self._quality.setdefault(camera, QualityCache())
        return reading_json(frame, reading, self._view.rules(camera), cache.measure(frame, reading))


class QualityCache:
    """Measure the image quality of one camera's faces: when a face is new, and then every QUALITY_EVERY_S."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, ImageQuality | None]] = {}

    def measure(self, frame: Frame, reading: Reading) -> dict[int, ImageQuality | None]:
        """Quality by track, of the faces that are seen in this frame."""
        seen = [face for face in reading.faces if face.track.seen >= reading.t]
        self._known = {face.track.id: self._of(frame, face, reading.t) for face in seen}
        return {track: quality for track, (_, quality) in self._known.items()}

    def _of(self, frame: Frame, face: FaceReading, t: float) -> tuple[float, ImageQuality | None]:
        known = self._known.get(face.track.id)
        if known is not None and 0 <= t - known[0] < QUALITY_EVERY_S:
            return known
        return t, measure_quality(frame.image, face.track.face)


def reading_json(
    frame: Frame, reading: Reading, rules: SmoothingRules, quality: Mapping[int, ImageQuality | None]
) -> dict[str, Any]:
    """Describe one frame. Sizes and positions are in pixels of the source image, also where a smaller one is sent.

    ``quality``: by track.
    """
    return {
        "t": round(reading.t, 3),
        "size": [frame.width, frame.height],
        "main": reading.main,
        "faces": [_face(face, reading, rules, quality.get(face.track.id)) for face in reading.faces],
        "fatigue": None if reading.fatigue is None else _fields(reading.fatigue),
        "alerts": [_alert(alert, reading.t) for alert in reading.alerts],
        "gestures": [{"name": one.name, "face": one.track, "t": round(one.t, 3)} for one in reading.gestures],
    }


def explain(face: FaceReading, rules: SmoothingRules) -> dict[str, Any]:
    """Explain why a label is or is not published: which is held, which is the most likely, and what it still needs.

    ``needs``: the probability that the most likely label must reach; ``missing``: by how much it falls short.
    """
    if not face.smooth:
        return {"held": face.expression, "lead": None, "text": "this face has not been read yet"}
    held = face.expression
    lead = max(face.smooth, key=lambda label: (face.evidence.get(label, 0.0), label == held, face.smooth[label]))
    has = face.smooth[lead]
    needs = rules.off_threshold if held == lead else rules.on_threshold
    answer: dict[str, Any] = {"held": held, "lead": lead, "has": round(has, 3), "needs": round(needs, 3)}
    return answer | {"missing": round(max(0.0, needs - has), 3), "text": _explanation(face, rules, lead, has)}


def _explanation(face: FaceReading, rules: SmoothingRules, lead: str, has: float) -> str:
    held = face.expression
    if held == lead:
        return (
            f"{held} is held; it is dropped when it stays below {rules.off_threshold:.2f}, "
            f"or when another label leads clearly for {rules.time_constant_s:g} s, longer while somebody talks"
        )
    if held is not None and (share := face.evidence.get(lead, 0.0)) < 1:
        return f"{lead} has {share:.0%} of the evidence that it needs to replace {held}"
    if has < rules.on_threshold:
        return f"{lead} is the most likely label with {has:.2f}; it is published from {rules.on_threshold:.2f} on"
    return f"{lead} is the most likely label and must stay so for {rules.min_hold_s:g} s"


def _face(face: FaceReading, reading: Reading, rules: SmoothingRules, quality: ImageQuality | None) -> dict[str, Any]:
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
        "signals": None if face.signals is None else _signals(face.signals),
        "quality": None if quality is None else _fields(quality),
        "strengths": {name: round(value, 3) for name, value in reading.strengths.get(face.track.id, {}).items()},
        "why": explain(face, rules),
    }


def _alert(alert: Alert, t: float) -> dict[str, Any]:
    return {
        "name": alert.name,
        "level": alert.level,
        "reason": alert.reason,
        "for_s": round(max(0.0, t - alert.since), 1),
        "buzzer": alert.pattern is not None,
    }


def _signals(state: EyeMouthState) -> dict[str, Any]:
    return {
        "eyes_closed": _rounded(state.eyes_closed),
        "mouth_open": _rounded(state.mouth_open),
        "nod": _rounded(state.head_pitch),
        **{name: _rounded(getattr(state, name)) for name in ("yaw", "pitch", "roll", "lids", "mouth")},
        **{name: _rounded(getattr(state, name)) for name in ("right_closed", "left_closed")},
        "hidden": state.hidden,
    }


def _fields(value: Fatigue | ImageQuality) -> dict[str, Any]:
    """The fields of a flat dataclass, floats rounded."""
    return {name: _rounded(getattr(value, name)) for name in value.__slots__}


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
