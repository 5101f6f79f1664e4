"""Recognise the gestures of each track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ferd.policy.gesture_rules import GestureName, GestureRules
from ferd.policy.gestures import GestureRecogniser
from ferd.types import Gesture, Reading
from ferd.vision.gesture_measures import measures_of

LINGER_S = 2.0
"""For so long a gesture stays in the readings, for alerts that have one as a condition."""


class GestureWatch:
    """Keep one recogniser per track; forget it when the track is gone. Call it with each reading, at rising times."""

    def __init__(self, rules: GestureRules, *, mirror: bool = False) -> None:
        self._rules, self._mirror = rules, mirror
        self._recognisers: dict[int, GestureRecogniser] = {}
        self._recent: tuple[Gesture, ...] = ()

    def use(self, rules: GestureRules, *, mirror: bool = False) -> None:
        """Take over other rules; what is being observed goes on."""
        self._rules, self._mirror = rules, mirror
        for recogniser in self._recognisers.values():
            recogniser.rules = rules

    def tune(self, thresholds: Mapping[GestureName, float]) -> None:
        """Take over thresholds that were tuned for the person; {} for the defaults. They last until the next `use`."""
        self.use(replace(self._rules, thresholds=thresholds), mirror=self._mirror)

    def __call__(self, reading: Reading) -> Reading:
        """Return the reading with `gestures` and `strengths`."""
        t = reading.t
        self._recognisers = {
            face.track.id: self._recognisers.get(face.track.id) or GestureRecogniser(self._rules)
            for face in reading.faces
        }
        recent = [gesture for gesture in self._recent if 0 <= t - gesture.t < LINGER_S]
        for face in reading.faces:
            measures = measures_of(face, mirror=self._mirror) if face.track.seen >= t else None
            found = self._recognisers[face.track.id].update(t, measures)
            recent += [Gesture(name, face.track.id, t) for name in found]
        self._recent = tuple(recent)
        strengths = {track: recogniser.strengths for track, recogniser in self._recognisers.items()}
        return replace(reading, gestures=self._recent, strengths=strengths)
