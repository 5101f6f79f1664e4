"""Turn per-frame probabilities into a label that is held.

Pure functions of (time, scores): no clock, no camera. All rules are in seconds.

`Evidence` decides which label is held: another one must have led clearly for `time_constant_s` in all, less the time
that spoke against it. While the face is restless (somebody talks: scores and mouth move to and fro), a change needs up
to MOST_CAUTION times as much. What a mouth does while it talks is not evidence of an expression.

The confidence, and whether it suffices to publish a label, comes from a first-order low-pass over log-probabilities,
dy/dt = (log x - y) / time_constant_s, solved exactly between frames: it follows a fading smile, and a constant face
keeps its own calibrated probabilities. `scripts/bench-smoothing` measures the result on video.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferd.policy.evidence import Evidence, Values
from ferd.policy.restlessness import Restlessness

STEP_S = 0.5
"""The longest time that one frame's scores stand for: a single frame after a long gap proves nothing."""
FLOOR = 1e-3
"""Lower bound of a frame's probabilities, which limits the weight of a single frame against a label."""
NOTICEABLE = math.log(0.01)
"""Lower bound of log-probabilities where frames are compared: whether a label has 0.01 or 0.001 means nothing."""
RECENT_SHARE = 1 / 3
"""What a face shows now is averaged over this share of time_constant_s: the start of a new label's confidence."""
QUIET_SCORES, RESTLESS_SCORES = 0.35, 0.45
"""Movement of log-probabilities within a fifth of a second, in nats, up to which a face counts as quiet, and what
beyond that doubles the evidence which a change needs. Medians at 5 to 30 frames a second: still faces 0.1, faces that
change every four seconds 0.3, people who talk 0.6."""
QUIET_MOUTH, RESTLESS_MOUTH = 0.03, 0.045
"""The same of the mouth: the mean of its opening and its width, in eye distances. Medians: still faces 0.01, faces that
change 0.02, drivers 0.03, people who talk 0.07."""
MOST_CAUTION = 3.0
WIDE, YAWN = 0.5, 0.7
"""Opening of a mouth in eye distances from which on a frame counts less, and at which it counts YAWN_WEIGHT: a yawn is
no expression, but reads as anger, surprise or sadness for seconds. Yawns have 0.6 to 0.85, posed surprise up to 0.4."""
YAWN_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class SmoothingRules:
    """Hold the values of [smoothing].

    Meaning and defaults: SmoothingConfig in ferd/config/schema.
    """

    time_constant_s: float
    on_threshold: float
    off_threshold: float
    switch_ratio: float
    min_hold_s: float
    caution: float = 0.0


@dataclass(frozen=True, slots=True)
class SmoothedLabel:
    """The smoothed result for one face.

    Attributes:
        evidence: per label, the share of the evidence that it needs to replace the held one, 0 to 1.
        smooth: filtered probabilities.
        label: the label that is held since `since`; None while no label is certain, as is `confidence`.
    """

    evidence: Values
    smooth: Values
    label: str | None
    confidence: float | None
    since: float


@dataclass(frozen=True, slots=True)
class _Rival:
    """The label that should replace the held one (None: no label), and since when, on the clock of weighted frames."""

    label: int | None
    since: float


