"""Turn frames into intervals, and intervals into episodes in which something held but for short errors.

Intervals: a frame stands for the time around it. The boundary between two frames lies in the middle between them, and
no frame stands for more than REACH_S to either side. What lies beyond is a gap, of which nothing is known. So
durations do not depend on the frame rate, and a lost frame is no special case.

Episodes (eyes closed, mouth wide open): one frame that was misread, lost or unreadable must not end an episode and
restart its timer. An episode begins and ends with time in which the condition was seen to hold. Inside it no stretch of
the contrary is longer than SLIP_S, no unknown stretch is longer than UNKNOWN_S, the condition held for LEAST_HELD of
the known time, and LEAST_KNOWN of its time is known. All limits are in seconds: the positions of frames do not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

REACH_S = 0.25
"""How far a frame stands for the time before and after it. At 2 frames per second and more there is no gap."""
SLIP_S = 0.35
"""Two frames' time at 5 frames per second, with one of their neighbours lost."""
PATCH_S = 0.45
"""A stretch up to this length in which no face was found is split between what came before and what comes after it: a
frame on which the face was missed counts like a frame that never arrived."""
UNKNOWN_S = 0.5
"""A glance aside between two blinks takes longer."""
LEAST_HELD = 0.85
"""Two blinks in quick succession are no closure."""
LEAST_KNOWN = 0.5
MOST_RUNS = 64
"""Maximum number of runs in a chain: it bounds the work of a noisy hour."""
ROUNDING = 1e-9

