"""Recognise the gestures of one face: join what eyes, head and mouth do, and say which of it counts now.

Pure: (time, measures of the face) in, names of gestures out. All rules are in seconds and degrees and hold at any
frame rate at which the movement can be seen; measures of mouth, brows and head count from the person's own rest, the
median of the last REST_S. A face that is lost in the middle of a gesture makes none: everything starts again.
"""

from __future__ import annotations

from collections.abc import Collection

from ferd.policy.gesture_eyes import EyeGestures
from ferd.policy.gesture_face import FaceMeasures, near
from ferd.policy.gesture_head import HeadGestures
from ferd.policy.gesture_mouth import MouthGestures
from ferd.policy.gesture_rules import GestureName, GestureRules
from ferd.policy.gesture_windows import UNSEEN_S, Held, Spread

TALK, TALK_S = 0.14, 1.5
"""A mouth that moved by more than this within this time talks or laughs: eyes and head make no gestures then.
The time bridges the pauses between words, in which at 5 fps few frames show a moving mouth."""
LOOK_S, LOOK_DEG = 1.0, 10.0
"""Looking at the camera for this long, with a head turned and bowed by less than this, wakes where `wake` is "look"."""


class GestureRecogniser:
    """Recognise the gestures of one face. Call `update` at rising times. `rules` may be replaced between two calls.

    Attributes:
        awake: gestures are reported; always True without `wake`.
        strengths: how strong each movement of the last frame is, in the units of THRESHOLDS, held for as long as its
            gesture has to be; those that could not be seen are missing.
    """

    def __init__(self, rules: GestureRules) -> None:
        self.rules = rules
        self.strengths: dict[str, float] = {}
        self._eyes, self._head, self._mouth = EyeGestures(), HeadGestures(), MouthGestures()
        self._lips = Spread(TALK_S)
        self._look = Held(at_end=False)
        self._t: float | None = None
        self._last = float("-inf")
        self._awake_until = float("-inf")

    @property
    def awake(self) -> bool:
        """Whether gestures are reported now."""
        return self.rules.wake is None or (self._t is not None and self._t < self._awake_until)

    def update(self, t: float, measures: FaceMeasures | None) -> list[GestureName]:
        """Add a frame (None: the face was not seen) and return the gestures that it completed, at most one."""
        if self._t is not None and t <= self._t:
            return []
        self.strengths = {}
        if measures is None or (self._t is not None and t - self._t > 2 * UNSEEN_S):
            self._forget()
            if measures is None:
                self._t = t
                return []
        self._t = t
        talks = measures.mouth is not None and self._lips.add(t, measures.mouth) > TALK
        found = [
            *self._eyes.update(t, measures, self.rules, talks=talks),
            *self._head.update(t, measures, self.rules, talks=talks),
            *self._mouth.update(t, measures, self.rules),
        ]
        parts = (self._eyes.strengths, self._head.strengths, self._mouth.strengths)
        self.strengths = {name: value for strengths in parts for name, value in strengths.items()}
        return self._told(t, found, measures)

    def _told(self, t: float, found: Collection[GestureName], measures: FaceMeasures) -> list[GestureName]:
        """Keep those that are asked for, one in `cooldown_s`, and only while awake."""
        rules = self.rules
        woken = rules.wake in found
        if rules.wake == "look":
            facing = near(measures.yaw, LOOK_DEG) and near(measures.pitch, 2 * LOOK_DEG)
            woken = self._look.update(t, facing, not facing, LOOK_S)
        if woken and not self.awake:
            self._awake_until, self._last = t + rules.wake_s, t
            return []
        wanted = [name for name in found if name in rules.use]
        if not wanted or not self.awake or t - self._last < rules.cooldown_s - 1e-9:
            return []
        self._last = t
        if rules.wake is not None:
            self._awake_until = t + rules.wake_s
        return wanted[:1]

    def _forget(self) -> None:
        """The face was lost: nothing that was begun is a gesture, and the next one may be another person's."""
        self._eyes.forget()
        self._head.forget()
        self._mouth.forget()
        self._look.reset()