class Smoother:
    """Smooth the scores of one face. Call `update` at rising times.

    `rules` may be replaced between two updates; what is held stays held.
    """

    def __init__(self, labels: Sequence[str], rules: SmoothingRules) -> None:
        self._labels = tuple(labels)
        self.rules = rules
        self._evidence = Evidence(len(self._labels))
        self._scores, self._mouth = Restlessness(), Restlessness()
        self._logs: Values | None = None
        self._recent: Values = ()
        self._smooth: Values = ()
        self._t = self._clock = 0.0
        self._held: int | None = None
        self._confidence = 0.0
        self._since = 0.0
        self._rival: _Rival | None = None

    def update(self, t: float, scores: Sequence[float], mouth: Sequence[float] | None = None) -> SmoothedLabel:
        """Add one frame.

        Args:
            t: seconds.
            scores: one probability per label.
            mouth: opening and width of the mouth in eye distances, None where they are not known.
        """
        logs = tuple([math.log(max(score, FLOOR)) for score in scores])
        if self._logs is None:
            self._logs = self._recent = logs
            self._t = self._since = t
        elif t <= self._t:
            return self.now  # the same moment again
        passed = min(t - self._t, STEP_S) * self._weight(mouth)
        self._clock += passed
        self._logs = self._filtered(self._logs, logs, passed, self.rules.time_constant_s)
        self._recent = self._filtered(self._recent, logs, passed, RECENT_SHARE * self.rules.time_constant_s)
        self._smooth = probabilities(self._logs)
        self._t = t
        noticeable = tuple([NOTICEABLE if log < NOTICEABLE else log for log in logs])
        caution = self._caution(t, logs, noticeable, mouth)
        self._decide(self._wanted(noticeable, passed, caution), caution)
        self._update_confidence()
        return self.now

    @property
    def now(self) -> SmoothedLabel:
        """The state after the last update."""
        assert self._smooth, "update() comes first"
        if self._held is None:
            return SmoothedLabel(self._evidence.shares, self._smooth, None, None, self._since)
        label = self._labels[self._held]
        return SmoothedLabel(self._evidence.shares, self._smooth, label, self._confidence, self._since)

    def _weight(self, mouth: Sequence[float] | None) -> float:
        """Return the share of its time for which a frame counts."""
        if mouth is None or self.rules.caution <= 0:
            return 1.0
        return min(max((YAWN - mouth[0]) / (YAWN - WIDE), YAWN_WEIGHT), 1.0)

    def _caution(self, t: float, logs: Values, noticeable: Values, mouth: Sequence[float] | None) -> float:
        """By how much more evidence than on a still face a change needs: 1 to MOST_CAUTION."""
        if self.rules.caution <= 0:
            return 1.0
        middle = sum(logs) / len(logs)
        self._scores.update(t, [log - middle for log in noticeable])
        if mouth is not None:
            self._mouth.update(t, mouth)
        restless = max(0.0, self._scores.level - QUIET_SCORES) / RESTLESS_SCORES
        restless += max(0.0, self._mouth.level - QUIET_MOUTH) / RESTLESS_MOUTH
        return min(1 + self.rules.caution * restless, MOST_CAUTION)

    def _filtered(self, old: Values, new: Values, passed: float, time_constant_s: float) -> Values:
        """Return the low-pass after a frame: at first the mean of all frames, so that the first one counts no more."""
        if time_constant_s <= 0 or passed >= self._clock:
            return new
        left = min(math.exp(-passed / time_constant_s), 1 - passed / self._clock)
        return tuple([b + (a - b) * left for a, b in zip(old, new, strict=True)])

    def _wanted(self, noticeable: Values, passed: float, caution: float) -> int | None:
        """Return the label that should be held now."""
        smooth = self._smooth
        if self._held is None:
            top = smooth.index(max(smooth))
            return top if smooth[top] >= self.rules.on_threshold else None
        winner = self._evidence.update(
            noticeable,
            self._held,
            math.log(self.rules.switch_ratio),
            passed,
            self.rules.time_constant_s * caution,
        )
        on = self.rules.on_threshold
        if winner is not None and (smooth[winner] >= on or probabilities(self._recent)[winner] >= on):
            return winner
        uncertain = smooth[self._held] < self.rules.off_threshold and max(smooth) < self.rules.on_threshold
        return None if uncertain else self._held

    def _decide(self, wanted: int | None, caution: float) -> None:
        """Replace the held label once the wanted one has been wanted for long enough."""
        if wanted == self._held:
            self._rival = None
            return
        if self._rival is None or self._rival.label != wanted:
            self._rival = _Rival(wanted, self._clock)
        needed = self.rules.min_hold_s
        if wanted is None or self._held is None:  # no label: not in between, and not for a moment
            needed += self.rules.time_constant_s * (caution if wanted is None else 1)
        if self._clock - self._rival.since < needed - 1e-9:
            return
        if wanted is not None and self._held is not None:
            self._logs = self._recent  # earlier frames belong to another expression
            self._smooth = probabilities(self._logs)
        self._held, self._since, self._rival = wanted, self._t, None
        self._evidence.reset()

    def _update_confidence(self) -> None:
        """Update the confidence; a label below `off_threshold`, about to be dropped, keeps its last one."""
        if self._held is not None and (now := self._smooth[self._held]) >= self.rules.off_threshold:
            self._confidence = now


def probabilities(logs: Sequence[float]) -> Values:
    """Return the softmax of `logs`."""
    most = max(logs)
    powers = [math.exp(value - most) for value in logs]
    total = sum(powers)
    return tuple([power / total for power in powers])
