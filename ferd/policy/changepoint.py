"""Since when a face has shown what it shows, and what that is: Bayesian online changepoint detection, frame by frame.

After Adams and MacKay 2007 (arXiv 0710.3742). While a face holds an expression, the logarithms of its scores lie around
one place, farther off with a blink or a blur. When it changes, they lie around another, and stay there: that is seen
whether or not another label is ahead, and what came before is no evidence about what is shown now.

Pure: no clock, no camera. `scripts/bench-smoothing` measures what it is worth; the constants were chosen there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CHANGES_PER_S = 0.3
"""How often an expression changes."""
NOISE = 0.75
"""Spread of a label's log-probability from frame to frame while an expression is held: standard deviation, 0.6 to 0.9
on the bench's scenes."""
SPREAD = 3.0
"""The same from one expression to another."""
FREEDOM = 5.0
"""Degrees of freedom of the noise (Student's t): a blink is far off, and not rare."""
TRUST = 0.6
"""Each frame's likelihood is taken to this power, since neighbouring frames err alike."""
MEMORY = 20.0
"""Looks before the last so many fade: else a slow change would take ever longer to be seen."""
RUNS = 4
"""So many guesses since when are kept, the likeliest. With 16 nothing gets better."""

Values = tuple[float, ...]
"""One number a label. Plain floats: for so few of them numpy takes three times as long."""


class _Run(NamedTuple):
    """One guess: the expression has been held for so many `looks`, whose centred log-probabilities add up to `total`.

    `weight` is a log-probability.
    """

    weight: float
    looks: float
    total: Values

    def with_look(self, seen: Values, looks: float) -> _Run:
        """This frame added; the oldest looks fade, so that a slow change is followed as well."""
        kept = min(1.0, MEMORY / (self.looks + looks))
        total = (kept * old + looks * new for old, new in zip(self.total, seen, strict=True))
        return self._replace(looks=kept * self.looks + looks, total=tuple(total))


class ChangepointFilter:
    """Beliefs about one face. Feed it with `update`."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def update(self, logs: Values, passed: float, looks: float) -> Values:
        """One frame: its log-probabilities, the seconds since the one before, and how much of a look it is (above 0).

        Returns one probability a label: the mean over the guesses, each by what it has seen since the change.
        """
        middle = sum(logs) / len(logs)
        seen = tuple(log - middle for log in logs)
        weights, runs = self._likeliest(seen, passed, looks)
        self._runs = [
            run.with_look(seen, looks)._replace(weight=weight) for weight, run in zip(weights, runs, strict=True)
        ]
        told = [probabilities([value / run.looks for value in run.total]) for run in self._runs]
        shares = probabilities(weights)
        return tuple(
            sum(share * one for share, one in zip(shares, of_label, strict=True))
            for of_label in zip(*told, strict=True)
        )

    def _likeliest(self, seen: Values, passed: float, looks: float) -> tuple[list[float], list[_Run]]:
        """The guesses that are kept, oldest first, and their new weights: now may be a change as well."""
        runs = [run._replace(weight=run.weight - CHANGES_PER_S * passed) for run in self._runs]
        changed = -math.expm1(-CHANGES_PER_S * passed) if runs else 1.0
        if changed > 0:
            anew = _Run(math.log(changed), 0.0, (0.0,) * len(seen))
            if runs and runs[-1].looks + looks <= 1:  # that guess began within this look: both are one
                anew = runs[-1]._replace(weight=_log_sum([runs.pop().weight, anew.weight]))
            runs.append(anew)
        weights = [run.weight + _likelihood(run, seen, looks) for run in runs]
        if len(runs) > RUNS:
            young = runs[-1].looks + 2 * looks <= 1  # not judged before it has had its look
            least = weights.index(min(weights[:-1] if young else weights))
            del runs[least], weights[least]
        total = _log_sum(weights)
        return [weight - total for weight in weights], runs


def _likelihood(run: _Run, seen: Values, looks: float) -> float:
    """Of a frame after what the run has seen, as a logarithm without its constant: a multivariate Student's t.

    Around the run's mean, which is itself uncertain: a normal prior of variance SPREAD², narrowed by each look.
    """
    precision = run.looks + (NOISE / SPREAD) ** 2
    spread = NOISE**2 * (1 / precision + 1 / looks)
    off = sum((value - total / precision) ** 2 for value, total in zip(seen, run.total, strict=True))
    free = max(len(seen) - 1, 1)  # they sum to 0
    return -0.5 * TRUST * ((FREEDOM + free) * math.log1p(off / (spread * FREEDOM)) + free * math.log(spread))


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(value - most) for value in logs))


def probabilities(logs: Sequence[float]) -> Values:
    """Softmax."""
    most = max(logs)
    powers = [math.exp(value - most) for value in logs]
    total = sum(powers)
    return tuple(power / total for power in powers)
