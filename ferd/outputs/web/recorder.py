"""The last minutes as numbers, without pictures: what other settings would have told can be computed from them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from ferd.types import Box, EyeMouthState, Face, Reading, Track

KEEP_S = 300.0
MOST = 6000
"""Frames: 5 minutes at 20 a second, 3 MB with one face."""
NOWHERE = Face(Box(0, 0, 1, 1))


class Kept(NamedTuple):
    """One tracked face: ``scores`` as float32 bytes, empty where it was not seen."""

    id: int
    born: float
    seen: float
    scores: bytes
    signals: EyeMouthState | None

    def track(self) -> Track:
        return Track(self.id, NOWHERE, self.born, self.seen)


class Moment(NamedTuple):
    """One frame. ``told``: what was held of the main face; ``level``: of the worst alert."""

    t: float
    main: int | None
    faces: tuple[Kept, ...]
    told: str | None
    level: str


class Recorder:
    """One writer, many readers: `moments` copies."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque(maxlen=MOST)
        self.labels: tuple[str, ...] = ()

    def add(self, reading: Reading) -> None:
        if self._moments and reading.t <= self._moments[-1].t:
            self._moments.clear()  # another source, whose time begins anew
        scored = next((face.scores for face in reading.faces if face.scores), None)
        if scored is not None and tuple(scored) != self.labels:
            self._moments.clear()
            self.labels = tuple(scored)
        main = reading.main_face
        self._moments.append(
            Moment(
                reading.t,
                reading.main,
                tuple(
                    Kept(
                        face.track.id,
                        face.track.born,
                        face.track.seen,
                        np.fromiter(face.scores.values(), np.float32).tobytes(),
                        face.signals,
                    )
                    for face in reading.faces
                ),
                None if main is None else main.expression,
                reading.alerts[0].level if reading.alerts else "none",
            )
        )
        while self._moments[-1].t - self._moments[0].t > KEEP_S:
            self._moments.popleft()

    def moments(self) -> list[Moment]:
        """May be called from any thread."""
        for _ in range(10):
            try:
                return list(self._moments)
            except RuntimeError:  # it grew meanwhile
                continue
        return []
