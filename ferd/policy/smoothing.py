"""From one frame's probabilities to an expression that is held: what was seen since the last change, told calmly.

Pure functions of (time, scores): no clock, no camera. All rules are in seconds.

Which label is held is decided by `Changes`: guesses since when the face shows what it shows, and the mean of all frames
since then. Frames that lie close together see the same blink, blur and lamp: `tau_s` of them count as one look, and no
frame as more than one. So a change is told after one or two clear frames, while a torn face keeps what it has.

How sure that is, and whether it is sure enough to be told, says the first-order low-pass dy/dt = (log x - y) / T over
log-probabilities, solved exactly between frames, T = CALM * tau_s: it follows a smile that fades, and a constant face
keeps its own, calibrated probabilities. `scripts/bench-smoothing` compares all this with others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferd.policy.changepoint import ChangepointFilter, Values, probabilities

CALM = 3.0
"""The filter's time constant, in units of tau_s."""
STEP_S = 0.5
"""After a gap one frame's scores stand for at most so long: one picture is no proof, however long the gap."""
LEAST_LOOK = 1e-6
"""Less of a look is the same moment again, and says nothing."""
FLOOR = 1e-3
"""No single frame is surer than this that a label is not there."""
GIVE_UP_S = 0.25
"""So long, and hold_s, a label is held that is not sure any more: else every change would pass through unsure."""


@dataclass(frozen=True, slots=True)
class SmoothingRules:
    """`tau_s`: what counts as one look. `enter`, `leave`: filtered probabilities. `lead`: ratio of beliefs. `hold_s`.

    Meaning and defaults: SmoothingConfig in ferd/config/models.py.
    """

    tau_s: float
    enter: float
    leave: float
    lead: float
    hold_s: float


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
        looks = 1.0 if self.rules.tau_s <= 0 else min(passed / self.rules.tau_s, 1.0)
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
        if self.rules.tau_s <= 0:
            return logs if passed > 0 else self._logs
        left = math.exp(-passed / (CALM * self.rules.tau_s))
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
        needed = self.rules.hold_s + (GIVE_UP_S if wanted is None else 0)
        if t - self._rival.since >= needed - 1e-9:
            self._held, self._since, self._rival = wanted, t, None
            if wanted is not None and probabilities(logs)[wanted] > probabilities(self._logs)[wanted]:
                self._logs = logs  # what was seen before belongs to another expression

    def _wanted(self, logs: Values) -> int | None:
        assert self._logs is not None
        smooth = probabilities(self._logs)
        top = self._belief.index(max(self._belief))
        held = self._held
        leads = held is None or top == held or self._belief[top] >= self.rules.lead * self._belief[held]
        sure = max(smooth[top], probabilities(logs)[top])
        if leads and sure >= self.rules.enter:
            return top
        return held if held is not None and smooth[held] >= self.rules.leave else None

    def _note_confidence(self) -> None:
        """A label that is on its way out (below `leave`) keeps the confidence it had."""
        assert self._logs is not None
        if self._held is not None and (now := probabilities(self._logs)[self._held]) >= self.rules.leave:
            self._confidence = now
