"""Keep what the cameras read, in bounded memory: timelines of a day, the frames of five minutes, the last events.

One camera takes 56 kB for its timelines (3,480 bins of 16 bytes) and up to 3 MB for its recording.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ferd.payloads import AnyEvent
from ferd.snapshot import CameraEvent, Snapshot
from ferd.types import LEVELS, Box, EyeMouthState, Face, MouthShape, Reading, Track

BIN = np.dtype(
    [
        ("number", "<i8"),
        ("frames", "u1"),
        ("label", "u1"),
        ("confidence", "u1"),
        ("people", "u1"),
        ("closed", "u1"),
        ("perclos", "u1"),
        ("awareness", "u1"),
        ("level", "u1"),
    ]
)
"""``number`` counts bins since the clock's zero. All but ``frames``, ``label``, ``people``, ``level`` in percent."""
UNKNOWN = 255
COLUMNS = [name for name in BIN.names or () if name != "number"]
MAX_LABELS = 250
MAX_EVENTS = 200
RECORDED_S = 300.0
MAX_RECORDED_FRAMES = 6000
"""5 minutes at 20 frames a second: 3 MB with one face."""
_NO_FACE = Face(Box(0, 0, 1, 1))


@dataclass(slots=True)
class _OpenBin:
    """The bin that is being filled. ``sums``: by column, (sum, count)."""

    number: int
    frames: int = 0
    labels: Counter[int] = field(default_factory=Counter)
    people: Counter[int] = field(default_factory=Counter)
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    level: int = 0

    def add(self, name: str, value: float | None) -> None:
        if value is not None:
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = total + value, count + 1

    def percent(self, name: str) -> int:
        total, count = self.sums.get(name, (0.0, 0))
        return UNKNOWN if not count else round(100 * min(1.0, max(0.0, total / count)))

    def row(self) -> tuple[int, ...]:
        return (
            self.number,
            min(self.frames, 255),
            self.labels.most_common(1)[0][0] if self.labels else UNKNOWN,
            self.percent("confidence"),
            min(self.people.most_common(1)[0][0], 254) if self.people else 0,
            self.percent("closed"),
            self.percent("perclos"),
            self.percent("awareness"),
            self.level,
        )


