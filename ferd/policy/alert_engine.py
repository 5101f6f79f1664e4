"""What a reading means beyond the expression: fatigue and the alerts that hold, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ferd.policy.alert_rules import AlertRule, Rule
from ferd.policy.drowsiness import DrowsinessLimits, DrowsinessPolicy
from ferd.types import LEVELS, LEVELS_OWN, Alert, EyeMouthState, Fatigue, Reading

NAME = "fatigue"
"""The name of the policy's alert."""
HAPPINESS = "happiness"
"""With this expression a wide-open mouth laughs; models without it take every one for a yawn."""


class AlertEngine:
    """Call it with each reading, at rising times. `limits`: None where fatigue is off."""

    def __init__(self, limits: DrowsinessLimits | None, rules: Sequence[Rule]) -> None:
        self.fatigue = DrowsinessPolicy(limits) if limits else None
        """None where it is off."""
        self._rules = [AlertRule(rule) for rule in rules]
        self._factor = 1.0

    def tune(self, factor: float) -> None:
        """`factor`: see ferd/policy/sensitivity.py. The seconds of shut eyes are never changed by it."""
        self._factor = factor
        if self.fatigue:
            self.fatigue.factor = factor

    def __call__(self, reading: Reading) -> Reading:
        """The same reading with `fatigue` and `alerts`."""
        fatigue, alerts = self._tired(reading)
        alerts += [alert for rule in self._rules if (alert := rule.update(reading, self._factor))]
        alerts.sort(key=lambda alert: -LEVELS.index(alert.level))
        return replace(reading, fatigue=fatigue, alerts=tuple(alerts))

    def _tired(self, reading: Reading) -> tuple[Fatigue | None, list[Alert]]:
        if self.fatigue is None:
            return None, []
        face = reading.main_face
        seen = face is not None and face.track.seen >= reading.t
        happy = face is not None and face.expression == HAPPINESS
        fatigue = self.fatigue.update(reading.t, (face.signals or EyeMouthState()) if face and seen else None, happy)
        if fatigue.level == "none" or fatigue.reason is None:
            return fatigue, []
        since = self.fatigue.since
        return fatigue, [Alert(NAME, fatigue.level, fatigue.reason, since, LEVELS_OWN, fatigue.awareness)]
