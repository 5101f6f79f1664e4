"""Measure a driver's eyes and mouth over time: PERCLOS, blinks, yawns, nods, awareness, the person's baseline.

Each class takes intervals in the order of time. `ferd.policy.drowsiness` turns the measures into levels.

Sources:
- PERCLOS: the proportion of time in a minute in which the eyes are at least 80 % closed (P80). Wierwille, Ellsworth,
  Wreggit, Fairbanks and Kirn, "Research on vehicle-based driver status/performance monitoring", DOT HS 808 247, 1994;
  taken up by FHWA, "PERCLOS: a valid psychophysiological measure of alertness as assessed by psychomotor vigilance",
  FHWA-MCRT-98-006, 1998. There people rated eyelids on video; here a model does, and time without a result is left
  out.
- Blinks: endogenous blinks last 500 ms at most, longer ones are closures of another kind. Stern, Walrath and
  Goldstein, "The endogenous eyeblink", Psychophysiology 21, 1984.
- Awareness: after openpilot's driver monitoring (selfdrive/monitoring: `awareness`, levels from intervals). It differs
  where a daemon without a car must: openpilot's intervals (3, 5 and 11 s) count a driver who looks away or has the eyes
  closed, ours count closed eyes only; its recovery is fastest when awareness is lowest, ours when the driver is nearly
  awake, so that a short look up does not end an alarm.
- Baseline: after openpilot's per-driver offsets, learned while driving, cautiously, and forgotten slowly.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from ferd.policy.episodes import ROUNDING, Episode, EpisodeDetector, Interval, Window
from ferd.policy.head import Nods, Pose
from ferd.policy.histogram import ForgettingHistogram
from ferd.policy.yawns import MOST_S

Eyes = Literal["closed", "half", "open", "hidden", "away", "absent"]
"""``half``: seen, but neither closed nor open. ``hidden``: the face is seen, its eyes are not. ``away``: the head is
turned beyond the reach of the eyes model. ``absent``: no face."""
CLOSED = 0.8
"""P80: at least 80 % closed."""
OPEN = 0.6
"""Open again below this. In between it is neither: hysteresis on the value, in addition to that on time."""

WINDOW_S = 60.0
LEAST_OBSERVED = 0.5
"""Rates are reported when at least this share of their window was observed."""
BLINK_S = 0.5
BLINK_LEAST_S = 0.05
"""Shorter than any blink: a frame that was misread."""

YAWN_WINDOW_S = 300.0
YAWN_S = 2.0
"""A yawn keeps the mouth wide open for at least this long; speech does not."""
MOUTH_UNKNOWN_S, MOUTH_LEAST_KNOWN = 1.0, 0.4
"""A wide-open mouth is often not read for sure, and nothing else looks like it: more may be unknown than of eyes."""
LAUGH = 0.5
"""With the expression of happiness in more than this share of it, it was a laugh."""

SLOWEST, FASTEST = 1.25, 5.0
"""Awareness recovers this many times as fast as it falls: at 0, and at 1 (the factors of openpilot)."""
BOWED = 0.5
"""Once the eyes of a head that was bowed before they closed have been closed for as long as raises a notice, they count
for half: they may be looking down. A sleeping head sinks after the eyes have closed."""
BOWED_WITHIN_S = 0.5

NOD_WINDOW_S, NODS_S = 300.0, 60.0

STEPS = 20
LEARN_S = 30.0
"""The baseline stays 0 until this many seconds were observed."""
MEMORY_S = 300.0
"""Time after which an observation counts a third (1/e) of a new one."""
REFRESH_S = 1.0
HIGHEST = 0.5
"""Upper limit of the baseline: somebody who falls asleep while it is learned must not teach it that closed is open."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one frame shows.

    Attributes:
        closed: how closed the eyes are, 0 to 1, as the model reads them; None where they are hidden.
        wide: the mouth is wide open, in a yawn or a laugh; None where it cannot be read.
        happy: happiness is the expression that is held.
        lids: aperture in eye distances; None where it is not measured.
        lids_share: the same as a share of the person's open eye; None where that is not known or not to be trusted.
        pose: of the head.
        bowed: the head is bowed to look down.
        off_road: head or eyes are off the road; None where that cannot be known.
    """

    eyes: Eyes
    closed: float | None = None
    wide: bool | None = None
    happy: bool = False
    lids: float | None = None
    lids_share: float | None = None
    pose: Pose | None = None
    bowed: bool = False
    off_road: bool | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The measures at one moment; their meaning: `ferd.types.Fatigue`."""

    perclos: float | None
    observed: float
    blinks: float | None
    blink_s: float | None
    longest_s: float
    yawns: int
    nods: int


