"""Recognise gestures of one face: winks, blinks on purpose, nods, a shaken or tilted head, mouth, smile, brows.

Pure: (time, measures of the face) in, names of gestures out. All rules are in seconds and degrees and hold at any
frame rate at which the movement can be seen; measures of mouth, brows and head count from the person's own rest, the
median of the last REST_S. A face that is lost in the middle of a gesture makes none: everything starts again.

Right and left are the subject's own.

Where the numbers come from: spontaneous blinks end within 0.5 s (Stern, Walrath and Goldstein, "The endogenous
eyeblink", Psychophysiology 21, 1984), so eyes shut for longer were shut on purpose. The others were chosen on a drawn
person and on clips of people who talk, laugh, yawn and turn, and make no gestures (docs/gestures.md).
"""

from __future__ import annotations

import bisect
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Mapping
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
Side = Literal["left", "right"]


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
    "shake": Threshold(12.0, 6.0, 28.0),
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
OPEN = 0.4
"""An eye is open up to this value; between it and the threshold it is neither open nor shut."""
WIDE_OPEN = 0.25
"""The other eye of a wink stays below this all the time: in a blink both move, one a frame later."""
EYES_YAW_DEG, EYES_PITCH_DEG = 25.0, 20.0
"""A head turned or bowed further than this hides one eye more than the other: its lids make no gestures."""
TALK, TALK_S = 0.14, 0.8
"""A mouth that moved by more than this within this time talks or laughs: eyes and head make no gestures then."""
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
WINK_MOST_S, LONG_BLINK_MOST_S, BLINK_MOST_S, BETWEEN_BLINKS_S = 1.5, 2.0, 0.5, 0.5
MOUTH_MOST_S = 1.8
"""A yawn keeps the mouth open for longer."""
MOUTH_BEFORE_S = 0.6
"""A mouth that opens on purpose was still for this long: words follow each other sooner."""
MOST_S: Mapping[GestureName, float] = {
    "wink_left": WINK_MOST_S,
    "wink_right": WINK_MOST_S,
    "double_blink": BLINK_MOST_S,
    "long_blink": LONG_BLINK_MOST_S,
    "mouth_open": MOUTH_MOST_S,
    "brows_up": 2.0,
}
"""What is held for longer is something else."""
UNSEEN_S = 0.3
"""Measures that are missing for longer than this end what was begun."""
REST_S, REST_STEP_S = 6.0, 0.15
"""The rest of a person is the median of this long, one value in each step."""
LEAST_REST_S = 1.0
"""Nothing is recognised before the rest was seen for this long."""

STROKES, STROKES_S, STROKE_MOST_S = 3, 1.8, 0.8
"""So many strokes to and fro within this time, none of them slower than the last value."""
ACROSS = 0.75
"""A nod turns the head to the side by less than this share of its strokes, a shake up and down likewise."""
BACK = 0.5
"""A tilt, a smile and raised brows are over below this share of the way from rest to their threshold."""
TILT_AWAY_DEG = 22.0
"""A head that is turned or bowed by more than this from its rest is not tilted on purpose."""
MOUTH_CLOSED = 0.2
SMILE_LIPS = 0.2
"""With lips further apart it is a laugh."""


@dataclass(frozen=True, slots=True)
class FaceMeasures:
    """What one frame shows of a face; None: cannot be seen.

    ``right_closed``, ``left_closed``: 0 open to 1 shut. ``mouth``: distance of the inner lips, ``width``: of the
    mouth's corners, ``brows``: of the brows from the eyes, in eye distances. ``yaw``, ``pitch``, ``roll``: degrees; yaw
    is positive towards the subject's left, pitch when the head sinks, roll when it tilts towards the subject's left.
    """

    right_closed: float | None = None
    left_closed: float | None = None
    mouth: float | None = None
    width: float | None = None
    brows: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None


