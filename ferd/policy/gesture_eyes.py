"""Recognise winks and blinks on purpose: which eyes are shut, and for how long.

Right and left are the subject's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ferd.policy.gesture_face import FaceMeasures, near
from ferd.policy.gesture_rules import BLINK_MOST_S, LONG_BLINK_MOST_S, WINK_MOST_S, GestureName, GestureRules
from ferd.policy.gesture_windows import UNSEEN_S, HeldStrength

Side = Literal["left", "right"]
OPEN = 0.4
"""An eye is open up to this value; between it and the threshold it is neither open nor shut."""
WIDE_OPEN = 0.25
"""The other eye of a wink stays below this all the time: in a blink both move, one a frame later."""
EYES_YAW_DEG, EYES_PITCH_DEG = 25.0, 20.0
"""A head turned or bowed further than this hides one eye more than the other: its lids make no gestures."""
OPEN_BEFORE_S = 0.3
"""Both eyes were open for this long before a wink: the lids of one who laughs or makes faces move again and again."""
BETWEEN_BLINKS_S = 0.5
"""The two blinks of a double blink are no further apart."""
WINKS: Mapping[Side, GestureName] = {"left": "wink_left", "right": "wink_right"}


class EyeGestures:
    """Follow the two eyes of a face.

    Attributes:
        strengths: of the last frame, in the units of THRESHOLDS; empty where the eyes were not seen.
    """

    def __init__(self) -> None:
        self.strengths: dict[GestureName, float] = {}
        self._closures = Closures()
        self._held: dict[GestureName, HeldStrength] = {
            name: HeldStrength() for name in ("wink_left", "wink_right", "long_blink")
        }
        self._seen = float("-inf")

    def update(self, t: float, measures: FaceMeasures, rules: GestureRules, *, talks: bool) -> list[GestureName]:
        """Add a frame and return the gestures that ended with it."""
        self.strengths = {}
        away = not (near(measures.yaw, EYES_YAW_DEG) and near(measures.pitch, EYES_PITCH_DEG))
        right, left = measures.right_closed, measures.left_closed
        if right is None or left is None or away or talks:
            if away or talks or t - self._seen > UNSEEN_S:
                self.forget()
            return []
        self._seen = t
        now: tuple[tuple[GestureName, float], ...] = (
            ("wink_right", right if left <= WIDE_OPEN else 0.0),
            ("wink_left", left if right <= WIDE_OPEN else 0.0),
            ("long_blink", min(right, left)),
        )
        self.strengths = {name: self._held[name].add(t, value, rules.hold(name)) for name, value in now}
        return list(self._closures.update(t, measures, rules))

    def forget(self) -> None:
        """Start again: nothing that was begun is a gesture."""
        self._closures.reset()
        for held in self._held.values():
            held.reset()


class Closures:
    """Tell winks from blinks by which eyes were shut from the first to the last shut frame."""

    def __init__(self) -> None:
        self._shut: dict[Side, float | None] = {"right": None, "left": None}
        self._begun: float | None = None
        self._both: float | None = None
        self._both_end = 0.0
        self._seen: set[Side] = set()
        self._open_since: float | None = None
        self._open_s = 0.0
        self._blink: float | None = None

    def update(self, t: float, measures: FaceMeasures, rules: GestureRules) -> Iterable[GestureName]:
        """Return the gestures that ended now."""
        shut = {side for side, value in _sides(measures) if value >= rules.threshold(WINKS[side])}
        both_shut = min(value for _, value in _sides(measures)) >= rules.threshold("long_blink")
        if both_shut:
            shut = {"right", "left"}
        all_open = all(value <= OPEN for _, value in _sides(measures))
        if self._begun is not None and len(shut) == 1 and any(OPEN >= v > WIDE_OPEN for _, v in _sides(measures)):
            self._seen |= {"right", "left"}  # the other eye moves with it: no wink
        if self._begun is None:
            if shut and self._open_since is not None:
                self._begun, self._seen, self._both = t, set(), None
                self._open_s = t - self._open_since
            if shut:
                self._open_since = None
            elif all_open and self._open_since is None:
                self._open_since = t
            if self._begun is None:
                return ()
        self._seen |= shut
        if both_shut:
            self._both = t if self._both is None else self._both
        if not all_open:
            return ()
        begun, self._begun, self._open_since = self._begun, None, t
        return self._ended(t, t - begun, rules)

    def _ended(self, t: float, length: float, rules: GestureRules) -> Iterable[GestureName]:
        if len(self._seen) == 1:
            (side,) = self._seen
            name = WINKS[side]
            is_alone = self._open_s >= OPEN_BEFORE_S - 1e-9
            return (name,) if is_alone and rules.hold(name) - 1e-9 <= length <= WINK_MOST_S else ()
        if self._both is None:
            return ()
        before, self._blink = self._blink, None
        if rules.hold("long_blink") - 1e-9 <= length <= LONG_BLINK_MOST_S:
            return ("long_blink",)
        if rules.hold("double_blink") - 1e-9 <= length <= BLINK_MOST_S:
            if before is not None and t - length - before <= BETWEEN_BLINKS_S:
                return ("double_blink",)
            self._blink = t
        return ()

    def reset(self) -> None:
        """Forget a closure that was begun."""
        self._begun, self._blink, self._open_since = None, None, None


def _sides(measures: FaceMeasures) -> tuple[tuple[Side, float], tuple[Side, float]]:
    assert measures.right_closed is not None
    assert measures.left_closed is not None
    return ("right", measures.right_closed), ("left", measures.left_closed)
