"""Turn per-frame probabilities into a label that is held.

Pure functions of (time, scores): no clock, no camera. All rules are in seconds.

`ChangepointFilter` decides which label is held: it keeps hypotheses about when the expression last changed and takes
the mean of all frames since then. Frames that lie close together share the same blink, blur and light, so a
`time_constant_s` of them counts as one observation and no frame counts as more than one. A change is published after
one or two clear frames, while an ambiguous face keeps its label.

The confidence, and whether it suffices to publish a label, comes from a first-order low-pass over log-probabilities,
dy/dt = (log x - y) / T, solved exactly between frames with T = CALM * time_constant_s: it follows a fading smile, and
a constant face keeps its own calibrated probabilities. `scripts/bench-smoothing` compares this with alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferd.policy.changepoint import ChangepointFilter, Values, probabilities

CALM = 3.0
"""The filter's time constant, in units of time_constant_s."""
STEP_S = 0.5
"""After a gap one frame's scores stand for at most so long: one picture is no proof, however long the gap."""
LEAST_LOOK = 1e-6
"""Less of a look is the same moment again, and says nothing."""
FLOOR = 1e-3
"""No single frame is surer than this that a label is not there."""
GIVE_UP_S = 0.25
"""So long, and min_hold_s, a label is held that is not sure any more: else every change would pass through unsure."""


@dataclass(frozen=True, slots=True)
class SmoothingRules:
    """Hold the values of [smoothing].

    Meaning and defaults: SmoothingConfig in ferd/config/models.py.
    """

    time_constant_s: float
    on_threshold: float
    off_threshold: float
    switch_ratio: float
    min_hold_s: float


@dataclass(frozen=True, slots=True)
class SmoothedLabel:
    """`belief`: by all looks since the change. `smooth`: filtered probabilities. `label`: held, told at `since`.

    `label` and `confidence` are None while unsure.
    """

    belief: Values
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
    """Reads one face over time. Feed it with `update` at rising times. `rules` may be changed between two updates."""

    def __init__(self, labels: Sequence[str], rules: SmoothingRules) -> None:
        self._labels = tuple(labels)
        self.rules = rules
        self._changes = ChangepointFilter()
        self._belief: Values = (1 / len(self._labels),) * len(self._labels)
        self._logs: Values | None = None
        self._t = 0.0
        self._held: int | None = None
        self._confidence = 0.0
        self._since = 0.0
        self._rival: _Rival | None = None

    def update(self, t: float, scores: Sequence[float]) -> SmoothedLabel:
        """One frame: `t` in seconds, `scores` with one probability a label."""
        logs = tuple(math.log(max(score, FLOOR)) for score in scores)
        if self._logs is None:
            self._logs, self._t, self._since = logs, t, t
            passed = STEP_S
        else:
            passed = min(max(t - self._t, 0.0), STEP_S)
        looks = 1.0 if self.rules.time_constant_s <= 0 else min(passed / self.rules.time_constant_s, 1.0)
        if looks > LEAST_LOOK:
            self._belief = self._changes.update(logs, passed, looks)
        self._logs, self._t = self._filtered(logs, passed), t
        self._decide(t, logs)
        self._note_confidence()
        return self.now

    @property
    def now(self) -> SmoothedLabel:
        """The state after the last update."""
        assert self._logs is not None, "update() comes first"
        smooth = probabilities(self._logs)
        if self._held is None:
            return SmoothedLabel(self._belief, smooth, None, None, self._since)
        return SmoothedLabel(self._belief, smooth, self._labels[self._held], self._confidence, self._since)

    def _filtered(self, logs: Values, passed: float) -> Values:
        assert self._logs is not None
        if self.rules.time_constant_s <= 0:
            return logs if passed > 0 else self._logs
        left = math.exp(-passed / (CALM * self.rules.time_constant_s))
        return tuple(new + (old - new) * left for old, new in zip(self._logs, logs, strict=True))

    def _decide(self, t: float, logs: Values) -> None:
        """Takes up the label that should be held instead of the one that is, once that has been so for long enough."""
        assert self._logs is not None
        wanted = self._wanted(logs)
        if wanted == self._held:
            self._rival = None
            return
        if self._rival is None or self._rival.label != wanted:
            self._rival = _Rival(wanted, t)
        needed = self.rules.min_hold_s + (GIVE_UP_S if wanted is None else 0)
        if t - self._rival.since >= needed - 1e-9:
            self._held, self._since, self._rival = wanted, t, None
            if wanted is not None and probabilities(logs)[wanted] > probabilities(self._logs)[wanted]:
                self._logs = logs  # what was seen before belongs to another expression

    def _wanted(self, logs: Values) -> int | None:
        assert self._logs is not None
        smooth = probabilities(self._logs)
        top = self._belief.index(max(self._belief))
        held = self._held
        leads = held is None or top == held or self._belief[top] >= self.rules.switch_ratio * self._belief[held]
        sure = max(smooth[top], probabilities(logs)[top])
        if leads and sure >= self.rules.on_threshold:
            return top
        return held if held is not None and smooth[held] >= self.rules.off_threshold else None

    def _note_confidence(self) -> None:
        """A label that is on its way out (below `off_threshold`) keeps the confidence it had."""
        assert self._logs is not None
        if self._held is not None and (now := probabilities(self._logs)[self._held]) >= self.rules.off_threshold:
            self._confidence = now
