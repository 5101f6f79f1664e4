"""Warn a driver whose head or eyes are off the road. Off unless `fatigue.attention` is switched on.

Models:
- Euro NCAP's distraction rules, as Forster et al. quote them (Accident Analysis and Prevention 205, 2024, 107684):
  glances of 3 s or more away from the road, and "visual attention time sharing", more than 10 s within 30 s.
- openpilot's driver monitoring: the head's angles are compared with the driver's own natural ones, with limits of about
  23 degrees of yaw and 18 of pitch; the driver is attentive again when looking ahead, and no distraction is counted
  while the face is not seen.
- Commission Delegated Regulation (EU) 2023/2590 (advanced driver distraction warning) warns after 3.5 s above 50 km/h
  and after 6 s above 20 km/h; ferd does not know the speed.

Only the head and the lids are measured, not the gaze: a driver who looks at a telephone with the eyes alone, lids
open, is not seen.
"""

from __future__ import annotations

from ferd.policy.episodes import ROUNDING, EpisodeDetector, Window
from ferd.policy.head import Pose

YAW, PITCH = 23.0, 18.0
"""Degrees from the own straight-ahead."""
LOWERED = 0.6
"""Lids below this share of the open eye, above a bowed head, look down."""
SHARING_WINDOW_S, SHARING_S = 30.0, 10.0


def off_road(off: Pose | None, *, away: bool, bowed: bool, lids: float | None, closed: bool) -> bool | None:
    """Return whether head or eyes are off the road; None where that cannot be known.

    Args:
        off: the head's angles from the driver's straight-ahead.
        away: the head is turned out of sight.
        bowed: the head is bowed.
        lids: aperture as a share of the open eye.
        closed: the eyes are closed.
    """
    if away:
        return True
    if off is None:
        return None
    if abs(off.yaw) > YAW or abs(off.pitch) > PITCH:
        return True
    return bowed and (closed or (lids is not None and lids < LOWERED))


class Attention:
    """Measure how long the driver has not looked ahead.

    Args:
        after_s: seconds off the road that raise the warning.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._off = EpisodeDetector()
        self._shares = Window[bool | None](SHARING_WINDOW_S)
        self._known = False

    def use(self, after_s: float) -> None:
        """Change the limit; what was observed stays."""
        self._after_s = after_s

    def add(self, start: float, end: float, off: bool | None, *, lost: bool) -> None:
        """Add an interval. `off`: see off_road. `lost`: no face was found."""
        self._off.add(start, end, off, lost=lost)
        self._shares.add(start, end, off)
        self._known = self._known or off is not None

    @property
    def value(self) -> float | None:
        """1 looking ahead to 0 at the warning; None before the straight-ahead is known."""
        if not self._known:
            return None
        current = self._off.current
        off_s = 0.0 if current is None else current.length
        return max(0.0, 1 - max(off_s / self._after_s, self._shares.seconds(True) / SHARING_S * float(off_s > 0)))

    @property
    def distracted(self) -> bool:
        """Whether the warning is due: one long look aside, or many short ones of which one lasts."""
        value = self.value
        return value is not None and value <= ROUNDING
