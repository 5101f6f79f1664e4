"""The keys of [fatigue]."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ferd.config.types import Flag, Fraction, Number, Section

ShutSeconds = Annotated[Number, Field(ge=0.75, le=60)]
"""Not below what no blink reaches."""


class FatigueConfig(Section):
    enabled: Flag = False
    """Watch the main face's eyes and mouth for tiredness. An aid, not a safety device: docs/fatigue.md."""
    eyes_closed_notice_s: ShutSeconds = 1.0
    """Eyes shut for so long: notice."""
    eyes_closed_warning_s: ShutSeconds = 1.5
    """Eyes shut for so long: warning. A microsleep."""
    eyes_closed_alarm_s: ShutSeconds = 3.0
    """Eyes shut for so long: alarm. Euro NCAP calls this sleep."""
    perclos_notice: Fraction = 0.15
    """PERCLOS, the share of the last minute with eyes at least 80 % closed, above which a notice is given.
    With a part of the minute observed it is divided by the square root of that share."""
    perclos_warning: Fraction = 0.25
    """PERCLOS above which a warning is given. It rises in the same way."""
    unseen_after_s: Annotated[Number, Field(ge=0, le=600)] = 10.0
    """A notice when the eyes were seen for less than a fifth of the last so many seconds. 0: never."""

    @model_validator(mode="after")
    def _in_order(self) -> FatigueConfig:
        if not self.eyes_closed_notice_s <= self.eyes_closed_warning_s <= self.eyes_closed_alarm_s:
            raise ValueError(
                "eyes_closed_notice_s, eyes_closed_warning_s and eyes_closed_alarm_s must rise in this order"
            )
        if not 0 < self.perclos_notice <= self.perclos_warning:
            raise ValueError("perclos_notice must be above 0 and not above perclos_warning")
        return self