State = TypeVar("State")
Kind = TypeVar("Kind", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Interval(Generic[State]):
    """A stretch of time with one state. ``state``: None in a gap."""

    start: float
    end: float
    state: State | None

    @property
    def length(self) -> float:
        return self.end - self.start


class IntervalBuilder(Generic[State]):
    """Turn frames into adjoining intervals that cover all time up to the newest frame exactly once."""

    def __init__(self) -> None:
        self._last: tuple[float, State] | None = None

    def add(self, t: float, state: State) -> Iterator[Interval[State]]:
        """Return the intervals since the last frame. A frame that is not later replaces it and adds nothing."""
        before, self._last = self._last, (t, state)
        if before is None or t <= before[0]:
            if before is not None:
                self._last = before[0], state
            return
        last_t, last_state = before
        if t - last_t <= 2 * REACH_S:
            middle = (last_t + t) / 2
            yield Interval(last_t, middle, last_state)
            yield Interval(middle, t, state)
        else:
            yield Interval(last_t, last_t + REACH_S, last_state)
            yield Interval(last_t + REACH_S, t - REACH_S, None)
            yield Interval(t - REACH_S, t, state)


class Window(Generic[Kind]):
    """Sum up the last `length_s` seconds by kind. Exact, at a cost that does not grow with the length."""

    def __init__(self, length_s: float) -> None:
        self.length_s = length_s
        self._pieces: deque[tuple[float, float, Kind]] = deque()
        self._sums: dict[Kind, float] = {}

    @property
    def start(self) -> float | None:
        """The beginning of what is remembered; None while the window is empty."""
        return self._pieces[0][0] if self._pieces else None

    def add(self, start: float, end: float, kind: Kind) -> None:
        """Advance the time to `end`; from `start` on it was of this kind."""
        if self._pieces and self._pieces[-1][2] == kind and self._pieces[-1][1] == start:
            start_of_last = self._pieces.pop()[0]
            self._pieces.append((start_of_last, end, kind))
        else:
            self._pieces.append((start, end, kind))
        self._sums[kind] = self._sums.get(kind, 0.0) + (end - start)
        self._forget(end - self.length_s)

    def resize(self, length_s: float) -> None:
        """Change the length. What was forgotten stays forgotten."""
        self.length_s = length_s
        if self._pieces:
            self._forget(self._pieces[-1][1] - length_s)

    def seconds(self, *kinds: Kind) -> float:
        """Return how many seconds of the window were of any of these kinds."""
        return sum(max(self._sums.get(kind, 0.0), 0.0) for kind in kinds)

    def share(self, *kinds: Kind) -> float:
        """Return the same as a share of the whole window, 0 to 1."""
        return min(self.seconds(*kinds) / self.length_s, 1.0)

    def _forget(self, horizon: float) -> None:
        while self._pieces and self._pieces[0][0] < horizon:
            start, end, kind = self._pieces.popleft()
            self._sums[kind] -= min(end, horizon) - start
            if end > horizon:
                self._pieces.appendleft((horizon, end, kind))
        if not self._pieces:
            self._sums.clear()  # removes rounding errors


@dataclass(frozen=True, slots=True)
class Episode:
    """``held_s``: seconds in which the condition was seen to hold. ``marked_s``: those that the caller marked."""

    start: float
    end: float
    held_s: float
    marked_s: float

    @property
    def length(self) -> float:
        return self.end - self.start


class _Sums(NamedTuple):
    """Seconds since the chain began."""

    held: float = 0.0
    slipped: float = 0.0
    unknown: float = 0.0
    marked: float = 0.0


class _Run(NamedTuple):
    """A stretch in which the condition held without a break, and the sums at either end."""

    start: float
    before: _Sums
    end: float
    after: _Sums


class EpisodeDetector:
    """Find episodes. Call `add` with intervals in the order of time; `current` is the episode that may still go on.

    Inside, a chain of runs with nothing but slips between them. The longest episode that ends with the last run is the
    current one: it may begin at an earlier run as soon as the condition held for enough of the time between.
    """

    def __init__(self, *, unknown_s: float = UNKNOWN_S, least_known: float = LEAST_KNOWN) -> None:
        self._unknown_s, self._least_known = unknown_s, least_known
        self._runs: list[_Run] = []
        self._now = _Sums()
        self._holding = False
        self._before: tuple[bool | None, bool] = (None, False)
        self._gap: tuple[float, float] | None = None
        self._gone = False  # no face was found for longer than PATCH_S

    @property
    def over(self) -> bool:
        """True once the contrary, or nothing at all, was seen for too long to be an error."""
        return not self._runs

    @property
    def current(self) -> Episode | None:
        """The longest episode up to the last moment at which the condition was seen to hold; None when it is over."""
        return self._longest(self._runs)[1] if self._runs else None

    def add(
        self, start: float, end: float, holds: bool | None, *, marked: bool = False, lost: bool = False
    ) -> list[Episode]:
        """Add one interval and return the episodes that it ended.

        Args:
            holds: whether the condition holds; None where that is unknown.
            marked: count this time in `Episode.marked_s`.
            lost: no face was found at all.
        """
        if lost:
            begin = self._gap[0] if self._gap else start
            if not self._gone and end - begin <= PATCH_S + ROUNDING:
                self._gap = begin, end
                return []
            self._gap, self._gone, self._before = None, True, (None, False)
            return self._take(begin, end, None, marked=False)
        self._gone = False
        pieces = [*self._patches(holds, marked), (start, end, holds, marked)]
        self._before = holds, marked
        return [episode for piece in pieces for episode in self._take(*piece)]

    def _patches(self, holds: bool | None, marked: bool) -> list[tuple[float, float, bool | None, bool]]:
        """Split the short gap before an interval in which a face was found."""
        if self._gap is None:
            return []
        (begin, end), self._gap = self._gap, None
        middle = (begin + end) / 2
        return [(begin, middle, *self._before), (middle, end, holds, marked)]

    def _take(self, start: float, end: float, holds: bool | None, marked: bool) -> list[Episode]:
        if holds:
            self._hold(start, end, marked)
            return []
        self._holding = False
        if self.over:
            return []
        now, length, last = self._now, end - start, self._runs[-1].after
        if holds is None:
            self._now = now._replace(unknown=now.unknown + length)
        else:
            self._now = now._replace(slipped=now.slipped + length)
        slip, unknown = self._now.slipped - last.slipped, self._now.unknown - last.unknown
        return self._finish() if slip > SLIP_S + ROUNDING or unknown > self._unknown_s + ROUNDING else []

    def _hold(self, start: float, end: float, marked: bool) -> None:
        now, length = self._now, end - start
        if not self._holding:
            self._runs.append(_Run(start, now, start, now))
            if len(self._runs) > MOST_RUNS:
                del self._runs[1]
        self._holding = True
        self._now = now._replace(held=now.held + length, marked=now.marked + (length if marked else 0.0))
        self._runs[-1] = self._runs[-1]._replace(end=end, after=self._now)

    def _finish(self) -> list[Episode]:
        """Split the chain: the longest episode that ends last, then the same with the runs before it."""
        episodes: list[Episode] = []
        while self._runs:
            first, episode = self._longest(self._runs)
            episodes.insert(0, episode)
            del self._runs[first:]
        self._now = _Sums()
        return episodes

    def _longest(self, runs: list[_Run]) -> tuple[int, Episode]:
        """Return the longest episode that ends with the last of `runs`, and the index of its first run."""
        end, after = runs[-1].end, runs[-1].after
        for number, (start, before, _, _) in enumerate(runs):
            held, slipped = after.held - before.held, after.slipped - before.slipped
            known = held + slipped
            if held >= LEAST_HELD * known - ROUNDING and known >= self._least_known * (end - start) - ROUNDING:
                return number, Episode(start, end, held, after.marked - before.marked)
        raise AssertionError("a single run is always an episode")
