"""Recognise what a head does on purpose: it nods, it is shaken, it tilts and comes back."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Literal

from ferd.policy.gesture_face import FaceMeasures, near
from ferd.policy.gesture_rules import MOST_S, THRESHOLDS, GestureName, GestureRules
from ferd.policy.gesture_windows import UNSEEN_S, Held, HeldStrength, Rest, Spread

STROKES, STROKES_S, STROKE_MOST_S = 3, 1.8, 0.8
"""So many strokes to and fro within this time, none of them slower than the last value."""
ACROSS = 0.75
"""A nod turns the head to the side by less than this share of its strokes, a shake up and down likewise."""
TURN = {"nod": 1.0, "shake": 0.6}
"""Share of a stroke that a head must go back before it has turned. The first stroke begins at rest and is half as long:
with a whole one it might not end where the second one begins. A nod is hardly larger than the noise of a pose."""
TILT_AWAY_DEG = 22.0
"""A head that is turned or bowed by more than this from its rest is not tilted on purpose."""
TILT_FACING_DEG = 30.0
"""People who tilt the head for the camera face it. Of a head that is turned further from it, the measured roll follows
every turn and bow: a driver who looks about at 45 degrees "tilts" by 20 degrees."""


class HeadGestures:
    """Follow the pose of a head.

    Attributes:
        strengths: of the last frame, in the units of THRESHOLDS; empty where the pose was not seen.
    """

    def __init__(self) -> None:
        self.strengths: dict[GestureName, float] = {}
        self._nod, self._shake = Strokes(), Strokes()
        self._strokes = {"nod": Strokes(), "shake": Strokes()}
        self._yaw, self._pitch = Spread(STROKES_S), Spread(STROKES_S)
        self._rests = {"yaw": Rest(), "pitch": Rest(), "roll": Rest()}
        self._tilts: dict[GestureName, Held] = {
            name: Held(at_end=True, most_s=MOST_S[name]) for name in ("tilt_left", "tilt_right")
        }
        self._held: dict[GestureName, HeldStrength] = {name: HeldStrength() for name in ("tilt_left", "tilt_right")}
        self._seen = float("-inf")

    def update(self, t: float, measures: FaceMeasures, rules: GestureRules, *, talks: bool) -> list[GestureName]:
        """Add a frame and return the gestures that it completed."""
        self.strengths = {}
        yaw, pitch, roll = measures.yaw, measures.pitch, measures.roll
        if yaw is None or pitch is None or roll is None:
            if t - self._seen > UNSEEN_S:
                self._forget_movements()
            return []
        self._seen = t
        found: list[GestureName] = []
        sideways, upwards = self._yaw.add(t, yaw), self._pitch.add(t, pitch)
        is_nod, is_shake = sideways < ACROSS * max(upwards, 1e-6), upwards < ACROSS * max(sideways, 1e-6)
        if self._has_strokes(t, "nod", self._nod, pitch, rules, counts=is_nod, talks=talks):
            found.append("nod")
        if self._has_strokes(t, "shake", self._shake, yaw, rules, counts=is_shake, talks=talks):
            found.append("shake")
        if found:
            self._nod.reset()
            self._shake.reset()
        if talks:
            found = []
        return found + self._find_tilts(t, {"yaw": yaw, "pitch": pitch, "roll": roll}, rules, talks=talks)

    def _has_strokes(
        self,
        t: float,
        name: Literal["nod", "shake"],
        strokes: Strokes,
        angle: float,
        rules: GestureRules,
        *,
        counts: bool,
        talks: bool,
    ) -> bool:
        """Whether the head has just made its strokes. ``counts``: it moves in this direction more than across."""
        sensitivity, threshold = rules.sensitivity, rules.threshold(name)
        smallest = self._strokes[name].update(t, angle, THRESHOLDS[name].least / sensitivity)
        self.strengths[name] = smallest * sensitivity if counts and not talks else 0.0
        least = threshold / sensitivity
        return strokes.update(t, angle, TURN[name] * least) >= least and counts

    def _find_tilts(self, t: float, pose: dict[str, float], rules: GestureRules, *, talks: bool) -> list[GestureName]:
        # The rest stands still while a tilt lasts: else it would follow, and then the tilt would seem to come back.
        tilts = any(held.goes_on(t) for held in self._tilts.values())
        if not tilts:
            for key, value in pose.items():
                self._rests[key].add(t, value)
        rests = {key: rest.value for key, rest in self._rests.items()}
        off = {key: pose[key] - rest for key, rest in rests.items() if rest is not None}
        if len(off) < len(pose):
            return []
        away = max(abs(off["yaw"]), abs(off["pitch"])) > TILT_AWAY_DEG or not near(pose["yaw"], TILT_FACING_DEG)
        found: list[GestureName] = []
        names: tuple[tuple[GestureName, float], ...] = (("tilt_left", 1.0), ("tilt_right", -1.0))
        for name, sign in names:
            tilt = sign * off["roll"] * rules.sensitivity
            self.strengths[name] = self._held[name].add(t, 0.0 if away or talks else max(tilt, 0.0), rules.hold(name))
            if away or talks:
                self._tilts[name].reset()
            elif self._tilts[name].update(t, tilt >= rules.threshold(name), tilt < rules.over(name), rules.hold(name)):
                found.append(name)
        return found

    def _forget_movements(self) -> None:
        for strokes in (self._nod, self._shake, *self._strokes.values()):
            strokes.reset()
        self._yaw.reset()
        self._pitch.reset()
        for tilt in self._tilts.values():
            tilt.reset()

    def forget(self) -> None:
        """Start again: the next face may be another person's."""
        self._forget_movements()
        self._rests = {key: Rest() for key in self._rests}
        for held in self._held.values():
            held.reset()


class Strokes:
    """The turning points of a head that moves to and fro."""

    def __init__(self) -> None:
        self._turns: deque[tuple[float, float]] = deque(maxlen=STROKES + 1)
        self._extreme: tuple[float, float] | None = None
        self._up = True

    def update(self, t: float, value: float, least: float) -> float:
        """Add an angle and return the smallest of the last STROKES strokes; 0 where they were not quick enough.

        Args:
            least: Degrees; what is less is no turning point.
        """
        if self._extreme is None:
            self._extreme = t, value
            self._turns.append((t, value))
            return 0.0
        further = value > self._extreme[1] if self._up else value < self._extreme[1]
        if further:
            self._extreme = t, value
            return self._smallest()
        if abs(value - self._extreme[1]) < least:
            return 0.0
        self._turns.append(self._extreme)
        self._extreme, self._up = (t, value), not self._up
        return self._smallest()

    def _smallest(self) -> float:
        assert self._extreme is not None
        points = [*list(self._turns)[-STROKES:], self._extreme]
        if len(points) <= STROKES or points[-1][0] - points[0][0] > STROKES_S:
            return 0.0
        pairs = list(itertools.pairwise(points))
        if any(b[0] - a[0] > STROKE_MOST_S for a, b in pairs):
            return 0.0
        return min(abs(b[1] - a[1]) for a, b in pairs)

    def reset(self) -> None:
        """Forget the strokes so far."""
        self._turns.clear()
        self._extreme, self._up = None, True
