"""Scale thresholds by the sensitivity, a number from 0 to 100 that a user sets."""

from __future__ import annotations

from dataclasses import replace

from ferd.policy.smoothing import SmoothingRules

MIDDLE = 50.0
"""The sensitivity at which thresholds are those of the configuration."""
HIGHEST = 0.95
"""No threshold is raised above this: beyond it no label would ever be held."""


def factor(sensitivity: float) -> float:
    """Return the factor of thresholds: 2 at 0, 1 at 50, 0.5 at 100, geometric in between."""
    return float(2.0 ** ((MIDDLE - sensitivity) / 50))


def scaled(threshold: float, by: float) -> float:
    """Multiply a threshold between 0 and 1, up to HIGHEST (or its own value, if that is higher)."""
    return min(threshold * by, max(threshold, HIGHEST))


def tuned(rules: SmoothingRules, by: float) -> SmoothingRules:
    """Scale both thresholds; `off_threshold` stays at or below `on_threshold`."""
    return replace(rules, on_threshold=scaled(rules.on_threshold, by), off_threshold=scaled(rules.off_threshold, by))