class BinSeries:
    """A ring of `bins` bins of `width_s` seconds each. A bin without a frame is a gap."""

    def __init__(self, width_s: float, bins: int) -> None:
        self.width_s, self.bins = width_s, bins
        self._rows = np.zeros(bins, BIN)
        self._rows["number"] = -1
        self._open: _OpenBin | None = None

    @property
    def nbytes(self) -> int:
        return int(self._rows.nbytes)

    def add(self, now: float, reading: Reading, label: int) -> None:
        """Add a reading. ``now``: rising seconds. ``label``: index of the held label, UNKNOWN for none."""
        number = int(now // self.width_s)
        if self._open is None or self._open.number != number:
            self._close_bin()
            self._open = _OpenBin(number)
        bin_, face = self._open, reading.main_face
        bin_.frames += 1
        bin_.people[len(reading.faces)] += 1
        if label != UNKNOWN:
            bin_.labels[label] += 1
        if reading.alerts:
            bin_.level = max(bin_.level, LEVELS.index(reading.alerts[0].level))
        if face is not None:
            bin_.add("confidence", face.confidence)
            bin_.add("closed", face.signals.eyes_closed if face.signals else None)
        if reading.fatigue is not None:
            bin_.add("perclos", reading.fatigue.perclos)
            bin_.add("awareness", reading.fatigue.awareness)

    def columns(self, now: float) -> dict[str, list[int]]:
        """Values by column, the oldest bin first; the last one is that of ``now``, still open."""
        last = int(now // self.width_s)
        rows = np.zeros(self.bins, BIN)
        rows["label"] = UNKNOWN
        for name in ("confidence", "closed", "perclos", "awareness"):
            rows[name] = UNKNOWN
        wanted = np.arange(last - self.bins + 1, last + 1)
        stored = self._rows[wanted % self.bins]
        known = stored["number"] == wanted
        rows[known] = stored[known]
        if (open_bin := self._open) is not None and 0 <= last - open_bin.number < self.bins:
            rows[self.bins - 1 - (last - open_bin.number)] = open_bin.row()
        return {name: rows[name].tolist() for name in COLUMNS}

    def _close_bin(self) -> None:
        if self._open is not None:
            self._rows[self._open.number % self.bins] = self._open.row()


class Timeline:
    """One camera's last ten minutes by the second and last day by half minutes, and the labels that occurred."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.series = {"recent": BinSeries(1.0, 600), "day": BinSeries(30.0, 2880)}

    def add(self, now: float, reading: Reading) -> None:
        face = reading.main_face
        label = UNKNOWN if face is None or face.expression is None else self._index(face.expression)
        for series in self.series.values():
            series.add(now, reading, label)

    def view(self, span: str, now: float) -> dict[str, Any]:
        """Columns of one span ("recent" or "day"), as JSON values."""
        series = self.series[span]
        return {"width_s": series.width_s, "labels": list(self.labels), **series.columns(now)}

    def _index(self, label: str) -> int:
        if label in self.labels:
            return self.labels.index(label)
        if len(self.labels) >= MAX_LABELS:
            return UNKNOWN
        self.labels.append(label)
        return len(self.labels) - 1


class RecordedFace(NamedTuple):
    """One tracked face: ``scores`` as float32 bytes, empty where it was not seen in the frame."""

    id: int
    born: float
    seen: float
    scores: bytes
    signals: EyeMouthState | None
    mouth: MouthShape | None = None

    def track(self) -> Track:
        return Track(self.id, _NO_FACE, self.born, self.seen)


class RecordedFrame(NamedTuple):
    """One frame as numbers. ``label``: held of the main face; ``level``: of the worst alert."""

    t: float
    main: int | None
    faces: tuple[RecordedFace, ...]
    label: str | None
    level: str


class Recorder:
    """Record the frames of RECORDED_S as numbers, without images. The loop writes; any thread may read a copy."""

    def __init__(self) -> None:
        self._frames: deque[RecordedFrame] = deque(maxlen=MAX_RECORDED_FRAMES)
        self.labels: tuple[str, ...] = ()

    def add(self, reading: Reading) -> None:
        if self._frames and reading.t <= self._frames[-1].t:
            self._frames.clear()  # another source, whose time starts again
        scored = next((face.scores for face in reading.faces if face.scores), None)
        if scored is not None and tuple(scored) != self.labels:
            self._frames.clear()  # another model
            self.labels = tuple(scored)
        main = reading.main_face
        faces = tuple(
            RecordedFace(
                face.track.id,
                face.track.born,
                face.track.seen,
                np.fromiter(face.scores.values(), np.float32).tobytes(),
                face.signals,
                face.mouth,
            )
            for face in reading.faces
        )
        label = None if main is None else main.expression
        level = reading.alerts[0].level if reading.alerts else "none"
        self._frames.append(RecordedFrame(reading.t, reading.main, faces, label, level))
        while self._frames[-1].t - self._frames[0].t > RECORDED_S:
            self._frames.popleft()

    def frames(self) -> list[RecordedFrame]:
        """Copy the frames, the oldest first."""
        for _ in range(10):
            try:
                return list(self._frames)
            except RuntimeError:  # the loop added a frame during the copy
                continue
        return []


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it came. ``wall``: when, in seconds since 1970."""

    node: str
    camera: str
    wall: float
    payload: AnyEvent

    def to_dict(self) -> dict[str, Any]:
        """The published JSON, with the camera, the node and ``told_at``."""
        return {**self.payload.to_dict(), "node": self.node, "camera": self.camera, "told_at": round(self.wall, 1)}


class ReadingLog:
    """What the page keeps of all cameras. The loop writes, the server's thread reads."""

    def __init__(self) -> None:
        self.timelines: dict[str, Timeline] = {}
        self.recorders: dict[str, Recorder] = {}
        self._events: deque[LoggedEvent] = deque(maxlen=MAX_EVENTS)

    def add(self, camera: str, reading: Reading) -> None:
        self.timelines.setdefault(camera, Timeline()).add(time.monotonic(), reading)
        self.recorders.setdefault(camera, Recorder()).add(reading)

    def add_events(self, snapshot: Snapshot, events: Sequence[CameraEvent]) -> None:
        node = snapshot.config.node.name
        self._events.extend(LoggedEvent(node, event.camera, snapshot.wall, event.payload) for event in events)

    def events(self, camera: str) -> list[dict[str, Any]]:
        """One camera's events, the oldest first, as JSON values."""
        return [event.to_dict() for event in list(self._events) if event.camera == camera]
