"""From frames to stretches of time: what is known between them, and sums over the last so many seconds.

A frame speaks for the time around it: the border between two frames lies in the middle between them, and no frame
speaks for more than REACH_S to either side. What lies beyond is a gap, of which nothing is known. So lengths do not
depend on the frame rate, and a lost frame is no event of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

REACH_S = 0.25
"""How far a frame speaks for the time before and after it. At 2 frames a second and more nothing is left unsaid."""

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Interval(Generic[State]):
    """A stretch of time in which one thing was seen. ``state``: None in a gap."""

    start: float
    end: float
    state: State | None

    @property
    def length(self) -> float:
        return self.end - self.start


class IntervalBuilder(Generic[State]):
    """Frames in, pieces out. Up to the newest frame's time every second is told exactly once."""

    def __init__(self) -> None:
        self._last: tuple[float, State] | None = None

    def add(self, t: float, state: State) -> Iterator[Interval[State]]:
        """The pieces since the frame before. A frame that is not later than it replaces it and adds nothing."""
        before, self._last = self._last, (t, state)
        if before is None or t <= before[0]:
            if before is not None:
                self._last = before[0], state
            return
        then, was = before
        half = min((t - then) / 2, REACH_S)
        yield Interval(then, then + half, was)
        if t - half > then + half:
            yield Interval(then + half, t - half, None)
        yield Interval(t - half, t, state)


Kind = TypeVar("Kind", bound=Hashable)


class Window(Generic[Kind]):
    """How many of the last `length_s` seconds were of which kind. Exact, at a cost that does not grow with it."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._pieces: deque[tuple[float, float, Kind]] = deque()
        self._sums: dict[Kind, float] = {}

    def add(self, start: float, end: float, kind: Kind) -> None:
        """Time goes on to `end`; from `start` on it was of this kind."""
        if self._pieces and self._pieces[-1][2] == kind and self._pieces[-1][1] == start:
            start_of_last = self._pieces.pop()[0]
            self._pieces.append((start_of_last, end, kind))
        else:
            self._pieces.append((start, end, kind))
        self._sums[kind] = self._sums.get(kind, 0.0) + (end - start)
        self._forget(end - self.length_s)

    def seconds(self, *kinds: Kind) -> float:
        """Of the window, those of any of these kinds."""
        return sum(max(self._sums.get(kind, 0.0), 0.0) for kind in kinds)

    def share(self, *kinds: Kind) -> float:
        """The same as a share of the whole window, 0 to 1."""
        return min(self.seconds(*kinds) / self.length_s, 1.0)

    def _forget(self, horizon: float) -> None:
        while self._pieces and self._pieces[0][0] < horizon:
            start, end, kind = self._pieces.popleft()
            self._sums[kind] -= min(end, horizon) - start
            if end > horizon:
                self._pieces.appendleft((horizon, end, kind))
        if not self._pieces:
            self._sums.clear()  # what rounding has left behind
