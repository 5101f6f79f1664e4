"""Whether the driver can be seen at all: not seeing is told, and nothing is guessed from it.

Euro NCAP (Assessment Protocol SA Safe Driving, v10.4, 2024: degraded performance, such as by dark sunglasses or a
covered face) wants the driver to be told within 10 s.
"""

from __future__ import annotations

from typing import Literal

from ferd.policy.intervals import Interval, Window
from ferd.policy.measures import Look

Blind = Literal["not_seen", "eyes_not_seen"]

ENTER = 0.2
"""Told when the eyes were seen for less than this share of the window…"""
LEAVE = 0.4
"""…until they were seen for so much of it: hysteresis."""
GONE_S = 300.0
"""A face that was not seen for so long has left: there is nobody to watch."""


class VisibilityMonitor:
    """`window_s`: how far back it looks; 0: it never tells."""

    def __init__(self, window_s: float) -> None:
        self._window = Window[str](max(window_s, 1e-3))
        self._off = window_s <= 0
        self._began: float | None = None
        self._face_at: float | None = None
        self.blind: Blind | None = None

    def add(self, piece: Interval[Look]) -> None:
        kind = "gap" if piece.state is None else piece.state.eyes
        self._began = piece.start if self._began is None else self._began
        if kind not in ("gap", "away"):
            self._face_at = piece.end
        self._window.add(piece.start, piece.end, {"shut": "eyes", "half": "eyes", "open": "eyes"}.get(kind, kind))
        eyes, face = self._window.share("eyes"), self._window.share("eyes", "hidden")
        full = piece.end - self._began >= self._window.length_s - 1e-9
        if self._off or self.gone_at(piece.end) or eyes >= LEAVE:
            self.blind = None
        elif full and (self.blind or eyes < ENTER):
            self.blind = self._reason(face)

    def gone_at(self, t: float) -> bool:
        """True when no face was seen for GONE_S."""
        since = self._began if self._face_at is None else self._face_at
        return since is not None and t - since >= GONE_S

    def _reason(self, face: float) -> Blind:
        """A reason that is told stays until the other is clear."""
        if face < ENTER or (self.blind == "not_seen" and face < 0.5):
            return "not_seen"
        return "eyes_not_seen"
