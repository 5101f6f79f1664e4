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

from ferd.policy.attention import Attention, off_road
from ferd.policy.episodes import ROUNDING, Interval, IntervalBuilder
from ferd.policy.eye_measures import (
    CLOSED,
    LEAST_OBSERVED,
    NODS_S,
    OPEN,
    Awareness,
    Baseline,
    EyeMeasures,
    Eyes,
    Figures,
    Observation,
)
from ferd.policy.head import Pose, StraightAhead
from ferd.policy.judgement import LEAST_SEEN, WINDOW_S, Judgement, Kind
from ferd.policy.lids import OwnLids, join
from ferd.policy.yawns import YawnOrLaugh
from ferd.types import LEVELS, EyeMouthState, Fatigue, Level

WIDE = 0.8
"""A mouth counts as wide open from this reading of the model on…"""
WIDE_LIPS = 0.45
"""…or from this aperture of the inner lips in eye distances on. Yawns: 0.55 to 0.85, speech: up to 0.5 for moments."""
APART = 0.12
"""The mouth model takes some full lips for an open mouth: lips that are measured closer than this are not wide open."""
LAUGHING, LAUGHING_LIPS = 0.5, 0.2
"""The same for a face whose expression is happiness: a laugh."""
BLINK, BLINK_LIDS = 0.3, 0.75
"""The lids moved: the reading is above the first, or the aperture below the second as a share of the open eye."""
NODS = 2
"""So many nods within NODS_S raise a notice."""
OUT_OF_SIGHT = ("not_seen", "eyes_not_seen", "turned_away")
"""With these reasons the last closure is of the past."""
EVIDENCE_ALARM_S = 5.0
"""Seconds from the warning to the alarm of eyes that are seen closed whenever they are seen."""
SEEN_S = 0.75
"""A closure must have been seen for longer than any blink before it raises a level."""
PERCLOS_LEAVE = 0.8
"""A level that PERCLOS raised ends below this share of its limit, and of what must be observed: hysteresis."""
HOLD_S = 1.0
"""A level stays for at least this long, so that it is heard."""


