"""Run the pipeline over a recording, without a clock or a network: one line for each analysed frame.

A trace is what `ferd replay --jsonl` printed: faces with their scores. Replayed, it goes through tracks, smoothing,
fatigue, alerts and events again, so that other settings can be tried without the video.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ferd.errors import SourceEnded, SourceError
from ferd.event_builder import EventBuilder
from ferd.policy.alert_engine import AlertEngine
from ferd.sources.base import Source
from ferd.types import Box, EyeMouthState, EyesHidden, Face, FaceReading, Fatigue, Frame, MouthShape, Reading, Track
from ferd.vision.track_smoothing import ExpressionSmoother, Scores

EYE_MOUTH_KEYS = {
    "eyes_closed": "eyes_closed",
    "mouth_open": "mouth_open",
    "nod": "head_pitch",
    **{name: name for name in ("yaw", "pitch", "roll", "lids", "mouth")},
}
"""Keys of a face in a trace -> attributes of EyeMouthState."""
MAX_T = 1e9
"""Seconds, about thirty years. Larger times in a trace are errors."""


def frames(source: Source) -> Iterator[Frame]:
    """Yield all frames of an opened source. Raises SourceError when it breaks off."""
    while True:
        try:
            yield source.read()
        except SourceEnded:
            return


def lines(readings: Iterable[Reading], builder: EventBuilder) -> Iterator[dict[str, Any]]:
    """Yield what `replay --jsonl` prints: each reading, and what would be published.

    Wall time begins in 1970 at t = 0.
    """
    for reading in readings:
        published = builder.update(reading, reading.t)
        yield {
            "t": round(reading.t, 3),
            "faces": [_face(face) for face in reading.faces],
            "main": reading.main,
            "state": None if published.state is None else published.state.to_dict(),
            "events": [event.to_dict() for event in published.events],
            "alert": None if published.alert is None else published.alert.to_dict(),
            "fatigue": None if reading.fatigue is None else _fatigue(reading.fatigue),
        }


def to_json(line: dict[str, Any]) -> str:
    """Format a line without spaces."""
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def read_trace(
    path: Path, labels: Iterable[str], smoother: ExpressionSmoother, watch: AlertEngine
) -> Iterator[Reading]:
    """Yield the readings of a trace. Raises SourceError with the number of a wrong line."""
    labels = tuple(labels)
    empty = True
    tracks: dict[int, Track] = {}
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                reading = watch(_reading(json.loads(text), labels, smoother, tracks))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
                problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                raise SourceError(
                    f"{path}:{number}: not a line of a trace for this model ({problem}). "
                    "`ferd replay VIDEO --jsonl` writes traces"
                ) from None
            empty = False
            yield reading
    if empty:
        raise SourceError(f"{path}: is empty; `ferd replay VIDEO --jsonl` writes traces")


def _face(face: FaceReading) -> dict[str, Any]:
    return {
        "track": face.track.id,
        "box": [round(value, 1) for value in face.track.face.box],
        "scores": {label: round(score, 4) for label, score in face.scores.items()},
        "expression": face.expression,
        "confidence": None if face.confidence is None else round(face.confidence, 2),
        **{key: _rounded(getattr(face.signals, name, None)) for key, name in EYE_MOUTH_KEYS.items()},
        "hidden": getattr(face.signals, "hidden", None),
        "mouth_shape": None if face.mouth is None else [round(value, 4) for value in face.mouth],
    }


def _fatigue(fatigue: Fatigue) -> dict[str, Any]:
    """Return the measures of this frame; what is published changes less often."""
    return {key: _rounded(value) if isinstance(value, float) else value for key, value in asdict(fatigue).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _reading(
    line: dict[str, Any], labels: tuple[str, ...], smoother: ExpressionSmoother, known: dict[int, Track]
) -> Reading:
    """Turn a line back into a reading; ``known`` holds the tracks of the lines before."""
    t = float(line["t"])
    if not 0 <= t < MAX_T:
        raise ValueError(f"t is {t}")
    tracks: list[Track] = []
    scores: dict[int, Scores] = {}
    states: dict[int, EyeMouthState] = {}
    mouths: dict[int, MouthShape] = {}
    for face in line["faces"]:
        number = int(face["track"])
        seen = bool(face["scores"])
        before = known.get(number)
        track = Track(
            number,
            Face(Box(*map(float, face["box"]))),
            before.born if before else t,
            t if seen or not before else before.seen,
        )
        known[number] = track
        tracks.append(track)
        if seen:
            scores[number] = np.array([float(face["scores"][label]) for label in labels], np.float32)
            numbers = {name: _number(face.get(key)) for key, name in EYE_MOUTH_KEYS.items()}
            states[number] = EyeMouthState(**numbers, hidden=_hidden(face.get("hidden")))
            if face.get("mouth_shape") is not None:
                opening, width = face["mouth_shape"]
                mouths[number] = MouthShape(float(opening), float(width))
    main = line["main"]
    return Reading(t, smoother(t, tracks, scores, states, mouths), None if main is None else int(main))


def _hidden(value: Any) -> EyesHidden | None:
    if value is not None and value not in get_args(EyesHidden):
        raise ValueError(f"hidden is {value!r}")
    hidden: EyesHidden | None = value
    return hidden


def _number(value: Any) -> float | None:
    """Convert a value; one that an older trace lacks is None."""
    return None if value is None else float(value)
