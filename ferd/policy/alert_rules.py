"""Alert rules: on any label of any model, and on whether faces are there. Pure: readings in, alerts out.

A condition must hold for `for_s`; a short interruption (ferd/policy/episodes.py) does not restart the timer. The alert
ends when the condition has failed for longer than that, and is not raised again within `cooldown_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferd.policy.episodes import ROUNDING, EpisodeDetector
from ferd.policy.intervals import IntervalBuilder
from ferd.policy.sensitivity import scaled
from ferd.types import Alert, Level, Reading


@dataclass(frozen=True, slots=True)
class Condition:
    """Either a label above or below a probability, or faces "absent" or "present"."""

    label: str | None = None
    above: float | None = None
    below: float | None = None
    faces: Literal["absent", "present"] | None = None

    def holds(self, reading: Reading, factor: float = 1.0) -> bool:
        """`factor` of the sensitivity: `above` is multiplied by it. Without a main face no label is above or below."""
        if self.faces is not None:
            return bool(reading.faces) == (self.faces == "present")
        face = reading.main_face
        value = face.smooth.get(self.label or "") if face else None
        if value is None:
            return False
        if self.above is not None:
            return value > scaled(self.above, factor)
        return self.below is not None and value < self.below

    def __str__(self) -> str:
        return self.label or f"faces_{self.faces}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`combine`: all or any of the conditions. `pattern`: of the buzzer, None for silence. Rest: AlertConfig."""

    name: str
    conditions: Sequence[Condition]
    combine: Callable[[Sequence[bool]], bool] = field(default=all)
    for_s: float = 0.0
    cooldown_s: float = 0.0
    level: Level = "notice"
    pattern: str | None = None
    mqtt: bool = True


class AlertRule:
    """One rule over time."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._pieces = IntervalBuilder[bool]()
        self._spells = EpisodeDetector()
        self._since: float | None = None
        self._reason = ""
        self._again = 0.0

    def update(self, reading: Reading, factor: float = 1.0) -> Alert | None:
        """The alert while it holds."""
        t, rule = reading.t, self.rule
        each = [condition.holds(reading, factor) for condition in rule.conditions]
        holds = rule.combine(each)
        for piece in self._pieces.add(t, holds):
            self._spells.add(piece.start, piece.end, piece.state, lost=piece.state is None)
        spell = self._spells.current
        if spell is None:
            if self._since is not None:
                self._since, self._again = None, t + rule.cooldown_s
            return None
        if self._since is None and holds and spell.length >= rule.for_s - ROUNDING and t >= self._again - ROUNDING:
            self._since = t
            self._reason = str(next(c for c, held in zip(rule.conditions, each, strict=True) if held))
        if self._since is None:
            return None
        return Alert(rule.name, rule.level, self._reason, self._since, rule.pattern, mqtt=rule.mqtt)
