"""The keys of [buzzer]."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails

from ferd.config.types import Flag, Name, Number, Seconds, Section, Whole
from ferd.errors import ConfigError
from ferd.outputs.buzzer.patterns import BUILT_IN, DEFAULTS, LEVELS_OWN, MAX_HZ, MIN_HZ, SILENT, Kind, Pattern, pattern

Pin = Annotated[Whole, Field(ge=2, le=27)]  # 0 and 1 are for the EEPROM of a HAT
# Checked by `pattern`, whose words are clearer than those of a union of types.
Beats = list[list[Annotated[Any, WithJsonSchema({"type": ["number", "string"]})]]]


def _playable(patterns: dict[str, Beats]) -> dict[str, Beats]:
    for name, beats in patterns.items():
        if name in (SILENT, LEVELS_OWN):
            raise ValueError(f'"{name}" has a meaning of its own; give the pattern another name')
        pattern(name, beats)
    return patterns


def _told(problem: ErrorDetails) -> str:
    message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{problem['loc'][0]} = {problem['input']}: {message}" if problem["loc"] else message


class BuzzerConfig(Section):
    pin: Pin | None = None
    """GPIO (BCM) number of the buzzer's pin. Not set: no buzzer. 9 to 27 are low while the board starts."""
    kind: Literal["active", "passive"] = "active"
    """"active" sounds by itself as soon as it has power; "passive" needs a tone, and plays melodies."""
    active_high: Flag = True
    """false for a module that sounds while its input is low."""
    tone_hz: Annotated[Number, Field(ge=MIN_HZ, le=MAX_HZ)] = 2048
    """The tone of a passive buzzer in patterns that name none. Loudest near its resonance, often 2000 to 4000."""
    notice: str = DEFAULTS["notice"]
    """The pattern of the first level: chirp, double, urgent, continuous, blind, melody, one of yours, or "off"."""
    warning: str = DEFAULTS["warning"]
    """The pattern of the second level, repeated every warning_every_s."""
    alarm: str = DEFAULTS["alarm"]
    """The pattern of the highest level, repeated for as long as it holds."""
    blind: str = DEFAULTS["blind"]
    """The pattern for "the camera is lost", played when fatigue or an alert with a sound is configured."""
    warning_every_s: Seconds = 10
    """While a warning holds, its pattern begins again so often. 0: without a pause, as an alarm does."""
    blind_every_s: Seconds = 60
    """While a camera is lost, that is told again so often."""
    patterns: Annotated[dict[Name, Beats], AfterValidator(_playable)] = Field(default_factory=dict)
    """Patterns of your own in [buzzer.patterns]: name = [[seconds on, seconds off], …], with tones
    [[0.2, 0.1, "A5"], [0.3, 1.0, 1760]]. A name that ferd has already is replaced."""
    button: Pin | None = None
    """GPIO (BCM) number of a button to ground that snoozes."""
    snooze_s: Seconds = 300
    """For how long the button silences notices, warnings and "the camera is lost"."""
    snooze_silences_alarm: Flag = False
    """Whether a snooze (by button or MQTT) silences the alarm level too."""
    status_led_pin: Pin | None = None
    """GPIO (BCM) number of a lamp that is lit while every camera is watching."""
    alert_led_pin: Pin | None = None
    """GPIO (BCM) number of a lamp: steady for a notice, blinking for a warning, flashing for an alarm."""

    @property
    def pins(self) -> dict[str, int]:
        """The pins in use, by their keys."""
        keys = ("pin", "button", "status_led_pin", "alert_led_pin")
        return {key: number for key in keys if (number := getattr(self, key)) is not None}

    @property
    def outputs(self) -> list[tuple[int, bool]]:
        """(pin, active_high) of all that is driven."""
        return [(number, self.active_high or key != "pin") for key, number in self.pins.items() if key != "button"]

    @property
    def playable(self) -> dict[str, Pattern]:
        """All patterns by name: ferd's and the user's."""
        return {**BUILT_IN, **{name: pattern(name, beats) for name, beats in self.patterns.items()}}

    @property
    def defaults(self) -> dict[Kind, str]:
        """Which pattern each kind plays."""
        return {"notice": self.notice, "blind": self.blind, "warning": self.warning, "alarm": self.alarm}

    @property
    def every_s(self) -> dict[Kind, float]:
        """After how many seconds a kind begins again; a notice does not."""
        return {"alarm": 0.0, "warning": self.warning_every_s, "blind": self.blind_every_s}

    def check_pattern(self, name: str) -> None:
        """For the `buzzer` of an alert. Raises ValueError when there is no such pattern."""
        known = [*self.playable, SILENT, LEVELS_OWN]
        if name not in known:
            raise ValueError(f'no pattern is called "{name}". There are: {", ".join(known)}')

    def changed(self, **changes: object) -> BuzzerConfig:
        """With other values, checked. Raises ConfigError."""
        try:
            return BuzzerConfig.model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise ConfigError("; ".join(_told(problem) for problem in error.errors())) from None

    @model_validator(mode="after")
    def _whole(self) -> BuzzerConfig:
        known = [*self.playable, SILENT]
        for kind, name in self.defaults.items():
            if name not in known:
                raise ValueError(f'{kind}: no pattern is called "{name}". There are: {", ".join(known)}')
        for number, times in Counter(self.pins.values()).items():
            if times > 1:
                keys = " and ".join(key for key, pin in self.pins.items() if pin == number)
                raise ValueError(f"{keys} are both on GPIO {number}; each needs a pin of its own")
        if self.kind == "passive" and not self.active_high:
            raise ValueError('active_high = false does not go with kind = "passive"; wire it as docs/buzzer.md shows')
        return self
