"""Add fatigue and the alerts that hold to each reading, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ferd.policy.alert_rules import AlertRule, Rule
from ferd.policy.drowsiness import DrowsinessLimits, DrowsinessPolicy
from ferd.types import LEVELS, LEVELS_OWN, Alert, EyeMouthState, Fatigue, Reading

NAME = "fatigue"
"""The name of the drowsiness policy's alert."""
HAPPINESS = "happiness"
"""With this expression a wide-open mouth is a laugh; with models that lack it each one counts as a yawn."""


class AlertEngine:
    """Call it with each reading, at rising times. `limits`: None switches fatigue off."""

    def __init__(self, limits: DrowsinessLimits | None, rules: Sequence[Rule]) -> None:
        self.fatigue = DrowsinessPolicy(limits) if limits else None
        """None while fatigue is off."""
        self._rules = [AlertRule(rule) for rule in rules]
        self._factor = 1.0

    def use(self, limits: DrowsinessLimits | None, rules: Sequence[Rule]) -> None:
        """Change limits and rules while observations and running alerts are kept.

        Args:
            limits: None switches fatigue off; limits after None start it without a history.
            rules: recognised by their names. A rule that is missing ends; one with another subject starts again.
        """
        if limits is None or self.fatigue is None:
            self.fatigue = DrowsinessPolicy(limits) if limits else None
        else:
            self.fatigue.use(limits)
        running = {one.rule.name: one for one in self._rules}
        self._rules = [_continued(running.pop(rule.name, None), rule) for rule in rules]
        self.tune(self._factor)

    def tune(self, factor: float) -> None:
        """Set the factor of the sensitivity (ferd/policy/sensitivity.py). Seconds of closed eyes are not affected."""
        self._factor = factor
        if self.fatigue:
            self.fatigue.factor = factor

    def __call__(self, reading: Reading) -> Reading:
        """Return the reading with `fatigue` and `alerts`."""
        fatigue, alerts = self._fatigue_of(reading)
        alerts += [alert for rule in self._rules if (alert := rule.update(reading, self._factor))]
        if fatigue is reading.fatigue and not alerts and not reading.alerts:
            return reading  # the ordinary frame, without fatigue
        alerts.sort(key=lambda alert: -LEVELS.index(alert.level))
        return replace(reading, fatigue=fatigue, alerts=tuple(alerts))

    def _fatigue_of(self, reading: Reading) -> tuple[Fatigue | None, list[Alert]]:
        if self.fatigue is None:
            return None, []
        face = reading.main_face
        seen = face is not None and face.track.seen >= reading.t
        happy = face is not None and face.expression == HAPPINESS
        fatigue = self.fatigue.update(reading.t, (face.signals or EyeMouthState()) if face and seen else None, happy)
        if fatigue.level == "none" or fatigue.reason is None:
            return fatigue, []
        since = self.fatigue.since
        repeat_s = self.fatigue.repeat_s
        alert = Alert(NAME, fatigue.level, fatigue.reason, since, LEVELS_OWN, fatigue.awareness, repeat_s=repeat_s)
        return fatigue, [alert]


def _continued(running: AlertRule | None, rule: Rule) -> AlertRule:
    if running is None or running.rule.subject != rule.subject:
        return AlertRule(rule)
    running.rule = rule
    return running
