"""What was seen, second by second for ten minutes and half a minute at a time for a day. In memory, bounded. Pure.

A camera's day has 3,480 bins of 16 bytes: 56 kB.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferd.types import LEVELS, Reading

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
NONE = 255
COLUMNS = [name for name in BIN.names or () if name != "number"]
MOST_LABELS = 250


@dataclass(slots=True)
class _Open:
    """The bin that is being filled. ``sums``: of a column, (sum, how often)."""

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

    def mean(self, name: str) -> int:
        total, count = self.sums.get(name, (0.0, 0))
        return NONE if not count else round(100 * min(1.0, max(0.0, total / count)))

    def row(self) -> tuple[int, ...]:
        return (
            self.number,
            min(self.frames, 255),
            self.labels.most_common(1)[0][0] if self.labels else NONE,
            self.mean("confidence"),
            min(self.people.most_common(1)[0][0], 254) if self.people else 0,
            self.mean("closed"),
            self.mean("perclos"),
            self.mean("awareness"),
            self.level,
        )


class Strip:
    """``bins`` of `width_s` seconds each, the newest last. A bin without a frame is a gap."""

    def __init__(self, width_s: float, bins: int) -> None:
        self.width_s, self.bins = width_s, bins
        self._rows = np.zeros(bins, BIN)
        self._rows["number"] = -1
        self._open: _Open | None = None

    @property
    def nbytes(self) -> int:
        return int(self._rows.nbytes)

    def add(self, now: float, reading: Reading, label: int) -> None:
        """``now``: rising seconds. ``label``: index of what is held, NONE for nothing."""
        number = int(now // self.width_s)
        if self._open is None or self._open.number != number:
            self._finish()
            self._open = _Open(number)
        bin_, face = self._open, reading.main_face
        bin_.frames += 1
        bin_.people[len(reading.faces)] += 1
        if label != NONE:
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
        """By column, the oldest bin first; the last one is that of ``now``, still open."""
        last = int(now // self.width_s)
        rows = np.zeros(self.bins, BIN)
        rows["label"] = NONE
        for name in ("confidence", "closed", "perclos", "awareness"):
            rows[name] = NONE
        wanted = np.arange(last - self.bins + 1, last + 1)
        kept = self._rows[wanted % self.bins]
        known = kept["number"] == wanted
        rows[known] = kept[known]
        if (now_open := self._open) is not None and 0 <= last - now_open.number < self.bins:
            rows[self.bins - 1 - (last - now_open.number)] = now_open.row()
        return {name: rows[name].tolist() for name in COLUMNS}

    def _finish(self) -> None:
        if self._open is not None:
            self._rows[self._open.number % self.bins] = self._open.row()


class History:
    """One camera's strips, and the labels that their numbers stand for."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.strips = {"recent": Strip(1.0, 600), "day": Strip(30.0, 2880)}

    def add(self, now: float, reading: Reading) -> None:
        face = reading.main_face
        label = NONE if face is None or face.expression is None else self._number(face.expression)
        for strip in self.strips.values():
            strip.add(now, reading, label)

    def view(self, span: str, now: float) -> dict[str, Any]:
        strip = self.strips[span]
        return {"width_s": strip.width_s, "labels": list(self.labels), **strip.columns(now)}

    def _number(self, label: str) -> int:
        if label in self.labels:
            return self.labels.index(label)
        if len(self.labels) >= MOST_LABELS:
            return NONE
        self.labels.append(label)
        return len(self.labels) - 1
