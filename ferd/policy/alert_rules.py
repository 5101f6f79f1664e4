"""Evaluate alert rules on labels of any model and on the presence of faces. Pure: readings in, alerts out.

A condition must hold for `for_s`; a short interruption (ferd/policy/episodes.py) does not restart the timer. The alert
ends when the condition has failed for longer than that, and is not raised again within `cooldown_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ferd.policy.episodes import ROUNDING, EpisodeDetector, IntervalBuilder
from ferd.policy.sensitivity import scaled
from ferd.types import Alert, Level, Reading


@dataclass(frozen=True, slots=True)
class Condition:
    """A label above or below a probability, faces "absent" or "present", or a gesture of the main face."""

    label: str | None = None
    above: float | None = None
    below: float | None = None
    faces: Literal["absent", "present"] | None = None
    gesture: str | None = None

    def holds(self, reading: Reading, factor: float = 1.0) -> bool:
        """Return whether the condition holds; without a main face no label is above or below.

        Args:
            factor: `above` is multiplied by it (ferd/policy/sensitivity.py).
        """
        if self.faces is not None:
            return bool(reading.faces) == (self.faces == "present")
        if self.gesture is not None:
            return any(one.name == self.gesture and one.track == reading.main for one in reading.gestures)
        face = reading.main_face
        value = face.smooth.get(self.label or "") if face else None
        if value is None:
            return False
        if self.above is not None:
            return value > scaled(self.above, factor)
        return self.below is not None and value < self.below

    def __str__(self) -> str:
        return self.label or self.gesture or f"faces_{self.faces}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Hold the values of one [[alerts]] entry. Meaning of those not listed: AlertConfig.

    Attributes:
        combine: `all` or `any`, applied to the conditions.
        pattern: what the buzzer plays, None for silence.
    """

    name: str
    conditions: Sequence[Condition]
    combine: Callable[[Sequence[bool]], bool] = field(default=all)
    for_s: float = 0.0
    cooldown_s: float = 0.0
    level: Level = "notice"
    pattern: str | None = None
    mqtt: bool = True

    @property
    def subject(self) -> object:
        """What the rule observes, without thresholds and times. Observations of another subject are no evidence."""
        conditions = tuple((one.label, one.above is None, one.faces, one.gesture) for one in self.conditions)
        return conditions, self.combine


class AlertRule:
    """Evaluate one rule over time. `rule` may be replaced by one with the same subject: observations are kept."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._intervals = IntervalBuilder[bool]()
        self._episodes = EpisodeDetector()
        self._since: float | None = None
        self._reason = ""
        self._ended: float | None = None

    def update(self, reading: Reading, factor: float = 1.0) -> Alert | None:
        """Return the alert while it holds."""
        t, rule = reading.t, self.rule
        each = [condition.holds(reading, factor) for condition in rule.conditions]
        holds = rule.combine(each)
        for interval in self._intervals.add(t, holds):
            self._episodes.add(interval.start, interval.end, interval.state, lost=interval.state is None)
        episode = self._episodes.current
        if episode is None:
            if self._since is not None:
                self._since, self._ended = None, t
            return None
        rested = self._ended is None or t >= self._ended + rule.cooldown_s - ROUNDING
        if self._since is None and holds and episode.length >= rule.for_s - ROUNDING and rested:
            self._since = t
            self._reason = str(next(c for c, held in zip(rule.conditions, each, strict=True) if held))
        if self._since is None:
            return None
        return Alert(rule.name, rule.level, self._reason, self._since, rule.pattern, mqtt=rule.mqtt)
