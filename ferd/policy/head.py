"""Learn where a driver's head points while driving, and say how it stands now: turned away, bowed, nodding off.

The camera rarely stands straight ahead: drivers in our clips look ahead at 30 degrees to its side. As openpilot's
driver monitoring learns offsets of the pose for each driver, the median of the recent minutes is the straight-ahead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ferd.policy.histogram import ForgettingHistogram

LEARN_S = 5.0
MEMORY_S = 300.0
REFRESH_S = 0.5
WIDEST = 90.0

FAR, FAR_WEIGHT = 15.0, 0.1
"""A pose farther from the straight-ahead than this many degrees counts for a tenth: a driver who looks aside for a
minute has not moved the road. A camera that was moved is learned all the same, slowly."""

AWAY = 25.0
"""Degrees of yaw, from the own straight-ahead and from the camera, beyond which the far eye is hidden and the near one
is seen from its side: a turned head is never a sleeping one."""
AWAY_UNKNOWN = 45.0
"""The same from the camera alone while the straight-ahead is not known."""
BOWED = 8.0
"""Degrees of pitch below the straight-ahead from which lids are lowered to look down. Pitch is measured to
3 degrees."""

SINK = 12.0
"""Degrees by which a head sinks in a nod."""
SINK_TURN = 10.0
"""A head that turns by more degrees meanwhile looks at something."""
SINK_LEAST_S, SINK_MOST_S = 0.5, 3.0
RISE_S = 0.6
"""A sleeping head sinks slowly and is jerked up. A head that bows to look at something moves at one speed."""
CLOSED_LEAST_S = 0.75
"""The eyes were closed for longer than any blink while it sank."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees of a head from the camera's axis: to the right of the picture, and down."""

    yaw: float
    pitch: float


class StraightAhead:
    """Learn one driver's straight-ahead."""

    def __init__(self) -> None:
        self._yaw = ForgettingHistogram(-WIDEST, WIDEST, 90, MEMORY_S)
        self._pitch = ForgettingHistogram(-WIDEST, WIDEST, 90, MEMORY_S)
        self._pending_s = 0.0
        self.pose: Pose | None = None
        """None until LEARN_S were seen."""

    def add(self, length_s: float, pose: Pose) -> None:
        """Add seconds in which the head pointed there."""
        off = self.off(pose)
        if off is not None and max(abs(off.yaw), abs(off.pitch)) > FAR:
            length_s *= FAR_WEIGHT
        self._yaw.add(length_s, pose.yaw)
        self._pitch.add(length_s, pose.pitch)
        self._pending_s += length_s
        if self._pending_s >= REFRESH_S:
            self._pending_s = 0.0
            if self._yaw.total_s >= LEARN_S:
                self.pose = Pose(self._yaw.quantile(0.5), self._pitch.quantile(0.5))

    def off(self, pose: Pose | None) -> Pose | None:
        """Return the difference from the straight-ahead; None where either is not known."""
        if pose is None or self.pose is None:
            return None
        return Pose(pose.yaw - self.pose.yaw, pose.pitch - self.pose.pitch)

    def is_away(self, pose: Pose | None) -> bool:
        """Whether the head is turned beyond the reach of the eyes model."""
        if pose is None:
            return False
        off = self.off(pose)
        if off is None:
            return abs(pose.yaw) > AWAY_UNKNOWN
        return abs(off.yaw) > AWAY and abs(pose.yaw) > AWAY

    def is_bowed(self, pose: Pose | None) -> bool:
        """Whether the head is bowed to look down. False while the straight-ahead is not known."""
        off = self.off(pose)
        return off is not None and off.pitch > BOWED


class Nods:
    """Find heads that sink slowly with closed eyes and are jerked up."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, Pose, float]] = deque()  # end, pose, seconds of closed eyes
        self._closed_s = 0.0  # in them
        self._lowest: tuple[float, float] | None = None  # of a head that has sunk: time and pitch

    def add(self, start: float, end: float, pose: Pose | None, *, closed: bool) -> bool:
        """Add an interval. Returns True when a nod ends with it."""
        if pose is None:
            return False
        pitch, closed_s = pose.pitch, end - start if closed else 0.0
        self._past.append((end, pose, closed_s))
        self._closed_s += closed_s
        while self._past[0][0] < end - SINK_MOST_S:
            self._closed_s -= self._past.popleft()[2]
        if self._lowest is None:
            if self._has_sunk(end, pose):
                self._lowest = end, pitch
            return False
        since, lowest = self._lowest
        if pitch > lowest:
            self._lowest = end, pitch
        elif pitch <= lowest - SINK / 2:
            self._forget()
            return end - since <= RISE_S
        elif end - since > SINK_MOST_S:
            self._forget()  # it stays down: not a nod
        return False

    def _forget(self) -> None:
        self._lowest, self._closed_s = None, 0.0
        self._past.clear()

    def _has_sunk(self, end: float, pose: Pose) -> bool:
        if self._closed_s < CLOSED_LEAST_S:
            return False
        high_at, high = min(((t, past) for t, past, _ in self._past), key=lambda one: (one[1].pitch, -one[0]))
        closed_s = sum(seconds for t, _, seconds in self._past if t > high_at)
        sinks = pose.pitch - high.pitch >= SINK and end - high_at >= SINK_LEAST_S
        return sinks and closed_s >= CLOSED_LEAST_S and abs(pose.yaw - high.yaw) <= SINK_TURN
