"""Name the gestures; hold their thresholds, their times and what a configuration may change of them.

Where the numbers come from: spontaneous blinks end within 0.5 s (Stern, Walrath and Goldstein, "The endogenous
eyeblink", Psychophysiology 21, 1984), so eyes shut for longer were shut on purpose. The others were chosen on a drawn
person and on clips of people who talk, laugh, yawn and turn, and make no gestures (docs/gestures.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

GestureName = Literal[
    "wink_left",
    "wink_right",
    "double_blink",
    "long_blink",
    "nod",
    "shake",
    "tilt_left",
    "tilt_right",
    "mouth_open",
    "smile",
    "brows_up",
]
GESTURES: tuple[GestureName, ...] = get_args(GestureName)
RELIABLE: tuple[GestureName, ...] = ("wink_left", "wink_right", "long_blink", "nod", "shake", "tilt_left", "tilt_right")
"""On without being asked for: people hardly make these by accident. The others happen while they talk and laugh."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which strength on a movement is a gesture, and within which limits that may be tuned for a person.

    Beyond `least`, a movement cannot be told from noise and from the state that ends the gesture; beyond `most`, few
    people can make it. ``zero``: the strength of a face at rest.
    """

    default: float
    least: float
    most: float
    zero: float = 0.0


THRESHOLDS: Mapping[GestureName, Threshold] = {
    "wink_left": Threshold(0.7, 0.5, 0.9),
    "wink_right": Threshold(0.7, 0.5, 0.9),
    "long_blink": Threshold(0.7, 0.5, 0.9),
    "nod": Threshold(7.0, 4.0, 16.0),
    "shake": Threshold(11.0, 6.0, 28.0),
    "tilt_left": Threshold(16.0, 9.0, 30.0),
    "tilt_right": Threshold(16.0, 9.0, 30.0),
    "mouth_open": Threshold(0.35, 0.26, 0.6),
    "smile": Threshold(1.14, 1.08, 1.3, zero=1.0),
    "brows_up": Threshold(1.1, 1.06, 1.25, zero=1.0),
}
"""How shut the eye is (of both: the one that is less shut), from 0 to 1; degrees of one stroke of a nodding or shaken
head, and of a tilted one from its rest; distance of the inner lips in eye distances; width of the mouth and height of
the brows in units of their rest. A double blink has the threshold of a long one. Below the least angles the pose of a
resting face varies by itself (2 to 3 degrees); those of lids and lips lie above what ends their gesture."""
HOLD_S: Mapping[GestureName, float] = {
    "wink_left": 0.2,
    "wink_right": 0.2,
    "double_blink": 0.06,
    "long_blink": 0.8,
    "tilt_left": 0.5,
    "tilt_right": 0.5,
    "mouth_open": 0.8,
    "smile": 1.0,
    "brows_up": 0.4,
}
"""For how long each is held at least, in seconds. A nod and a shake are not held."""
WINK_MOST_S, LONG_BLINK_MOST_S, BLINK_MOST_S = 1.5, 2.0, 0.5
MOUTH_MOST_S = 1.8
"""A yawn keeps the mouth open for longer."""
MOST_S: Mapping[GestureName, float] = {
    "wink_left": WINK_MOST_S,
    "wink_right": WINK_MOST_S,
    "double_blink": BLINK_MOST_S,
    "long_blink": LONG_BLINK_MOST_S,
    "tilt_left": 3.0,
    "tilt_right": 3.0,
    "mouth_open": MOUTH_MOST_S,
    "brows_up": 2.0,
}
"""What is held for longer is something else: a head that stays tilted leans."""
BACK = 0.5
"""A tilt, a smile and raised brows are over below this share of the way from rest to their threshold."""


@dataclass(frozen=True, slots=True)
class GestureRules:
    """Hold the values of [gestures]. Meaning of those not listed: GesturesConfig in ferd/config/schema.

    Attributes:
        use: the gestures that are recognised; a sequence without one that is not in it.
        hold_s: seconds for which a gesture is held, for those that differ from HOLD_S.
        sensitivity: movements count this many times as large.
        wake: None: always awake; "look": towards the camera for LOOK_S; else a gesture.
        thresholds: those that were tuned for the person, where they differ from THRESHOLDS.
    """

    use: tuple[GestureName, ...] = RELIABLE
    hold_s: Mapping[GestureName, float] = field(default_factory=dict)
    sensitivity: float = 1.0
    cooldown_s: float = 1.0
    wake: GestureName | Literal["look"] | None = None
    wake_s: float = 8.0
    thresholds: Mapping[GestureName, float] = field(default_factory=dict)

    def threshold(self, name: GestureName) -> float:
        """Return from which strength on a movement is this gesture."""
        return self.thresholds.get(name, THRESHOLDS[name].default)

    def over(self, name: GestureName) -> float:
        """Return below which strength it is over."""
        zero = THRESHOLDS[name].zero
        return zero + BACK * (self.threshold(name) - zero)

    def hold(self, name: GestureName) -> float:
        """Return for how long a gesture has to be held, in seconds."""
        return self.hold_s.get(name, HOLD_S.get(name, 0.0))
