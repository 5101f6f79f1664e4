"""[fatigue] and [gestures]: what is concluded from eyes, mouth and head over time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ferd.config.schema.values import Flag, Fraction, Number, Seconds, Section
from ferd.policy.gesture_rules import MOST_S, RELIABLE, GestureName

LEAST_FPS = 3.0
"""As in ferd.policy.judgement, whose import of numpy the commands that only read the configuration would pay for."""
EyesClosedSeconds = Annotated[Number, Field(ge=0.75, le=60)]
"""At least 0.75 s: longer than any blink."""


class FatigueConfig(Section):
    enabled: Flag = False
    """Watch the main face's eyes and mouth for signs of drowsiness. An aid, not a safety device: docs/fatigue.md."""
    eyes_closed_notice_s: EyesClosedSeconds = 1.0
    """Notice when the eyes have been closed for this long."""
    eyes_closed_warning_s: EyesClosedSeconds = 1.5
    """Warning when the eyes have been closed for this long: a microsleep."""
    eyes_closed_alarm_s: EyesClosedSeconds = 3.0
    """Alarm when the eyes have been closed for this long. Euro NCAP calls this sleep."""
    perclos_notice: Fraction = 0.15
    """Notice when PERCLOS is above this: the share of the last minute with eyes at least 80 % closed.
    If only part of the minute was observed, the limit is divided by the square root of that part."""
    perclos_warning: Fraction = 0.25
    """Warning when PERCLOS is above this. The limit rises in the same way."""
    unseen_after_s: Annotated[Number, Field(ge=0, le=600)] = 10.0
    """Notice when for this long nobody could judge whether the driver sleeps: the eyes were visible for less than a
    third of the last 10 s, the head was turned away, or too few frames came. 0: never; it is published all the same."""
    unjudged_every_s: Seconds = 60.0
    """Repeat that notice, quietly, at this interval for as long as it lasts. 0: once."""
    attention: Flag = False
    """Warn too when head or eyes are off the road. For driving only."""
    attention_after_s: Annotated[Number, Field(ge=1, le=60)] = 3.0
    """Warning when they have been off the road for this long, or for 10 s of the last 30. Euro NCAP: 3 s."""
    allow_low_fps: Flag = False
    """Accept a camera with less than 3 frames a second, which misses short closures."""

    @model_validator(mode="after")
    def _in_order(self) -> FatigueConfig:
        if not self.eyes_closed_notice_s <= self.eyes_closed_warning_s <= self.eyes_closed_alarm_s:
            raise ValueError(
                "eyes_closed_notice_s, eyes_closed_warning_s and eyes_closed_alarm_s must rise in this order"
            )
        if not 0 < self.perclos_notice <= self.perclos_warning:
            raise ValueError("perclos_notice must be above 0 and not above perclos_warning")
        return self


def _no_twins(names: list[GestureName]) -> list[GestureName]:
    return list(dict.fromkeys(names))


class GesturesConfig(Section):
    enabled: Flag = False
    """Recognise gestures of the faces and publish them as events. Not for safety or emergencies: docs/gestures.md."""
    use: Annotated[list[GestureName], Field(min_length=1), AfterValidator(_no_twins)] = Field(
        default_factory=lambda: list(RELIABLE)
    )
    """The gestures that are recognised. Also: "double_blink", "mouth_open", "smile", "brows_up", which people make
    while they talk and laugh too."""
    hold_s: dict[GestureName, Annotated[Number, Field(gt=0, le=10)]] = Field(default_factory=dict)
    """For how long a gesture is held, in seconds, where it differs: {wink_left = 0.4, tilt_right = 1.0}. Not for
    "nod" and "shake"."""
    sensitivity: Annotated[Number, Field(ge=0.5, le=2.0)] = 1.0
    """Movements of head, mouth and brows count this many times as large: above 1 for small movements."""
    cooldown_s: Annotated[Number, Field(ge=0, le=60)] = 1.0
    """After a gesture, none is recognised for this long."""
    wake: Literal["", "look"] | GestureName = ""
    """Gestures count only after this one, or after looking at the camera for a second ("look"). "": always."""
    wake_s: Annotated[Number, Field(ge=1, le=600)] = 8.0
    """For how long they count then; each gesture starts this time again."""

    @model_validator(mode="after")
    def _possible(self) -> GesturesConfig:
        for name, seconds in self.hold_s.items():
            if name in ("nod", "shake"):
                raise ValueError(f'hold_s: "{name}" is a movement and not held: leave it out')
            if (most := MOST_S.get(name)) is not None and seconds >= most:
                raise ValueError(f"hold_s: {name} = {seconds:g} can never be: it ends within {most:g} s")
        return self
