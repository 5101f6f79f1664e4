"""[buzzer]: pins, patterns and the snooze button."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails

from ferd.config.schema.values import Flag, Name, Number, Seconds, Section, Whole
from ferd.errors import ConfigError
from ferd.policy.sound_patterns import (
    BUILT_IN,
    DEFAULTS,
    LEVELS_OWN,
    MAX_HZ,
    MIN_HZ,
    SILENT,
    Kind,
    Pattern,
    pattern,
)

Pin = Annotated[Whole, Field(ge=2, le=27)]  # 0 and 1 are for the EEPROM of a HAT
# Checked by `pattern`, whose messages are clearer than those of a union of types.
Beats = list[list[Annotated[Any, WithJsonSchema({"type": ["number", "string"]})]]]


def _playable(patterns: dict[str, Beats]) -> dict[str, Beats]:
    for name, beats in patterns.items():
        if name in (SILENT, LEVELS_OWN):
            raise ValueError(f'"{name}" is a reserved word; give the pattern another name')
        pattern(name, beats)
    return patterns


class BuzzerConfig(Section):
    pin: Pin | None = None
    """GPIO (BCM) number of the buzzer's pin. Not set: no buzzer. 9 to 27 are low while the board starts."""
    kind: Literal["active", "passive"] = "active"
    """"active" sounds by itself when it has power; "passive" needs a tone, and can play melodies."""
    active_high: Flag = True
    """false for a module that sounds while its input is low."""
    tone_hz: Annotated[Number, Field(ge=MIN_HZ, le=MAX_HZ)] = 2048
    """Tone of a passive buzzer for patterns without one. Loudest near its resonance, often 2000 to 4000."""
    notice: str = DEFAULTS["notice"]
    """Pattern of the first level: chirp, double, urgent, continuous, blind, melody, one of yours, or "off"."""
    warning: str = DEFAULTS["warning"]
    """Pattern of the second level, repeated every warning_every_s."""
    alarm: str = DEFAULTS["alarm"]
    """Pattern of the highest level, repeated while the alarm lasts."""
    blind: str = DEFAULTS["blind"]
    """Pattern for "the camera is lost", played when fatigue or an alert with a sound is configured."""
    warning_every_s: Seconds = 10
    """While a warning lasts, repeat its pattern at this interval. 0: without a pause, as for an alarm."""
    blind_every_s: Seconds = 60
    """While a camera is lost, repeat the pattern at this interval."""
    patterns: Annotated[dict[Name, Beats], AfterValidator(_playable)] = Field(default_factory=dict)
    """Your own patterns in [buzzer.patterns]: name = [[seconds on, seconds off], …], with tones
    [[0.2, 0.1, "A5"], [0.3, 1.0, 1760]]. The name of a built-in pattern replaces that pattern."""
    button: Pin | None = None
    """GPIO (BCM) number of a snooze button to ground."""
    snooze_s: Seconds = 300
    """How long the button silences notices, warnings and "the camera is lost"."""
    snooze_silences_alarm: Flag = False
    """Whether a snooze (by button or MQTT) silences the alarm level too."""
    status_led_pin: Pin | None = None
    """GPIO (BCM) number of an LED that is lit while every camera works. With fatigue it winks every 2 s while nobody
    can judge whether the driver sleeps."""
    alert_led_pin: Pin | None = None
    """GPIO (BCM) number of an LED: steady for a notice, blinking for a warning, flashing for an alarm."""

    @property
    def pins(self) -> dict[str, int]:
        """The configured pins by key."""
        keys = ("pin", "button", "status_led_pin", "alert_led_pin")
        return {key: number for key in keys if (number := getattr(self, key)) is not None}

    @property
    def outputs(self) -> list[tuple[int, bool]]:
        """(pin, active_high) of every output pin."""
        return [(number, self.active_high or key != "pin") for key, number in self.pins.items() if key != "button"]

    @property
    def playable(self) -> dict[str, Pattern]:
        """All patterns by name: built-in and the user's own."""
        return {**BUILT_IN, **{name: pattern(name, beats) for name, beats in self.patterns.items()}}

    @property
    def defaults(self) -> dict[Kind, str]:
        """The pattern that each kind of alert plays."""
        return {"notice": self.notice, "blind": self.blind, "warning": self.warning, "alarm": self.alarm}

    @property
    def every_s(self) -> dict[Kind, float]:
        """The repeat interval of each kind, in seconds; a notice does not repeat."""
        return {"alarm": 0.0, "warning": self.warning_every_s, "blind": self.blind_every_s}

    def check_pattern(self, name: str) -> None:
        """Check the `buzzer` of an alert. Raises ValueError when there is no such pattern."""
        known = [*self.playable, SILENT, LEVELS_OWN]
        if name not in known:
            raise ValueError(f'no pattern is called "{name}". There are: {", ".join(known)}')

    def changed(self, **changes: object) -> BuzzerConfig:
        """Return a copy with other values, validated. Raises ConfigError."""
        try:
            return BuzzerConfig.model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise ConfigError("; ".join(_option_problem(problem) for problem in error.errors())) from None

    @model_validator(mode="after")
    def _consistent(self) -> BuzzerConfig:
        known = [*self.playable, SILENT]
        for kind, name in self.defaults.items():
            if name not in known:
                raise ValueError(f'{kind}: no pattern is called "{name}". There are: {", ".join(known)}')
        for number, times in Counter(self.pins.values()).items():
            if times > 1:
                keys = " and ".join(key for key, pin in self.pins.items() if pin == number)
                raise ValueError(f"{keys} are both on GPIO {number}; each needs its own pin")
        if self.kind == "passive" and not self.active_high:
            raise ValueError('active_high = false does not work with kind = "passive"; wire it as docs/buzzer.md shows')
        return self


def _option_problem(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{problem['loc'][0]} = {problem['input']}: {message}" if problem["loc"] else message
