"""Estimate which expression a face shows and since when: Bayesian online changepoint detection, frame by frame.

After Adams and MacKay 2007 (arXiv 0710.3742). While a face holds an expression, the logarithms of its scores scatter
around one point, with outliers at a blink or a blur. When the expression changes, they scatter around another point:
that is detected whether or not another label is ahead, and earlier frames are no evidence about the new expression.

Pure: no clock, no camera. The constants were chosen with `scripts/bench-smoothing`, which measures the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CHANGES_PER_S = 0.3
"""Rate at which expressions change."""
NOISE = 0.75
"""Spread of a label's log-probability from frame to frame while an expression is held: standard deviation, 0.6 to 0.9
on the bench's scenes."""
SPREAD = 3.0
"""The same between expressions."""
FREEDOM = 5.0
"""Degrees of freedom of the noise (Student's t): a blink is a large deviation and not rare."""
TRUST = 0.6
"""Exponent of each frame's likelihood: the errors of neighbouring frames are correlated."""
MEMORY = 20.0
"""Observations before the last MEMORY ones fade: otherwise a slow change would take longer and longer to detect."""
RUNS = 4
"""Number of hypotheses that are kept, the most likely ones. 16 bring no improvement."""

Values = tuple[float, ...]
"""One number per label. Plain floats: for this few numpy takes three times as long."""


class _Run(NamedTuple):
    """One hypothesis: the expression has been held for `observations`.

    Attributes:
        weight: log-probability of the hypothesis.
        total: sum of the observations' centred log-probabilities.
    """

    weight: float
    observations: float
    total: Values

    def with_frame(self, seen: Values, weight: float) -> _Run:
        """Add a frame; the oldest observations fade, so that a slow change is followed too."""
        kept = min(1.0, MEMORY / (self.observations + weight))
        total = (kept * old + weight * new for old, new in zip(self.total, seen, strict=True))
        return self._replace(observations=kept * self.observations + weight, total=tuple(total))


class ChangepointFilter:
    """Track the belief about one face. Call `update` with each frame."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def update(self, logs: Values, passed: float, weight: float) -> Values:
        """Add a frame.

        Args:
            logs: its log-probabilities, one per label.
            passed: seconds since the frame before.
            weight: what it counts as an observation, above 0 and at most 1.

        Returns:
            One probability per label: the mean over the hypotheses, each by its frames since the change.
        """
        middle = sum(logs) / len(logs)
        seen = tuple(log - middle for log in logs)
        log_weights, runs = self._most_likely(seen, passed, weight)
        self._runs = [
            run.with_frame(seen, weight)._replace(weight=log_weight)
            for log_weight, run in zip(log_weights, runs, strict=True)
        ]
        means = [probabilities([value / run.observations for value in run.total]) for run in self._runs]
        shares = probabilities(log_weights)
        return tuple(
            sum(share * one for share, one in zip(shares, of_label, strict=True))
            for of_label in zip(*means, strict=True)
        )

    def _most_likely(self, seen: Values, passed: float, weight: float) -> tuple[list[float], list[_Run]]:
        """Return the new log-weights and the hypotheses that are kept, oldest first, including a change now."""
        runs = [run._replace(weight=run.weight - CHANGES_PER_S * passed) for run in self._runs]
        changed = -math.expm1(-CHANGES_PER_S * passed) if runs else 1.0
        if changed > 0:
            new = _Run(math.log(changed), 0.0, (0.0,) * len(seen))
            if runs and runs[-1].observations + weight <= 1:  # that one began within this observation: merge them
                new = runs[-1]._replace(weight=_log_sum([runs.pop().weight, new.weight]))
            runs.append(new)
        weights = [run.weight + _likelihood(run, seen, weight) for run in runs]
        if len(runs) > RUNS:
            young = runs[-1].observations + 2 * weight <= 1  # kept until it has one whole observation
            least = weights.index(min(weights[:-1] if young else weights))
            del runs[least], weights[least]
        total = _log_sum(weights)
        return [value - total for value in weights], runs


def _likelihood(run: _Run, seen: Values, weight: float) -> float:
    """Return the log-likelihood of a frame under a hypothesis, without its constant: a multivariate Student's t.

    Its centre is the run's mean, which is itself uncertain: a normal prior of variance SPREAD², narrowed by each
    observation.
    """
    precision = run.observations + (NOISE / SPREAD) ** 2
    spread = NOISE**2 * (1 / precision + 1 / weight)
    off = sum((value - total / precision) ** 2 for value, total in zip(seen, run.total, strict=True))
    free = max(len(seen) - 1, 1)  # they sum to 0
    return -0.5 * TRUST * ((FREEDOM + free) * math.log1p(off / (spread * FREEDOM)) + free * math.log(spread))


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(value - most) for value in logs))


def probabilities(logs: Sequence[float]) -> Values:
    """Return the softmax of `logs`."""
    most = max(logs)
    powers = [math.exp(value - most) for value in logs]
    total = sum(powers)
    return tuple(power / total for power in powers)
