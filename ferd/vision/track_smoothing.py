"""Smooth the expression of each track over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ferd.policy.sensitivity import tuned
from ferd.policy.smoothing import Smoother, SmoothingRules
from ferd.types import EyeMouthState, FaceReading, MouthShape, Track
from ferd.vision.landmarks import mouth_width

Scores = NDArray[np.float32]


class ExpressionSmoother:
    """Keep one smoother per track; forget it when the track is gone."""

    def __init__(self, labels: Sequence[str], rules: SmoothingRules) -> None:
        self.labels = tuple(labels)
        self._configured = self._rules = rules
        self._factor = 1.0
        self._smoothers: dict[int, Smoother] = {}

    def use(self, rules: SmoothingRules) -> None:
        """Take over other rules. The labels that are held stay held; the next frame is judged by the new rules."""
        self._configured = rules
        self.tune(self._factor)

    def tune(self, factor: float) -> None:
        """Scale the thresholds by a factor of the sensitivity (ferd/policy/sensitivity.py)."""
        self._factor = factor
        self._rules = tuned(self._configured, factor)
        for smoother in self._smoothers.values():
            smoother.rules = self._rules

    def with_labels(self, labels: Sequence[str]) -> ExpressionSmoother:
        """Return this smoother when the labels are the same, else an empty one with the same rules and factor."""
        if tuple(labels) == self.labels:
            return self
        other = ExpressionSmoother(labels, self._configured)
        other.tune(self._factor)
        return other

    def __call__(
        self,
        t: float,
        tracks: Sequence[Track],
        scores: Mapping[int, Scores],
        signals: Mapping[int, EyeMouthState],
        mouths: Mapping[int, MouthShape] | None = None,
    ) -> tuple[FaceReading, ...]:
        """Update all tracks, and return their readings in the same order.

        A track without scores was not read in this frame and keeps its values; one that never had scores since the
        labels changed is left out.

        Args:
            scores, signals: by track id.
            mouths: the same, from a recording; None: measured at the landmarks of the tracks' faces.
        """
        if mouths is None:
            mouths = {track.id: mouth for track in tracks if (mouth := mouth_shape(track)) is not None}
        self._smoothers = {
            track.id: self._smoothers.get(track.id) or Smoother(self.labels, self._rules)
            for track in tracks
            if track.id in self._smoothers or track.id in scores
        }
        return tuple(
            self._read(t, track, scores.get(track.id), signals.get(track.id), mouths.get(track.id))
            for track in tracks
            if track.id in self._smoothers
        )

    def _read(
        self, t: float, track: Track, scores: Scores | None, signals: EyeMouthState | None, mouth: MouthShape | None
    ) -> FaceReading:
        smoother = self._smoothers[track.id]
        plain = None if scores is None else scores.tolist()
        held = smoother.now if plain is None else smoother.update(t, plain, mouth)
        return FaceReading(
            track=track,
            scores={} if plain is None else self._by_label(plain),
            smooth=self._by_label(held.smooth),
            expression=held.label,
            confidence=held.confidence,
            since=held.since,
            signals=signals,
            evidence=self._by_label(held.evidence),
            mouth=None if plain is None else mouth,
        )

    def _by_label(self, values: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.labels, values, strict=True))


def mouth_shape(track: Track) -> MouthShape | None:
    """Return the shape of a face's mouth, None without landmarks."""
    reading = track.face.landmarks
    return None if reading is None else MouthShape(reading.mouth_aperture, mouth_width(reading.points))
