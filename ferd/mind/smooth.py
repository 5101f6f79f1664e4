"""From one frame's probabilities to an expression that is held: filter, hysteresis, minimum hold.

Pure functions of (time, scores): no clock, no camera. All rules are in seconds. The filter is the first-order
low-pass dy/dt = (x - y) / tau, solved exactly between frames, where a frame's scores stand for the time since
the frame before it (at most STEP_S). The moment at which a label takes the lead is solved from the same
exponential, so that it does not depend on where the frames fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.5
"""After a gap one frame's scores stand for at most so long: one picture is no evidence for a minute."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`tau_s`: time constant. `enter`, `leave`: filtered probabilities. `hold_s`: least lead before a change."""

    tau_s: float = 0.6
    enter: float = 0.5
    leave: float = 0.35
    hold_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """`smooth`: filtered probabilities, shape (labels,). `label`: what is held, None while unsure, told at `since`."""

    smooth: NDArray[np.float64]
    label: str | None
    confidence: float | None
    since: float


class Smoother:
    """Filters one face's scores. Feed it with `update` at rising times."""

    def __init__(self, labels: Sequence[str], rules: Rules) -> None:
        self._labels = tuple(labels)
        self._rules = rules
        self._smooth: NDArray[np.float64] | None = None
        self._t = 0.0
        self._held: int | None = None
        self._since: float | None = None
        self._rival: int | None = None
        self._rival_since = 0.0
        self._rivalled = False

    def update(self, t: float, scores: Sequence[float] | NDArray[np.floating]) -> Held:
        """One frame: `t` in seconds, `scores` with one probability a label."""
        target = np.asarray(scores, dtype=np.float64)
        before = target if self._smooth is None else self._smooth
        step = 0.0 if self._since is None else min(max(t - self._t, 0.0), STEP_S)
        if self._since is None:
            self._since = t
        self._smooth = target + (before - target) * _decay(step, self._rules.tau_s)
        self._challenge(t - step, before, target)
        if self._rivalled and t - self._rival_since >= self._rules.hold_s - 1e-9:
            self._held, self._since, self._rivalled = self._rival, t, False
        self._t = t
        return self.now

    @property
    def now(self) -> Held:
        """The state after the last update."""
        assert self._smooth is not None, "update() comes first"
        if self._held is None:
            return Held(self._smooth, None, None, self._since or 0.0)
        return Held(self._smooth, self._labels[self._held], float(self._smooth[self._held]), self._since or 0.0)

    def _challenge(self, start: float, before: NDArray[np.float64], target: NDArray[np.float64]) -> None:
        """Notes which label (or None) should be held now, and since when it should."""
        assert self._smooth is not None
        top = int(np.argmax(self._smooth))
        if self._smooth[top] >= self._rules.enter:
            wanted: int | None = top
        elif self._held is not None and self._smooth[self._held] >= self._rules.leave:
            wanted = self._held
        else:
            wanted = None
        if wanted == self._held:
            self._rivalled = False
        elif not self._rivalled or wanted != self._rival:
            self._rivalled, self._rival = True, wanted
            self._rival_since = start + self._crossing(wanted, before, target)

    def _crossing(self, wanted: int | None, before: NDArray[np.float64], target: NDArray[np.float64]) -> float:
        """Seconds after the last frame at which the last condition for `wanted` came true."""
        if wanted is None:
            held = self._held if self._held is not None else int(np.argmax(before))
            conditions = [(self._rules.leave - before[held], self._rules.leave - target[held])]
        else:
            conditions = [(before[wanted] - self._rules.enter, target[wanted] - self._rules.enter)]
            conditions += [
                (before[wanted] - before[k], target[wanted] - target[k]) for k in range(len(before)) if k != wanted
            ]
        return max(_rise(start, end, self._rules.tau_s) for start, end in conditions)


def _decay(step: float, tau: float) -> float:
    return math.exp(-step / tau) if tau > 0 else (1.0 if step == 0 else 0.0)


def _rise(start: float, end: float, tau: float) -> float:
    """When end + (start - end) exp(-s / tau) reaches 0 from below; 0 if it is not below at the beginning."""
    if start >= 0 or end <= 0 or tau <= 0:
        return 0.0
    return -tau * math.log(end / (end - start))
