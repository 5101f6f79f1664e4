"""Say whether closed eyes would be noticed now, and if not, why. There is no moment without an answer.

The rule that closes the gap: in the last WINDOW_S the eyes were either seen for LEAST_SEEN of the time, or nobody can
judge. Where they were seen for that long and were closed in nearly all of it, `closed_evidence` raises a level although
no single closure could be followed. So eyes that stay closed for WINDOW_S are noticed, or it has been said that they
could not be.

Euro NCAP (Assessment Protocol SA Safe Driving, v10.4, 2024, degraded performance: dark sunglasses, a covered face)
requires that the driver is informed within 10 s.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from ferd.policy.episodes import ROUNDING, Window
from ferd.types import Unjudged

WINDOW_S = 10.0
LEAST_SEEN = 1 / 3
"""Below this share of the window nobody can judge…"""
SEEN_AGAIN = 0.45
"""…until the eyes were seen for this share of it: hysteresis."""
FIRST_S = 3.0
"""At the start the window counts as at least this long."""
LEAST_FPS = 3.0
"""Frames a second that the rules need: a blink of 0.3 s must not fall between two frames, nor make a closure of two."""
SLACK = 0.8
"""A camera at LEAST_FPS may lose a frame in five."""
RECENT_S, RECENT_FPS = 3.0, 2.0
"""A camera that becomes slow is noticed from these last seconds, by this rate."""
EVIDENCE_S, EVIDENCE_LEAVE_S = 2.0, 1.0
"""Seconds in which the eyes were seen closed, and those below which that is over: hysteresis. LEAST_SEEN of the window
is 3.3 s, less what is lost at the borders of the stretches in which they were seen."""
EVIDENCE_SHARE = 0.85
NO_BLINK_S = 30.0
"""People blink 10 to 20 times a minute, and about 4 times while they read (Bentivoglio et al., "Analysis of blink rate
patterns in normal subjects", Movement Disorders 12, 1997)."""
NO_BLINK_SEEN, NO_BLINK_FPS = 0.8, 8.0
"""…provided that the eyes were seen nearly all the time, and often enough to catch a blink of 0.15 s."""
GONE_S = 300.0
"""A face that was not seen for this long has left: the next one may be another person."""
STICKY = 0.15
"""Another reason must outweigh the one that is reported by this share of the window."""

Kind = Literal["closed", "excused", "open", "half", "hidden", "away", "absent", "gap"]
SEEN: tuple[Kind, ...] = ("closed", "excused", "open", "half")
REASONS: tuple[tuple[Kind, Unjudged], ...] = (
    ("absent", "not_seen"),
    ("hidden", "eyes_not_seen"),
    ("away", "turned_away"),
    ("gap", "too_few_frames"),
)


class Judgement:
    """Follow what could be seen.

    Attributes:
        reason: why nobody can judge now; None while closed eyes would be noticed.
        since: when that reason, or one before it without a break, began.
    """

    def __init__(self) -> None:
        self._window = Window[Kind](WINDOW_S)
        self._frames: deque[float] = deque()
        self._began: float | None = None
        self._now = 0.0
        self._face_at: float | None = None
        self._moved_at: float | None = None
        self._still = Window[bool](NO_BLINK_S)
        self.reason: Unjudged | None = "not_seen"
        self.since = 0.0

    def frame(self, t: float) -> None:
        """Count a frame, before the intervals that it ends."""
        self._frames.append(t)
        while self._frames[0] < t - WINDOW_S:
            self._frames.popleft()

    def add(self, start: float, end: float, kind: Kind, *, blink: bool) -> None:
        """Add an interval. `blink`: the lids moved, or the eyes were not seen well enough to say that they did not."""
        if self._began is None:
            self._began = self.since = start
        self._now = end
        self._window.add(start, end, kind)
        if kind not in ("gap", "absent"):
            self._face_at = end
        if blink or self._moved_at is None:
            self._moved_at = end
        self._still.add(start, end, kind in SEEN)
        before, self.reason = self.reason, self._judge()
        if self.reason is not None and before is None:
            self.since = end

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first frame."""
        return 0.0 if self._began is None else self._now - self._began

    @property
    def fps(self) -> float | None:
        """Frames a second in the window; None before there is enough to say."""
        if len(self._frames) < 2 or self.elapsed_s < FIRST_S:
            return None
        return len(self._frames) / min(WINDOW_S, max(self._frames[-1] - self._frames[0], FIRST_S))

    @property
    def is_slow(self) -> bool:
        """Whether fewer frames come than the rules need: in the window, or in its last seconds."""
        fps, least = self.fps, round(RECENT_S * RECENT_FPS)
        if fps is None:
            return False
        recent_s = self._frames[-1] - self._frames[-least] if len(self._frames) >= least else WINDOW_S
        return fps < LEAST_FPS * SLACK or recent_s > RECENT_S

    def gone_at(self, t: float) -> bool:
        """Return True when no face was seen for GONE_S."""
        since = self._began if self._face_at is None else self._face_at
        return since is not None and t - since >= GONE_S

    def closed_evidence(self, before: bool) -> bool:
        """Return whether the eyes were seen closed for long enough in the window, and hardly ever otherwise.

        Args:
            before: what was returned last.
        """
        closed = self._window.seconds("closed")
        known = closed + self._window.seconds("open", "half")
        least_s = EVIDENCE_LEAVE_S if before else EVIDENCE_S
        return closed >= least_s - ROUNDING and closed >= EVIDENCE_SHARE * known - ROUNDING

    def _judge(self) -> Unjudged | None:
        whole = min(WINDOW_S, max(self.elapsed_s, FIRST_S))
        seen = self._window.seconds(*SEEN) / whole
        if self.is_slow:
            return "too_few_frames"
        if seen < (LEAST_SEEN if self.reason is None else SEEN_AGAIN) - ROUNDING:
            return self._worst(whole)
        return "no_blinks" if self._stares() else None

    def _worst(self, whole: float) -> Unjudged:
        shares = {reason: self._window.seconds(kind) / whole for kind, reason in REASONS}
        if self.reason in shares:
            shares[self.reason] += STICKY
        return max(shares, key=lambda reason: shares[reason])

    def _stares(self) -> bool:
        fps = self.fps
        if self._moved_at is None or self._now - self._moved_at < NO_BLINK_S - ROUNDING or fps is None:
            return False
        return fps >= NO_BLINK_FPS and self._still.share(True) >= NO_BLINK_SEEN