@dataclass(frozen=True, slots=True)
class DrowsinessLimits:
    """Seconds of closed eyes, shares of PERCLOS, seconds without being seen, and attention. Meaning: FatigueConfig."""

    eyes_closed_notice_s: float = 1.0
    eyes_closed_warning_s: float = 1.5
    eyes_closed_alarm_s: float = 3.0
    perclos_notice: float = 0.15
    perclos_warning: float = 0.25
    unseen_after_s: float = 10.0
    unjudged_every_s: float = 60.0
    attention: bool = False
    attention_after_s: float = 3.0


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
        if signals is not None and self._judgement.gone_at(t):
            self._reset()  # it may be another person
        self._judgement.frame(t)
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
            nods=figures.nods,
            unjudged=self._judgement.reason,
            attention=self._attention.value if self._limits.attention else None,
        )

    def use(self, limits: DrowsinessLimits) -> None:
        """Change the limits. What was observed and a level that holds stay."""
        self._limits = limits
        self._awareness.use(limits.eyes_closed_alarm_s, limits.eyes_closed_notice_s)
        self._attention.use(limits.attention_after_s)

    @property
    def repeat_s(self) -> float | None:
        """Seconds after which the notice that holds is repeated; None for one that is given once."""
        cannot_judge = self._held.level == "notice" and self._held.reason == self._judgement.reason
        return self._limits.unjudged_every_s or None if cannot_judge else None

    def _reset(self) -> None:
        self._intervals = IntervalBuilder[Observation]()
        self._measures = EyeMeasures()
        self._awareness = Awareness(self._limits.eyes_closed_alarm_s, self._limits.eyes_closed_notice_s)
        self._judgement = Judgement()
        self._baseline = Baseline()
        self._lids = OwnLids()
        self._ahead = StraightAhead()
        self._mouth = YawnOrLaugh()
        self._attention = Attention(self._limits.attention_after_s)
        self._evidence_since: float | None = None
        self._evidence = Verdict()
        self._eyes = Verdict()
        self._perclos = Verdict()

    def _observe(self, signals: EyeMouthState | None, happy: bool) -> Observation:
        if signals is None:
            return Observation("absent")
        pose = None
        if _finite(signals.yaw) is not None and _finite(signals.pitch) is not None:
            pose = Pose(signals.yaw or 0.0, signals.pitch or 0.0)
        lids, closed = _finite(signals.lids), _finite(signals.eyes_closed)
        mouth, lips = _finite(signals.mouth_open), _finite(signals.mouth)
        eyes, share = self._eyes_of(closed, lids)
        away = signals.hidden == "turned" or self._ahead.is_away(pose)
        bowed = self._ahead.is_bowed(pose)
        return Observation(
            "away" if away else eyes,
            None if away else closed,
            _wide(mouth, lips),
            happy and _laughs(mouth, lips),
            happy,
            None if away else lids,
            None if away else share,
            pose,
            bowed,
            off_road(self._ahead.off(pose), away=away, bowed=bowed, lids=share, closed=eyes == "closed"),
        )

    def _eyes_of(self, closed: float | None, lids: float | None) -> tuple[Eyes, float | None]:
        """Return the state of the eyes, and the lids' aperture as a share of the open eye where that can be trusted."""
        share = self._lids.word(lids)
        if closed is None:
            return "hidden", None
        degree = join(self._baseline.degree(closed), share, CLOSED, OPEN)
        return "closed" if degree >= CLOSED else "open" if degree <= OPEN else "half", share

    def _add(self, interval: Interval[Observation]) -> Verdict:
        start, end, seen = interval.start, interval.end, interval.state or Observation("absent")
        excused = self._mouth.add(start, end, seen.wide, None if seen.pose is None else seen.pose.pitch)
        closed = {"closed": True, "half": True, "open": False}.get(seen.eyes)
        excused |= self._mouth.laughs(start, end, closed=closed) and seen.laughs
        self._measures.add(interval, excused=excused)
        self._awareness.add(interval, self._measures.closures)
        kind: Kind = "gap" if interval.state is None else seen.eyes
        if kind == "closed" and excused and not self._mouth.is_long:
            kind = "excused"
        self._judgement.add(start, end, kind, blink=_moves(seen))
        self._attention.add(start, end, None if excused else seen.off_road, lost=seen.eyes == "absent")
        self._learn(interval.length, seen)
        self._evidence = self._judge_evidence(end)
        self._eyes = self._judge_eyes()
        return max(self._eyes, self._evidence, key=lambda verdict: verdict.rank)

    def _learn(self, length_s: float, seen: Observation) -> None:
        """Learn the person's eyes and straight-ahead."""
        if seen.pose is not None:
            self._ahead.add(length_s, seen.pose)
        if seen.closed is None:
            return
        self._baseline.add(length_s, seen.closed)
        degree = self._baseline.degree(seen.closed)
        if seen.lids is not None and (degree >= CLOSED or degree <= OPEN):
            self._lids.add(length_s, seen.lids, closed=degree >= CLOSED)

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

    def _judge_evidence(self, t: float) -> Verdict:
        """Judge eyes that are closed whenever they are seen, although no single closure could be followed."""
        if not self._judgement.closed_evidence(self._evidence_since is not None):
            self._evidence_since = None
            return Verdict()
        self._evidence_since = t if self._evidence_since is None else self._evidence_since
        lasts = t - self._evidence_since >= EVIDENCE_ALARM_S - ROUNDING
        return Verdict("alarm" if lasts else "warning", "eyes_closed")

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
        verdicts = [self._perclos]
        if self._limits.attention and self._attention.distracted:
            verdicts.append(Verdict("warning", "distracted"))
        if self._measures.nods_since(t - NODS_S) >= NODS:
            verdicts.append(Verdict("notice", "nodding"))
        reports = self._reports_unjudged(t)
        if reports:
            verdicts.append(Verdict("notice", self._judgement.reason))
        verdicts.insert(0, self._evidence if reports and self._judgement.reason in OUT_OF_SIGHT else eyes)
        return max(verdicts, key=lambda verdict: verdict.rank)

    def _reports_unjudged(self, t: float) -> bool:
        """Whether it is reported now that nobody can judge.

        When the judgement ends, the eyes have already been out of sight for most of its window.
        """
        judgement, after_s = self._judgement, self._limits.unseen_after_s
        if judgement.reason is None or after_s <= 0 or judgement.elapsed_s < after_s - ROUNDING:
            return False
        known_s = 0.0 if judgement.reason == "no_blinks" else after_s - (1 - LEAST_SEEN) * WINDOW_S
        return t - judgement.since >= known_s - ROUNDING

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


def _wide(mouth: float | None, lips: float | None) -> bool | None:
    """Return whether the mouth is wide open, by the model's reading and the lips' aperture; None: cannot be read."""
    if lips is not None and lips >= WIDE_LIPS:
        return True
    if mouth is None:
        return None
    return mouth >= WIDE and (lips is None or lips >= APART)


def _laughs(mouth: float | None, lips: float | None) -> bool:
    """Return whether the mouth of a happy face is open enough for a laugh."""
    return (mouth is not None and mouth >= LAUGHING) or (lips is not None and lips >= LAUGHING_LIPS)


def _moves(seen: Observation) -> bool:
    """Whether the lids moved, or it cannot be known that they did not."""
    if seen.closed is None:
        return True
    return seen.closed >= BLINK or (seen.lids_share is not None and seen.lids_share <= BLINK_LIDS)


def _finite(value: float | None) -> float | None:
    """Return the value, None for one that is not a finite number."""
    return value if value is not None and math.isfinite(value) else None
