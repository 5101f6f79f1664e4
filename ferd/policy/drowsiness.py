"""Turn eye and mouth measures into a fatigue level. Pure: (time, state of eyes and mouth) in, Fatigue out.

Where the defaults come from (FatigueConfig in ferd/config/fatigue.py):
- Eyes closed: a warning after 1.5 s, an alarm after 3.0 s. Euro NCAP, Assessment Protocol Safety Assist - Safe Driving,
  v10.4 (2024), 3.5.3.2: a microsleep commonly shows as eyes closed for less than 3 s, a driver whose eyes stay closed
  for more than 3 s is asleep, and after 6 s unresponsive. Blinks end before 0.5 s (ferd/policy/eye_measures.py).
- PERCLOS over 0.15 and 0.25: no standard gives a limit. On a closed road drivers had 0.06 when they set out, 0.11 at
  their first microsleep of a second and 0.12 when they left the lane (Journal of Vision 12(9), 2012, VSS abstract).
  Ours are higher, to have fewer false alarms: eyes are misread now and then. They apply when the whole minute was
  observed, and rise with 1/sqrt(observed) when less was: as the error of a share does.
- Commission Delegated Regulation (EU) 2021/1341 (driver drowsiness and attention warning) requires a warning at level 8
  of the Karolinska Sleepiness Scale and allows one at 7, by any measure shown to match it. Nobody has shown it for
  this one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import cast

from ferd.policy.episodes import ROUNDING, Interval, IntervalBuilder
from ferd.policy.eye_measures import (
    CLOSED,
    LEAST_OBSERVED,
    OPEN,
    Awareness,
    Baseline,
    EyeMeasures,
    Eyes,
    Figures,
    Observation,
    VisibilityMonitor,
)
from ferd.types import LEVELS, EyeMouthState, Fatigue, Level

WIDE = 0.8
"""A mouth counts as wide open from this value on."""
SEEN_S = 0.75
"""A closure must have been seen for longer than any blink before it raises a level."""
PERCLOS_LEAVE = 0.8
"""A level that PERCLOS raised ends below this share of its limit, and of what must be observed: hysteresis."""
HOLD_S = 1.0
"""A level stays for at least this long, so that it is heard."""


@dataclass(frozen=True, slots=True)
class DrowsinessLimits:
    """Seconds of closed eyes, shares of PERCLOS, and seconds without being seen. Meaning: FatigueConfig."""

    eyes_closed_notice_s: float = 1.0
    eyes_closed_warning_s: float = 1.5
    eyes_closed_alarm_s: float = 3.0
    perclos_notice: float = 0.15
    perclos_warning: float = 0.25
    unseen_after_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A level and its reason; "none" has no reason."""

    level: Level = "none"
    reason: str | None = None

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


