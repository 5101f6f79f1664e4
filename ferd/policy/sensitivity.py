"""How easily expressions and alerts are taken up: one number from 0 to 100 that a user sets, turned into a factor."""

from __future__ import annotations

from dataclasses import replace

from ferd.policy.smoothing import SmoothingRules

MIDDLE = 50.0
"""What is configured holds as it stands."""
HIGHEST = 0.95
"""No threshold is raised above this: a label that must be surer is never held."""


def factor(sensitivity: float) -> float:
    """What thresholds are multiplied by: 2 at 0, 1 at 50, 0.5 at 100. Each step of it is as large as any other."""
    return float(2.0 ** ((MIDDLE - sensitivity) / 50))


def scaled(threshold: float, by: float) -> float:
    """A threshold between 0 and 1, multiplied and kept below HIGHEST (unless it was configured above it)."""
    return min(threshold * by, max(threshold, HIGHEST))


def tuned(rules: SmoothingRules, by: float) -> SmoothingRules:
    """Scale both thresholds; `off_threshold` stays at or below `on_threshold`."""
    return replace(rules, on_threshold=scaled(rules.on_threshold, by), off_threshold=scaled(rules.off_threshold, by))
