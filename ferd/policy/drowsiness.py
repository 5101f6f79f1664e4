"""Is the driver tired: one policy over what was measured. Pure: (time, look) in, Fatigue out.

Where the defaults come from (FatigueConfig in ferd/config/fatigue.py):
- Eyes shut: a warning after 1.5 s, an alarm after 3.0 s. Euro NCAP, Assessment Protocol Safety Assist - Safe Driving,
  v10.4 (2024), 3.5.3.2: a microsleep commonly shows as eyes closed for less than 3 s, a driver whose eyes stay closed
  for more than 3 s is asleep, and after 6 s unresponsive. Blinks end before 0.5 s (ferd/policy/measures.py).
- PERCLOS over 0.15 and 0.25: no standard gives a limit. On a closed road drivers had 0.06 when they set out, 0.11 at
  their first microsleep of a second and 0.12 when they left the lane (Journal of Vision 12(9), 2012, VSS abstract).
  Ours lie higher, for the sake of fewer false alarms: eyes are read wrongly now and then. They hold when the whole
  minute was observed, and rise with 1/sqrt(observed) when less was: as the error of a share does.
- Commission Delegated Regulation (EU) 2021/1341 (driver drowsiness and attention warning) wants a warning at level 8
  of the Karolinska Sleepiness Scale and allows one at 7, by any measure shown to match it. Nobody has shown it for
  this one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import cast

from ferd.policy.awareness import Awareness
from ferd.policy.baseline import Baseline
from ferd.policy.intervals import Interval, IntervalBuilder
from ferd.policy.measures import LEAST_OBSERVED, OPEN, SHUT, Eyes, Figures, Look, Measures
from ferd.policy.visibility import VisibilityMonitor
from ferd.types import LEVELS, EyeMouthState, Fatigue, Level

WIDE = 0.8
"""A mouth counts as wide open from here on."""
SEEN_S = 0.75
"""A closure must have been seen for longer than any blink before it raises a level."""
PERCLOS_LEAVE = 0.8
"""A level that PERCLOS began ends below this share of its limit, and of what must be observed: hysteresis."""
HOLD_S = 1.0
"""A level stays for so long at least, so that it is heard."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class DrowsinessLimits:
    """Seconds of shut eyes, shares of PERCLOS, and how long not to be seen. Meaning: FatigueConfig."""

    eyes_closed_notice_s: float = 1.0
    eyes_closed_warning_s: float = 1.5
    eyes_closed_alarm_s: float = 3.0
    perclos_notice: float = 0.15
    perclos_warning: float = 0.25
    unseen_after_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A level and why; `none` has no reason."""

    level: Level = "none"
    reason: str | None = None

    @property
    def rank(self) -> int:
        return LEVELS.index(self.level)


class DrowsinessPolicy:
    """Call `update` with each frame. `factor`: the limits of PERCLOS are multiplied by it, the seconds never."""

    def __init__(self, limits: DrowsinessLimits) -> None:
        self.factor = 1.0
        self._limits = limits
        self._begin()
        self._told = Verdict()
        self.since = 0.0
        """When the level that holds began."""

    def update(self, t: float, signals: EyeMouthState | None, happy: bool = False) -> Fatigue:
        """`signals`: None when the driver was not seen. `happy`: happiness is the expression that is held."""
        if signals is not None and self._sight.gone_at(t):
            self._begin()  # whoever comes now may be somebody else
        eyes = [self._add(piece) for piece in self._pieces.add(t, self._look(signals, happy))]
        figures = self._measures.figures
        self._perclos = self._judge_perclos(figures)
        # Frames far apart may bring both, the end of a closure and open eyes for long enough: it is told all the same.
        self._tell(t, self._worst(t, max(eyes, default=self._eyes, key=lambda verdict: verdict.rank)))
        return Fatigue(
            awareness=min(self._awareness.value, self._fresh(figures)),
            level=self._told.level,
            reason=self._told.reason,
            perclos=figures.perclos,
            observed=figures.observed,
            blinks=figures.blinks,
            blink_s=figures.blink_s,
            longest_s=figures.longest_s,
            yawns=figures.yawns,
        )

    def _begin(self) -> None:
        self._pieces = IntervalBuilder[Look]()
        self._measures = Measures()
        self._awareness = Awareness(self._limits.eyes_closed_alarm_s, self._limits.eyes_closed_notice_s)
        self._sight = VisibilityMonitor(self._limits.unseen_after_s)
        self._baseline = Baseline()
        self._eyes = Verdict()
        self._perclos = Verdict()

    def _look(self, signals: EyeMouthState | None, happy: bool) -> Look:
        if signals is None:
            return Look("away")
        wide = None if signals.mouth_open is None else signals.mouth_open >= WIDE
        if signals.eyes_closed is None:
            return Look("hidden", None, wide, happy)
        degree = self._baseline.degree(signals.eyes_closed)
        eyes: Eyes = "shut" if degree >= SHUT else "open" if degree <= OPEN else "half"
        return Look(eyes, signals.eyes_closed, wide, happy)

    def _add(self, piece: Interval[Look]) -> Verdict:
        look = piece.state
        self._measures.add(piece)
        self._awareness.add(piece, self._measures.shut)
        self._sight.add(piece)
        if look is not None and look.closed is not None:
            self._baseline.add(piece.length, look.closed)
        self._eyes = self._judge_eyes()
        return self._eyes

    def _judge_eyes(self) -> Verdict:
        """Rises with a closure that is no blink; holds until awareness is back above what begins a notice."""
        limits, lost_s = self._limits, (1 - self._awareness.value) * self._limits.eyes_closed_alarm_s + ROUNDING
        level: Level = "none"
        if lost_s >= limits.eyes_closed_notice_s:
            level = "notice"
        if lost_s >= limits.eyes_closed_warning_s:
            level = "warning"
        if lost_s >= limits.eyes_closed_alarm_s:
            level = "alarm"
        closure, verdict = self._measures.shut.current, Verdict(level, "eyes_closed")
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
        """Of notice and warning, for a PERCLOS that is told: some of its minute was observed."""
        by = self.factor / math.sqrt(figures.observed)
        return self._limits.perclos_notice * by, self._limits.perclos_warning * by

    def _worst(self, t: float, eyes: Verdict) -> Verdict:
        """What is to be told now; of equals the eyes first.

        Eyes that were shut and then cannot be seen count as shut, until it is told that they cannot be seen.
        """
        if self._sight.gone_at(t):
            return Verdict()
        if self._sight.blind:
            return max(self._perclos, Verdict("notice", self._sight.blind), key=lambda verdict: verdict.rank)
        return max(eyes, self._perclos, key=lambda verdict: verdict.rank)

    def _tell(self, t: float, wanted: Verdict) -> None:
        if wanted.rank < self._told.rank and t - self.since < HOLD_S - ROUNDING:
            return
        if wanted.level != self._told.level:
            self.since = t
        self._told = wanted

    def _fresh(self, figures: Figures) -> float:
        """PERCLOS on the scale of awareness: at its limits what shut eyes give at theirs, 1 below half the first."""
        limits, perclos = self._limits, figures.perclos
        if perclos is None:
            return 1.0
        notice, warning = self._perclos_limits(figures)
        ways = (
            (notice / 2, 1.0),
            (notice, 1 - limits.eyes_closed_notice_s / limits.eyes_closed_alarm_s),
            (warning, 1 - limits.eyes_closed_warning_s / limits.eyes_closed_alarm_s),
            (max(1.0, 2 * warning), 0.0),
        )
        for (p0, a0), (p1, a1) in itertools.pairwise(ways):
            if perclos < p1:
                return a0 + (a1 - a0) * min(max((perclos - p0) / (p1 - p0), 0.0), 1.0)
        return 0.0