class EyeMeasures:
    """Compute PERCLOS, blinks, closures, yawns and nods."""

    def __init__(self) -> None:
        self.closures = EpisodeDetector()
        """The closures of the eyes; time that a yawn or a laugh excuses is marked in them."""
        self._wide = EpisodeDetector(unknown_s=MOUTH_UNKNOWN_S, least_known=MOUTH_LEAST_KNOWN)
        self._eyes = Window[Eyes | Literal["excused"] | None](WINDOW_S)
        self._past_closures: deque[Episode] = deque()
        self._yawns: deque[Episode] = deque()
        self._nodding, self._nods = Nods(), deque[float]()

    def add(self, interval: Interval[Observation], *, excused: bool) -> None:
        """Add an interval. `excused`: closed eyes in it belong to a yawn or a laugh."""
        observation = interval.state or Observation("absent")
        eyes = None if interval.state is None else observation.eyes
        start, end, wide = interval.start, interval.end, observation.wide
        holds = {"closed": True, "half": False, "open": False}.get(observation.eyes)
        self._eyes.add(start, end, "excused" if excused and eyes == "closed" else eyes)
        lost = observation.eyes == "absent"
        self._past_closures.extend(self.closures.add(start, end, holds, marked=excused, lost=lost))
        if self._nodding.add(start, end, observation.pose, closed=eyes == "closed" and not excused):
            self._nods.append(end)
        while self._nods and self._nods[0] < end - NOD_WINDOW_S:
            self._nods.popleft()
        ended = self._wide.add(start, end, wide, marked=observation.happy, lost=lost)
        self._yawns.extend(episode for episode in ended if _is_yawn(episode))
        _drop_before(end - WINDOW_S, self._past_closures)
        _drop_before(end - YAWN_WINDOW_S, self._yawns)

    @property
    def figures(self) -> Figures:
        observed = self._eyes.share("closed", "half", "open")
        enough = observed >= LEAST_OBSERVED
        current, yawn = self.closures.current, self._wide.current
        closures = [*self._past_closures, *([current] if current else [])]
        blinks = [closure.length for closure in self._past_closures if BLINK_LEAST_S <= closure.length <= BLINK_S]
        return Figures(
            perclos=self._eyes.seconds("closed") / (observed * WINDOW_S) if enough else None,
            observed=observed,
            blinks=len(blinks) / observed * 60 / WINDOW_S if enough else None,
            blink_s=sum(blinks) / len(blinks) if blinks and enough else None,
            longest_s=max((closure.length for closure in closures), default=0.0),
            yawns=len(self._yawns) + (yawn is not None and _is_yawn(yawn)),
            nods=len(self._nods),
        )

    def nods_since(self, t: float) -> int:
        """Return how often the head nodded off after a time."""
        return sum(at > t for at in self._nods)


def _is_yawn(episode: Episode) -> bool:
    return episode.length >= YAWN_S and episode.marked_s <= LAUGH * episode.length


def _drop_before(t: float, episodes: deque[Episode]) -> None:
    while episodes and episodes[0].end < t:
        episodes.popleft()