@dataclass(frozen=True, slots=True)
class GestureRules:
    """Hold the values of [gestures]. Meaning of those not listed: GesturesConfig in ferd/config/models.py.

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


class Rest:
    """The median of a measure over the last REST_S."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def add(self, t: float, value: float) -> None:
        """Add a value; within REST_STEP_S of the last one it is left out, so that the cost is bounded."""
        if self._values and t - self._values[-1][0] < REST_STEP_S:
            return
        self._values.append((t, value))
        bisect.insort(self._sorted, value)
        while t - self._values[0][0] > REST_S:
            old = self._values.popleft()[1]
            del self._sorted[bisect.bisect_left(self._sorted, old)]

    @property
    def value(self) -> float | None:
        """The median; None until LEAST_REST_S were seen."""
        if not self._values or self._values[-1][0] - self._values[0][0] < LEAST_REST_S:
            return None
        return self._sorted[len(self._sorted) // 2]


class Held:
    """A state that has to be held for `least_s` and at most `most_s`; reported when it is reached, or at its end.

    Between `off` and `on` the state goes on (hysteresis).
    """

    def __init__(self, *, at_end: bool, most_s: float = float("inf")) -> None:
        self._at_end, self._most_s = at_end, most_s
        self._since: float | None = None
        self._told = False

    def update(self, t: float, on: bool, off: bool, least_s: float) -> bool:
        """Return True once for each time that the state was held for long enough."""
        if self._since is None:
            if on:
                self._since, self._told = t, False
            return False
        held = t - self._since
        if not off:
            if self._at_end or self._told or held < least_s - 1e-9:
                return False
            self._told = True
            return held <= self._most_s
        self._since = None
        return self._at_end and least_s - 1e-9 <= held <= self._most_s

    def reset(self) -> None:
        """Forget a state that was begun."""
        self._since = None


WINKS: Mapping[Side, GestureName] = {"left": "wink_left", "right": "wink_right"}


class Eyes:
    """Winks, and blinks on purpose: which eyes are shut, and for how long."""

    def __init__(self) -> None:
        self._shut: dict[Side, float | None] = {"right": None, "left": None}
        self._begun: float | None = None
        self._both: float | None = None
        self._both_end = 0.0
        self._seen: set[Side] = set()
        self._opened = False
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
            if shut and self._opened:
                self._begun, self._seen, self._both = t, set(), None
            self._opened = all_open or (self._opened and not shut)
            if self._begun is None:
                return ()
        self._seen |= shut
        if both_shut:
            self._both = t if self._both is None else self._both
        if not all_open:
            return ()
        begun, self._begun, self._opened = self._begun, None, True
        return self._ended(t, t - begun, rules)

    def _ended(self, t: float, length: float, rules: GestureRules) -> Iterable[GestureName]:
        if len(self._seen) == 1:
            (side,) = self._seen
            name = WINKS[side]
            return (name,) if rules.hold(name) - 1e-9 <= length <= WINK_MOST_S else ()
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
        self._begun, self._blink, self._opened = None, None, False


def _sides(measures: FaceMeasures) -> tuple[tuple[Side, float], tuple[Side, float]]:
    assert measures.right_closed is not None
    assert measures.left_closed is not None
    return ("right", measures.right_closed), ("left", measures.left_closed)


class Strokes:
    """The turning points of a head that moves to and fro."""

    def __init__(self) -> None:
        self._turns: deque[tuple[float, float]] = deque(maxlen=STROKES + 1)
        self._extreme: tuple[float, float] | None = None
        self._up = True

    def update(self, t: float, value: float, least: float) -> float:
        """Add an angle and return the smallest of the last STROKES strokes; 0 where they were not quick enough.

        Args:
            least: Degrees; what is less is no stroke.
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


class HeldStrength:
    """The strength that a movement had all the time during the last seconds: the largest threshold it would pass."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float, hold_s: float) -> float:
        """Add a value and return the smallest one since `t` - `hold_s`; 0 until that long was seen."""
        self._values.append((t, value))
        while len(self._values) > 1 and t - self._values[1][0] >= hold_s - 1e-9:
            self._values.popleft()
        if t - self._values[0][0] < hold_s - 1e-9:
            return 0.0
        return min(one for _, one in itertools.islice(self._values, 1, None)) if len(self._values) > 1 else value

    def reset(self) -> None:
        """Forget all values."""
        self._values.clear()


class Spread:
    """How far a measure moved within the last seconds."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._values: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float) -> float:
        """Add a value and return the distance of the smallest and the largest one."""
        self._values.append((t, value))
        while t - self._values[0][0] > self._length_s:
            self._values.popleft()
        values = [one for _, one in self._values]
        return max(values) - min(values)

    def reset(self) -> None:
        """Forget all values."""
        self._values.clear()


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
        self._rests: dict[str, Rest] = {}
        self._eyes = Eyes()
        self._nod, self._shake = Strokes(), Strokes()
        self.strengths: dict[str, float] = {}
        self._strokes = {"nod": Strokes(), "shake": Strokes()}
        self._strength = {name: HeldStrength() for name in HOLD_S if name in THRESHOLDS}
        self._yaw, self._pitch, self._lips = Spread(STROKES_S), Spread(STROKES_S), Spread(TALK_S)
        self._talks, self._rested = False, False
        self._closed_since: float | None = None
        self._held: dict[GestureName, Held] = {
            "tilt_left": Held(at_end=False),
            "tilt_right": Held(at_end=False),
            "mouth_open": Held(at_end=True, most_s=MOUTH_MOST_S),
            "smile": Held(at_end=False),
            "brows_up": Held(at_end=True, most_s=MOST_S["brows_up"]),
        }
        self._look = Held(at_end=False)
        self._seen: dict[str, float] = {}
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
        self._talks = measures.mouth is not None and self._lips.add(t, measures.mouth) > TALK
        found = [*self._of_eyes(t, measures), *self._of_head(t, measures), *self._of_mouth(t, measures)]
        return self._told(t, found, measures)

    def _told(self, t: float, found: Collection[GestureName], measures: FaceMeasures) -> list[GestureName]:
        """Keep those that are asked for, one in `cooldown_s`, and only while awake."""
        rules = self.rules
        woken = rules.wake in found
        if rules.wake == "look":
            facing = _near(measures.yaw, LOOK_DEG) and _near(measures.pitch, 2 * LOOK_DEG)
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

    def _of_eyes(self, t: float, measures: FaceMeasures) -> list[GestureName]:
        away = not (_near(measures.yaw, EYES_YAW_DEG) and _near(measures.pitch, EYES_PITCH_DEG))
        if measures.right_closed is None or measures.left_closed is None or away or self._talks:
            if away or self._talks or self._unseen(t, "eyes"):
                self._eyes.reset()
                for name in ("wink_left", "wink_right", "long_blink"):
                    self._strength[name].reset()
            return []
        self._seen["eyes"] = t
        right, left = measures.right_closed, measures.left_closed
        self._note(t, "wink_right", right if left <= WIDE_OPEN else 0.0)
        self._note(t, "wink_left", left if right <= WIDE_OPEN else 0.0)
        self._note(t, "long_blink", min(right, left))
        return list(self._eyes.update(t, measures, self.rules))

    def _of_head(self, t: float, measures: FaceMeasures) -> list[GestureName]:
        if measures.yaw is None or measures.pitch is None or measures.roll is None:
            if self._unseen(t, "head"):
                self._forget_head()
            return []
        self._seen["head"] = t
        found: list[GestureName] = []
        sideways, upwards = self._yaw.add(t, measures.yaw), self._pitch.add(t, measures.pitch)
        is_nod, is_shake = sideways < ACROSS * max(upwards, 1e-6), upwards < ACROSS * max(sideways, 1e-6)
        if self._has_strokes(t, "nod", self._nod, measures.pitch, counts=is_nod):
            found.append("nod")
        if self._has_strokes(t, "shake", self._shake, measures.yaw, counts=is_shake):
            found.append("shake")
        if found:
            self._nod.reset()
            self._shake.reset()
        if self._talks:
            found = []
        return found + self._tilts(t, measures.yaw, measures.pitch, measures.roll)

    def _has_strokes(
        self, t: float, name: Literal["nod", "shake"], strokes: Strokes, angle: float, *, counts: bool
    ) -> bool:
        """Whether the head has just made its strokes. ``counts``: it moves in this direction more than across."""
        sensitivity, threshold = self.rules.sensitivity, self.rules.threshold(name)
        smallest = self._strokes[name].update(t, angle, THRESHOLDS[name].least / sensitivity)
        self.strengths[name] = smallest * sensitivity if counts and not self._talks else 0.0
        least = threshold / sensitivity
        return strokes.update(t, angle, least) >= least and counts

    def _tilts(self, t: float, yaw: float, pitch: float, roll: float) -> list[GestureName]:
        rests = [self._from_rest(t, key, value) for key, value in (("yaw", yaw), ("pitch", pitch), ("roll", roll))]
        if None in rests:
            return []
        off_yaw, off_pitch, off_roll = (rest or 0.0 for rest in rests)
        turned = max(abs(off_yaw), abs(off_pitch)) > TILT_AWAY_DEG or self._talks
        found: list[GestureName] = []
        names: tuple[tuple[GestureName, float], ...] = (("tilt_left", 1.0), ("tilt_right", -1.0))
        for name, sign in names:
            tilt = sign * off_roll * self.rules.sensitivity
            self._note(t, name, 0.0 if turned else max(tilt, 0.0))
            on = tilt >= self.rules.threshold(name) and not turned
            off = tilt < self.rules.over(name) or turned
            if self._held[name].update(t, on, off, self.rules.hold(name)):
                found.append(name)
        return found

    def _of_mouth(self, t: float, measures: FaceMeasures) -> list[GestureName]:
        if measures.mouth is None or measures.width is None or measures.brows is None:
            if self._unseen(t, "mouth"):
                self._forget_mouth()
            return []
        self._seen["mouth"] = t
        found: list[GestureName] = []
        lips = measures.mouth * self.rules.sensitivity
        if lips < MOUTH_CLOSED:
            self._closed_since = t if self._closed_since is None else self._closed_since
            self._rested = t - self._closed_since >= MOUTH_BEFORE_S
        else:
            self._closed_since = None
        self._note(t, "mouth_open", lips)
        opened = lips >= self.rules.threshold("mouth_open") and self._rested
        if self._held["mouth_open"].update(t, opened, lips < MOUTH_CLOSED, self.rules.hold("mouth_open")):
            found.append("mouth_open")
        width = self._in_rests(t, "width", measures.width)
        if width is not None:
            laughs = measures.mouth >= SMILE_LIPS
            self._note(t, "smile", 1.0 if laughs else width)
            smiles = width >= self.rules.threshold("smile") and not laughs
            over = width < self.rules.over("smile") or laughs
            if self._held["smile"].update(t, smiles, over, self.rules.hold("smile")):
                found.append("smile")
        brows = self._in_rests(t, "brows", measures.brows)
        # Shut lids draw the corners of the eyes down, and with them what brows are measured from.
        open_eyes = all(value is None or value <= OPEN for value in (measures.right_closed, measures.left_closed))
        still = measures.mouth < MOUTH_CLOSED and open_eyes
        if brows is not None:
            self._note(t, "brows_up", brows if still else 1.0)
            up = brows >= self.rules.threshold("brows_up") and still
            down = brows < self.rules.over("brows_up") or not still
            if self._held["brows_up"].update(t, up, down, self.rules.hold("brows_up")):
                found.append("brows_up")
        return found

    def _note(self, t: float, name: GestureName, value: float) -> None:
        self.strengths[name] = self._strength[name].add(t, value, self.rules.hold(name))

    def _from_rest(self, t: float, key: str, value: float) -> float | None:
        rest = self._rests.setdefault(key, Rest())
        rest.add(t, value)
        return None if rest.value is None else value - rest.value

    def _in_rests(self, t: float, key: str, value: float) -> float | None:
        """Return a length in units of its rest; the difference from it counts `sensitivity` times."""
        rest = self._rests.setdefault(key, Rest())
        rest.add(t, value)
        return None if not rest.value else 1 + (value / rest.value - 1) * self.rules.sensitivity

    def _unseen(self, t: float, what: str) -> bool:
        return t - self._seen.get(what, float("-inf")) > UNSEEN_S

    def _forget(self) -> None:
        """The face was lost: nothing that was begun is a gesture, and the next one may be another person's."""
        self._eyes.reset()
        self._forget_head()
        self._forget_mouth()
        self._look.reset()
        self._rests.clear()
        for strength in self._strength.values():
            strength.reset()

    def _forget_head(self) -> None:
        for strokes in (self._nod, self._shake, *self._strokes.values()):
            strokes.reset()
        self._yaw.reset()
        self._pitch.reset()
        self._held["tilt_left"].reset()
        self._held["tilt_right"].reset()

    def _forget_mouth(self) -> None:
        self._closed_since, self._rested = None, False
        for name in ("mouth_open", "smile", "brows_up"):
            self._held[name].reset()


def _near(value: float | None, limit: float) -> bool:
    return value is not None and abs(value) <= limit


def mirrored(measures: FaceMeasures) -> FaceMeasures:
    """Swap right and left, for a picture that was mirrored."""
    return FaceMeasures(
        right_closed=measures.left_closed,
        left_closed=measures.right_closed,
        mouth=measures.mouth,
        width=measures.width,
        brows=measures.brows,
        yaw=None if measures.yaw is None else -measures.yaw,
        pitch=measures.pitch,
        roll=None if measures.roll is None else -measures.roll,
    )
