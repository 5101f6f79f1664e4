"""The keys of [[alerts]]: rules on any label of any model, and on whether faces are there."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ferd.config.types import Flag, Fraction, Number, Seconds, Section
from ferd.errors import ConfigError
from ferd.outputs.buzzer.patterns import SILENT
from ferd.outputs.mqtt.names import slug

FATIGUE = "fatigue"
"""The name of the alert that the fatigue policy gives."""


class Condition(Section):
    """Either `label` with `above` or `below`, or `faces`."""

    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is what counts."""
    above: Fraction | None = None
    """Holds while the label's probability is above this."""
    below: Fraction | None = None
    """Holds while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """Holds while nobody, or somebody, is there."""

    @model_validator(mode="after")
    def _one_kind(self) -> Condition:
        if problem := _problem(self):
            raise ValueError(problem)
        return self


class AlertConfig(Section):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    """What people read, such as "sad for long". Each rule needs a name of its own."""
    label: str | None = None
    """A label of the configured model; its smoothed probability for the main face is what counts."""
    above: Fraction | None = None
    """Holds while the label's probability is above this."""
    below: Fraction | None = None
    """Holds while it is below this. Without a face a label is neither above nor below."""
    faces: Literal["absent", "present"] | None = None
    """Holds while nobody, or somebody, is there."""
    all: list[Condition] = Field(default_factory=list)
    """Instead of one condition: several, all of which must hold. [{label = "sadness", above = 0.5}, …]"""
    any: list[Condition] = Field(default_factory=list)
    """Instead of one condition: several, one of which is enough."""
    for_s: Seconds = 5.0
    """The condition must hold for so long."""
    cooldown_s: Annotated[Number, Field(ge=0, le=86400)] = 60.0
    """After its end the alert is not given again for so long."""
    level: Literal["notice", "warning", "alarm"] = "notice"
    """How urgent it is."""
    buzzer: str = SILENT
    """What the buzzer plays: a pattern such as "chirp", "default" for that of the level, or "off"."""
    mqtt: Flag = True
    """Tell it on MQTT."""

    @model_validator(mode="after")
    def _one_form(self) -> AlertConfig:
        single = any_given(self)
        if single + bool(self.all) + bool(self.any) != 1:
            raise ValueError("exactly one of these is needed: label (with above or below), faces, all, any")
        if single and (problem := _problem(self)):
            raise ValueError(problem)
        return self

    @property
    def conditions(self) -> Sequence[Condition]:
        """What it asks for, as a list."""
        own = (
            Condition(label=self.label, above=self.above, below=self.below, faces=self.faces)
            if any_given(self)
            else None
        )
        return [own] if own else self.all or self.any


def any_given(rule: Condition | AlertConfig) -> bool:
    """True when a condition stands in the rule itself."""
    return any(value is not None for value in (rule.label, rule.above, rule.below, rule.faces))


def _problem(rule: Condition | AlertConfig) -> str | None:
    bounds = (rule.above is not None) + (rule.below is not None)
    if rule.faces is not None:
        return "faces stands alone: leave out label, above and below" if rule.label is not None or bounds else None
    if rule.label is None:
        return 'label is missing: above and below are limits of a label. Or use faces = "absent"'
    return None if bounds == 1 else "a label needs either above or below"


def distinct_names(alerts: list[AlertConfig]) -> list[AlertConfig]:
    """Raises ValueError when two rules would be one in topics, where only letters, digits and hyphens count."""
    seen = {FATIGUE: FATIGUE}
    for alert in alerts:
        if (other := seen.setdefault(slug(alert.name), alert.name)) != alert.name or alert.name == FATIGUE:
            raise ValueError(f'"{alert.name}" and "{other}" are the same in topics; give each rule a name of its own')
    if twice := [name for name, times in Counter(alert.name for alert in alerts).items() if times > 1]:
        raise ValueError(f'"{twice[0]}" stands there twice; give each rule a name of its own')
    return alerts


def check_labels(alerts: Sequence[AlertConfig], labels: Sequence[str], model: str) -> None:
    """Raises ConfigError for the labels that the model does not have, each with the nearest one that it has."""
    problems = list(_unknown(alerts, labels))
    if problems:
        raise ConfigError("\n".join(f"{text} The model {model} has: {', '.join(labels)}" for text in problems))


def _unknown(alerts: Sequence[AlertConfig], labels: Sequence[str]) -> Iterator[str]:
    for alert in alerts:
        for condition in alert.conditions:
            if condition.label is not None and condition.label not in labels:
                lower = {label.lower(): label for label in labels}
                close = difflib.get_close_matches(condition.label.lower(), lower, n=1, cutoff=0.6)
                hint = f" Did you mean {lower[close[0]]}?" if close else ""
                yield f'alerts: "{alert.name}": unknown label {condition.label}.{hint}'
