"""The switches of a camera, in one table for MQTT, Home Assistant and the page: topic, values, and what is refused.

A new switch is a field of `CameraSettings`, a line here, and its effect (docs/howto/switch.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ferd.topics import BUZZER, ENABLED, SENSITIVITY, Topic

_ON, _OFF = ("on", "true", "1"), ("off", "false", "0")


class WrongValueError(ValueError):
    """A value that is none; the text says what would be right. It does not contain the value."""


def on_or_off(value: object) -> bool:
    """Return what "ON", true, 1 or their opposites mean, in any case. Raises WrongValueError."""
    word = f"{value:g}" if isinstance(value, float) else str(value).strip().lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise WrongValueError("send ON or OFF")


def number(low: float, high: float, remedy: str) -> Callable[[object], float]:
    """Return a function that reads a number from ``low`` to ``high``, also written as text."""

    def read(value: object) -> float:
        try:
            result = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise WrongValueError(remedy) from None
        if not low <= result <= high:  # also when it is no number
            raise WrongValueError(remedy)
        return result

    return read


@dataclass(frozen=True, slots=True)
class CameraSwitch:
    """``topic``: of its state. ``read``: makes its value of what somebody sent, or raises WrongValueError."""

    topic: Topic[Any]
    read: Callable[[object], bool | float]


SWITCHES: Mapping[str, CameraSwitch] = {
    "enabled": CameraSwitch(ENABLED, on_or_off),
    "buzzer": CameraSwitch(BUZZER, on_or_off),
    "sensitivity": CameraSwitch(SENSITIVITY, number(0, 100, "send a number from 0 to 100")),
}
"""By the name of the field of `CameraSettings`, which is the name in topics and addresses as well."""
