"""The pipeline over a recording, without a clock or a network: one line for each analysed frame.

A trace is what `ferd replay --jsonl` printed: faces with their scores. Played again, it goes through tracks,
smoothing, fatigue, alerts and telling anew, so that other settings can be tried without the video.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ferd.errors import SourceEnded, SourceError
from ferd.event_builder import EventBuilder
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.topics import EVENT
from ferd.policy.alert_engine import AlertEngine
from ferd.sources.base import Source
from ferd.types import Box, EyeMouthState, Face, FaceReading, Fatigue, Frame, Reading, Track
from ferd.vision.pipeline import ExpressionSmoother, Scores

SIGNALS = ("eyes_closed", "mouth_open", "nod")
"""The keys of a face's signals, as Signals has them."""
LONGEST_S = 1e9
"""Seconds: thirty years. Times beyond it are no times."""


def frames(source: Source) -> Iterator[Frame]:
    """All frames of an opened source. Raises SourceError when it breaks off."""
    while True:
        try:
            yield source.read()
        except SourceEnded:
            return


def lines(readings: Iterable[Reading], narrator: EventBuilder) -> Iterator[dict[str, Any]]:
    """What `replay --jsonl` prints: the reading, and what would be published. Wall time begins in 1970 at t = 0."""
    for reading in readings:
        messages = narrator.tell(reading, reading.t)
        yield {
            "t": round(reading.t, 3),
            "faces": [_face(face) for face in reading.faces],
            "main": reading.main,
            "state": None if narrator.state is None else narrator.state.to_dict(),
            "events": _events(messages),
            "alert": None if narrator.alert is None else narrator.alert.to_dict(),
            "fatigue": None if reading.fatigue is None else _fatigue(reading.fatigue),
        }


def to_json(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def read_trace(path: Path, labels: Iterable[str], mind: ExpressionSmoother, watch: AlertEngine) -> Iterator[Reading]:
    """The readings of a trace. Raises SourceError with the line that is wrong."""
    labels = tuple(labels)
    empty = True
    seen: dict[int, Track] = {}
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            try:
                reading = watch(_reading(json.loads(text), labels, mind, seen))
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
        **{key: _rounded(getattr(face.signals, key, None)) for key in SIGNALS},
    }


def _fatigue(fatigue: Fatigue) -> dict[str, Any]:
    """Of this very frame: what is published comes less often."""
    return {key: _rounded(value) if isinstance(value, float) else value for key, value in asdict(fatigue).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _events(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if EVENT.names_in(m.topic)]


def _reading(
    line: dict[str, Any], labels: tuple[str, ...], mind: ExpressionSmoother, seen: dict[int, Track]
) -> Reading:
    t = float(line["t"])
    if not 0 <= t < LONGEST_S:
        raise ValueError(f"t is {t}")
    tracks: list[Track] = []
    scores: dict[int, Scores] = {}
    signals: dict[int, EyeMouthState] = {}
    for face in line["faces"]:
        number = int(face["track"])
        fresh = bool(face["scores"])
        before = seen.get(number)
        track = Track(
            number,
            Face(Box(*map(float, face["box"]))),
            before.born if before else t,
            t if fresh or not before else before.seen,
        )
        seen[number] = track
        tracks.append(track)
        if fresh:
            scores[number] = np.array([float(face["scores"][label]) for label in labels], np.float32)
            signals[number] = EyeMouthState(*(_number(face.get(key)) for key in SIGNALS))
    main = line["main"]
    return Reading(t, mind(t, tracks, scores, signals), None if main is None else int(main))


def _number(value: Any) -> float | None:
    """What older traces do not have is None."""
    return None if value is None else float(value)