class Awareness:
    """One number from 1 (wide awake) to 0 that falls while the eyes are closed and rises while they are open.

    Args:
        full_s: seconds of closed eyes that take it from 1 to 0.
        first_s: seconds of closed eyes that raise the first level.
    """

    def __init__(self, full_s: float, first_s: float) -> None:
        self._full_s, self._first_s = full_s, first_s
        self.value = 1.0
        self._when_open = 1.0
        self._at_closing = 1.0
        self._closing = False
        self._open_s = 0.0
        self._closing_s = self._bowed_s = 0.0
        self._was_bowed = False

    def use(self, full_s: float, first_s: float) -> None:
        """Change the times. The seconds of closed eyes that were counted stay."""
        ratio = self._full_s / full_s
        self.value, self._when_open, self._at_closing = (
            max(1 - (1 - value) * ratio, 0.0) for value in (self.value, self._when_open, self._at_closing)
        )
        self._full_s, self._first_s = full_s, first_s

    def add(self, interval: Interval[Observation], closures: EpisodeDetector) -> None:
        """Add an interval that `closures` has already been given.

        While the eyes cannot be seen the value stays: that is evidence of nothing. Closures between which the eyes were
        not seen open add up only when the first level was reached before: then nobody has woken up.
        """
        opened = interval.state is not None and interval.state.eyes == "open"
        if closure := closures.current:
            self._open_s = 0.0 if closure.end >= interval.end else self._open_s + (interval.length if opened else 0.0)
            if not self._closing:
                reported = (1 - self.value) * self._full_s >= self._first_s - ROUNDING
                self._closing, self._at_closing = True, self.value if reported else self._when_open
                self._closing_s = self._bowed_s = 0.0
                self._was_bowed = False
            self._note_bowed(interval)
            self.value = max(min(self.value, self._at_closing - self._counted_s(closure) / self._full_s), 0.0)
            return
        self._closing = False
        if opened:  # time in which it was not yet certain that the eyes are open counts as well
            self.value = recovered(self.value, (self._open_s + interval.length) / self._full_s)
            self._when_open, self._open_s = self.value, 0.0

    def _note_bowed(self, interval: Interval[Observation]) -> None:
        bowed = interval.state is not None and interval.state.bowed
        self._closing_s += interval.length
        self._was_bowed = self._was_bowed or (bowed and self._closing_s <= BOWED_WITHIN_S)
        if bowed and self._was_bowed:
            self._bowed_s += interval.length

    def _counted_s(self, closure: Episode) -> float:
        """Return the seconds of a closure that count: not those of a yawn, and half of those of a look down."""
        counted = closure.length - min(closure.marked_s, MOST_S)
        return counted - BOWED * min(self._bowed_s, max(counted - self._first_s, 0.0))


def recovered(value: float, share: float) -> float:
    """Return awareness after open eyes for `share` of the full time.

    The exact solution of da/dx = SLOWEST + (FASTEST - SLOWEST) * a.
    """
    slope = FASTEST - SLOWEST
    return min(((SLOWEST + slope * value) * math.exp(slope * share) - SLOWEST) / slope, 1.0)


class Baseline:
    """Learn how open eyes read for this person: narrow eyes, heavy lids or glasses read as half closed all day.

    The value is the median of how closed the eyes were read, weighted by seconds: awake, they are open most of the
    time.
    """

    def __init__(self) -> None:
        self._past = ForgettingHistogram(0.0, 1.0, STEPS, MEMORY_S)
        self._pending_s = 0.0
        self._value = 0.0

    def add(self, length_s: float, closed: float) -> None:
        """Add `length_s` seconds of eyes read as `closed`, 0 to 1."""
        self._past.add(length_s, closed)
        self._pending_s += length_s
        if self._pending_s >= REFRESH_S:
            self._pending_s = 0.0
            if self._past.total_s >= LEARN_S:
                self._value = min(self._past.quantile(0.5), HIGHEST)

    @property
    def value(self) -> float:
        """0 until LEARN_S were observed."""
        return self._value

    def degree(self, closed: float) -> float:
        """Return how closed the eyes are for this person: 0 as open as usual, 1 closed."""
        return min(max((closed - self._value) / (1 - self._value), 0.0), 1.0)