class DrowsinessPolicy:
    """Judge each frame. Call `update` at rising times.

    Attributes:
        factor: the limits of PERCLOS are multiplied by it, the seconds of closed eyes never.
        since: when the level that holds began.
    """

    def __init__(self, limits: DrowsinessLimits) -> None:
        self.factor = 1.0
        self._limits = limits
        self._reset()
        self._held = Verdict()
        self.since = 0.0

    def update(self, t: float, signals: EyeMouthState | None, happy: bool = False) -> Fatigue:
        """Add one frame and return what holds now.

        Args:
            t: seconds.
            signals: None when the driver was not seen.
            happy: happiness is the expression that is held.
        """
        if signals is not None and self._visibility.gone_at(t):
            self._reset()  # it may be another person
        eyes = [self._add(interval) for interval in self._intervals.add(t, self._observe(signals, happy))]
        figures = self._measures.figures
        self._perclos = self._judge_perclos(figures)
        # Frames far apart may bring both the end of a closure and its recovery: the closure is reported all the same.
        self._hold(t, self._worst(t, max(eyes, default=self._eyes, key=lambda verdict: verdict.rank)))
        return Fatigue(
            awareness=min(self._awareness.value, self._perclos_awareness(figures)),
            level=self._held.level,
            reason=self._held.reason,
            perclos=figures.perclos,
            observed=figures.observed,
            blinks=figures.blinks,
            blink_s=figures.blink_s,
            longest_s=figures.longest_s,
            yawns=figures.yawns,
        )

    def use(self, limits: DrowsinessLimits) -> None:
        """Change the limits. What was observed and a level that holds stay."""
        self._limits = limits
        self._awareness.use(limits.eyes_closed_alarm_s, limits.eyes_closed_notice_s)
        self._visibility.use(limits.unseen_after_s)

    def _reset(self) -> None:
        self._intervals = IntervalBuilder[Observation]()
        self._measures = EyeMeasures()
        self._awareness = Awareness(self._limits.eyes_closed_alarm_s, self._limits.eyes_closed_notice_s)
        self._visibility = VisibilityMonitor(self._limits.unseen_after_s)
        self._baseline = Baseline()
        self._eyes = Verdict()
        self._perclos = Verdict()

    def _observe(self, signals: EyeMouthState | None, happy: bool) -> Observation:
        if signals is None:
            return Observation("absent")
        wide = None if signals.mouth_open is None else signals.mouth_open >= WIDE
        if signals.eyes_closed is None:
            return Observation("hidden", None, wide, happy)
        degree = self._baseline.degree(signals.eyes_closed)
        eyes: Eyes = "closed" if degree >= CLOSED else "open" if degree <= OPEN else "half"
        return Observation(eyes, signals.eyes_closed, wide, happy)

    def _add(self, interval: Interval[Observation]) -> Verdict:
        observation = interval.state
        self._measures.add(interval)
        self._awareness.add(interval, self._measures.closures)
        self._visibility.add(interval)
        if observation is not None and observation.closed is not None:
            self._baseline.add(interval.length, observation.closed)
        self._eyes = self._judge_eyes()
        return self._eyes

    def _judge_eyes(self) -> Verdict:
        """Rise with a closure that is no blink; hold until awareness has recovered beyond the limit of a notice."""
        limits = self._limits
        closed_s = (1 - self._awareness.value) * limits.eyes_closed_alarm_s + ROUNDING
        level: Level = "none"
        if closed_s >= limits.eyes_closed_notice_s:
            level = "notice"
        if closed_s >= limits.eyes_closed_warning_s:
            level = "warning"
        if closed_s >= limits.eyes_closed_alarm_s:
            level = "alarm"
        closure, verdict = self._measures.closures.current, Verdict(level, "eyes_closed")
        if level == "none":
            return Verdict()
        seen = closure is not None and closure.held_s > SEEN_S
        return verdict if seen and verdict.rank > self._eyes.rank else self._eyes

    def _judge_perclos(self, figures: Figures) -> Verdict:
        if figures.perclos is None:
            return self._perclos if figures.observed >= PERCLOS_LEAVE * LEAST_OBSERVED else Verdict()
        notice, warning = self._perclos_limits(figures)
        for level, limit in (("warning", warning), ("notice", notice)):
            verdict = Verdict(cast(Level, level), "perclos")
            if figures.perclos > limit * (PERCLOS_LEAVE if self._perclos.rank >= verdict.rank else 1.0):
                return verdict
        return Verdict()

    def _perclos_limits(self, figures: Figures) -> tuple[float, float]:
        """Return the limits of notice and warning for a PERCLOS that is reported: some of its minute was observed."""
        factor = self.factor / math.sqrt(figures.observed)
        return self._limits.perclos_notice * factor, self._limits.perclos_warning * factor

    def _worst(self, t: float, eyes: Verdict) -> Verdict:
        """Return the verdict to report now; of equals that of the eyes.

        Eyes that were closed and then cannot be seen count as closed until it is reported that they cannot be seen.
        """
        if self._visibility.gone_at(t):
            return Verdict()
        if self._visibility.unseen:
            return max(self._perclos, Verdict("notice", self._visibility.unseen), key=lambda verdict: verdict.rank)
        return max(eyes, self._perclos, key=lambda verdict: verdict.rank)

    def _hold(self, t: float, wanted: Verdict) -> None:
        if wanted.rank < self._held.rank and t - self.since < HOLD_S - ROUNDING:
            return
        if wanted.level != self._held.level:
            self.since = t
        self._held = wanted

    def _perclos_awareness(self, figures: Figures) -> float:
        """Map PERCLOS to awareness: at its limits the value of closed eyes at theirs, 1 below half the first."""
        limits, perclos = self._limits, figures.perclos
        if perclos is None:
            return 1.0
        notice, warning = self._perclos_limits(figures)
        points = (
            (notice / 2, 1.0),
            (notice, 1 - limits.eyes_closed_notice_s / limits.eyes_closed_alarm_s),
            (warning, 1 - limits.eyes_closed_warning_s / limits.eyes_closed_alarm_s),
            (max(1.0, 2 * warning), 0.0),
        )
        for (p0, a0), (p1, a1) in itertools.pairwise(points):
            if perclos < p1:
                return a0 + (a1 - a0) * min(max((perclos - p0) / (p1 - p0), 0.0), 1.0)
        return 0.0
