"""[[alerts]]: the user's rules, and the labels that they need."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ferd.config.schema.values import Flag, Fraction, Number, Seconds, Section
from ferd.errors import ConfigError
from ferd.names import slug
from ferd.policy.gesture_rules import GestureName
from ferd.policy.sound_patterns import SILENT

FATIGUE = "fatigue"
"""Reserved name: the alert that the drowsiness policy raises."""


class Condition(Section):
    """Either `label` with `above` or `below`, or `faces`."""

    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is compared."""
    above: Fraction | None = None
    """True while the label's probability is above this."""
    below: Fraction | None = None
    """True while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """True while no face, or at least one, is visible."""
    gesture: GestureName | None = None
    """True for two seconds after the main face made this gesture; needs gestures.enabled."""

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        if problem := _condition_problem(self):
            raise ValueError(problem)
        return self


class AlertConfig(Section):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    """Name for people, such as "sad for long". Each rule needs its own."""
    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is compared."""
    above: Fraction | None = None
    """True while the label's probability is above this."""
    below: Fraction | None = None
    """True while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """True while no face, or at least one, is visible."""
    gesture: GestureName | None = None
    """True for two seconds after the main face made this gesture; needs gestures.enabled."""
    all: list[Condition] = Field(default_factory=list)
    """Instead of one condition: a list, all of which must be true. [{label = "sadness", above = 0.5}, …]"""
    any: list[Condition] = Field(default_factory=list)
    """Instead of one condition: a list, one of which is enough."""
    for_s: Seconds = 5.0
    """The condition must be true for this long before the alert begins. With a gesture: at once, where not set."""
    cooldown_s: Annotated[Number, Field(ge=0, le=86400)] = 60.0
    """After the alert has ended, it cannot begin again for this long."""
    level: Literal["notice", "warning", "alarm"] = "notice"
    """How urgent it is."""
    buzzer: str = SILENT
    """What the buzzer plays: a pattern such as "chirp", "default" for the pattern of the level, or "off"."""
    mqtt: Flag = True
    """Publish it over MQTT."""

    @model_validator(mode="after")
    def _one_form(self) -> AlertConfig:
        single = has_own_condition(self)
        if single + bool(self.all) + bool(self.any) != 1:
            raise ValueError("exactly one of these is needed: label (with above or below), faces, gesture, all, any")
        if single and (problem := _condition_problem(self)):
            raise ValueError(problem)
        if self.gestures and "for_s" in self.model_fields_set and self.for_s > 1:
            raise ValueError("a gesture is a moment: set for_s = 0, or leave it out")
        return self

    @property
    def gestures(self) -> set[str]:
        """The gestures that its conditions name."""
        return {one.gesture for one in self.conditions if one.gesture is not None}

    @property
    def conditions(self) -> Sequence[Condition]:
        """The conditions of the rule as a list; one element where the condition is written in the rule itself."""
        if has_own_condition(self):
            return [
                Condition(label=self.label, above=self.above, below=self.below, faces=self.faces, gesture=self.gesture)
            ]
        return self.all or self.any


def has_own_condition(rule: Condition | AlertConfig) -> bool:
    """Return whether a condition is written in the rule itself, not in `all` or `any`."""
    return any(value is not None for value in (rule.label, rule.above, rule.below, rule.faces, rule.gesture))


def _condition_problem(rule: Condition | AlertConfig) -> str | None:
    bounds = (rule.above is not None) + (rule.below is not None)
    if rule.gesture is not None:
        alone = rule.label is None and not bounds and rule.faces is None
        return None if alone else "gesture stands alone: leave out label, above, below and faces"
    if rule.faces is not None:
        return "faces stands alone: leave out label, above and below" if rule.label is not None or bounds else None
    if rule.label is None:
        return 'label is missing: above and below are limits of a label. Or use faces = "absent"'
    return None if bounds == 1 else "a label needs either above or below"


def distinct_names(alerts: list[AlertConfig]) -> list[AlertConfig]:
    """Return the rules. Raises ValueError where two of them have the same name, or the same one in topics."""
    # Topics contain the slug of a name, so two rules whose names differ only in case or punctuation collide.
    seen = {FATIGUE: FATIGUE}
    for alert in alerts:
        if (other := seen.setdefault(slug(alert.name), alert.name)) != alert.name or alert.name == FATIGUE:
            raise ValueError(f'"{alert.name}" and "{other}" are the same in topics; give each rule its own name')
    if twice := [name for name, times in Counter(alert.name for alert in alerts).items() if times > 1]:
        raise ValueError(f'"{twice[0]}" is used twice; give each rule its own name')
    return alerts


def check_labels(alerts: Sequence[AlertConfig], labels: Sequence[str], model: str) -> None:
    """Check that the model has every label that the rules name.

    Raises:
        ConfigError: one line for each unknown label, with the nearest known one.
    """
    problems = list(_unknown_labels(alerts, labels))
    if problems:
        raise ConfigError("\n".join(f"{text} The model {model} has: {', '.join(labels)}" for text in problems))


def _unknown_labels(alerts: Sequence[AlertConfig], labels: Sequence[str]) -> Iterator[str]:
    for alert in alerts:
        for condition in alert.conditions:
            if condition.label is not None and condition.label not in labels:
                lower = {label.lower(): label for label in labels}
                close = difflib.get_close_matches(condition.label.lower(), lower, n=1, cutoff=0.6)
                hint = f" Did you mean {lower[close[0]]}?" if close else ""
                yield f'alerts: "{alert.name}": unknown label {condition.label}.{hint}'
