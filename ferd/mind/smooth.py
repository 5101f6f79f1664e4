"""From one frame's probabilities to an expression that is held: filter, hysteresis, minimum hold.

Pure functions of (time, scores): no clock, no camera. All rules are in seconds. The filter is the first-order
low-pass dy/dt = (log x - y) / tau over log-probabilities, solved exactly between frames: a running geometric mean,
which one frame that rules a label out moves further than an arithmetic one. A constant face keeps its own
probabilities, so they stay calibrated. A frame's scores stand for the time since the frame before it (at most
STEP_S), and the moment at which a label takes the lead is looked up between the frames, so that it does not depend
on where they fall. `scripts/bench-smoothing` compares it with other filters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEP_S = 0.5
"""After a gap one frame's scores stand for at most so long: one picture is no evidence for a minute."""
FLOOR = 1e-3
"""No single frame is surer than this that a label is not there."""
HALVINGS = 20

Values = tuple[float, ...]
"""One number a label. Plain floats: for so few of them numpy takes three times as long."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`tau_s`: time constant. `enter`, `leave`: filtered probabilities. `lead`: ratio. `hold_s`: least lead in time.

    Meaning and defaults: SmoothingConfig in ferd/config/schema.py.
    """

    tau_s: float
    enter: float
    leave: float
    lead: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """`smooth`: filtered probabilities. `label`: what is held, None while unsure, told at `since`."""

    smooth: Values
    label: str | None
    confidence: float | None
    since: float


@dataclass(frozen=True, slots=True)
class _Rival:
    """What should be held instead (None: nothing, since nothing is sure), and since when."""

    label: int | None
    since: float


class Smoother:
    """Filters one face's scores. Feed it with `update` at rising times. `rules` may be changed between two updates."""

    def __init__(self, labels: Sequence[str], rules: Rules) -> None:
        self._labels = tuple(labels)
        self.rules = rules
        self._logs: Values | None = None
        self._t = 0.0
        self._held: int | None = None
        self._confidence = 0.0
        self._since = 0.0
        self._rival: _Rival | None = None

    def update(self, t: float, scores: Sequence[float]) -> Held:
        """One frame: `t` in seconds, `scores` with one probability a label."""
        target = tuple(math.log(max(score, FLOOR)) for score in scores)
        if self._logs is None:
            self._logs, self._t, self._since = target, t, t
        before, step = self._logs, min(max(t - self._t, 0.0), STEP_S)
        self._logs, self._t = self._moved(before, target, step), t
        self._challenge(t - step, step, before, target)
        if self._rival is not None and t - self._rival.since >= self.rules.hold_s - 1e-9:
            self._held, self._since, self._rival = self._rival.label, t, None
        self._note_confidence()
        return self.now

    @property
    def now(self) -> Held:
        """The state after the last update."""
        assert self._logs is not None, "update() comes first"
        smooth = _probabilities(self._logs)
        if self._held is None:
            return Held(smooth, None, None, self._since)
        return Held(smooth, self._labels[self._held], self._confidence, self._since)

    def _note_confidence(self) -> None:
        """A label that is on its way out (below `leave`, and hold_s has not passed) keeps the confidence it had."""
        assert self._logs is not None
        if self._held is not None and (now := _probabilities(self._logs)[self._held]) >= self.rules.leave:
            self._confidence = now

    def _moved(self, before: Values, target: Values, seconds: float) -> Values:
        """The filter's answer so many seconds after `before`, while the scores are `target`."""
        if self.rules.tau_s <= 0:
            return target if seconds > 0 else before
        left = math.exp(-seconds / self.rules.tau_s)
        return tuple(new + (old - new) * left for old, new in zip(before, target, strict=True))

    def _wanted(self, logs: Values) -> int | None:
        """What these filtered values say should be held, given what is held."""
        smooth = _probabilities(logs)
        top = smooth.index(max(smooth))
        leads = self._held is None or top == self._held or smooth[top] >= self.rules.lead * smooth[self._held]
        if smooth[top] >= self.rules.enter and leads:
            return top
        return self._held if self._held is not None and smooth[self._held] >= self.rules.leave else None

    def _challenge(self, start: float, step: float, before: Values, target: Values) -> None:
        """Notes which label (or None) should be held now instead of the one that is, and since when."""
        assert self._logs is not None
        wanted = self._wanted(self._logs)
        if wanted == self._held:
            self._rival = None
        elif self._rival is None or self._rival.label != wanted:
            self._rival = _Rival(wanted, start + self._turning_point(wanted, step, before, target))

    def _turning_point(self, wanted: int | None, step: float, before: Values, target: Values) -> float:
        """How many seconds into the step `wanted` came to be wanted, by halving."""
        early, late = 0.0, step
        if self._wanted(before) == wanted:
            return early
        for _ in range(HALVINGS):
            middle = (early + late) / 2
            if self._wanted(self._moved(before, target, middle)) == wanted:
                late = middle
            else:
                early = middle
        return late


def _probabilities(logs: Values) -> Values:
    most = max(logs)
    powers = [math.exp(value - most) for value in logs]
    total = sum(powers)
    return tuple(power / total for power in powers)
