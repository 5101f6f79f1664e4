"""Spells: stretches of time in which something held (eyes shut, a mouth wide open), but for slips.

One frame that was read wrongly, lost, or could not be read must not end a spell and start its clock anew. A spell
begins and ends with time in which it was seen to hold. Inside it no stretch of the contrary is longer than SLIP_S,
none of which nothing is known longer than UNKNOWN_S, it held for LEAST_HELD of the known time, and LEAST_KNOWN of
its time is known. All of it is in seconds: where the frames fall does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

SLIP_S = 0.35
"""Two frames' time at 5 frames a second, with one of their neighbours lost."""
PATCH_S = 0.45
"""A stretch as short as this in which nothing at all was seen goes half to what was before it and half to what comes
after: a frame on which the face was missed is as good as one that never came."""
UNKNOWN_S = 0.5
"""A glance aside between two blinks takes longer."""
LEAST_HELD = 0.85
"""Two blinks in quick succession are no closure."""
LEAST_KNOWN = 0.5
MOST_RUNS = 64
"""A chain is kept in so many runs at most: it bounds the work of a noisy hour."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Episode:
    """``held_s``: for how long it was seen to hold. ``marked_s``: how much of that was marked by the caller."""

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
    """A stretch in which it held without a break, and the sums at either end."""

    start: float
    before: _Sums
    end: float
    after: _Sums


class EpisodeDetector:
    """Call `add` with pieces in the order of time; `current` is the spell that may still go on.

    Inside, a chain of runs with nothing but slips between them. The longest spell that ends with the last run is the
    current one: it may begin at an earlier run as soon as enough of the time between was held.
    """

    def __init__(self, *, unknown_s: float = UNKNOWN_S, least_known: float = LEAST_KNOWN) -> None:
        self._unknown_s, self._least_known = unknown_s, least_known
        self._runs: list[_Run] = []
        self._now = _Sums()
        self._holding = False
        self._before: tuple[bool | None, bool] = (None, False)
        self._gap: tuple[float, float] | None = None
        self._gone = False  # nothing has been seen for longer than a gap

    @property
    def over(self) -> bool:
        """True once the contrary, or nothing at all, was seen for too long to be a slip."""
        return not self._runs

    @property
    def current(self) -> Episode | None:
        """The longest spell up to the last moment at which it was seen to hold; None when it is over."""
        return self._longest(self._runs)[1] if self._runs else None

    def add(
        self, start: float, end: float, holds: bool | None, *, marked: bool = False, lost: bool = False
    ) -> list[Episode]:
        """One piece of time; `holds` is None where nothing is known, `lost` where nothing at all was seen.

        Returns the spells that it ended.
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
        return [spell for piece in pieces for spell in self._take(*piece)]

    def _patches(self, holds: bool | None, marked: bool) -> list[tuple[float, float, bool | None, bool]]:
        """What becomes of the short gap before a piece in which something was seen."""
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
        """Takes the chain apart: the longest spell that ends last, and so on with the runs before it."""
        spells: list[Episode] = []
        while self._runs:
            first, spell = self._longest(self._runs)
            spells.insert(0, spell)
            del self._runs[first:]
        self._now = _Sums()
        return spells

    def _longest(self, runs: list[_Run]) -> tuple[int, Episode]:
        """The longest spell that ends with the last of `runs`, and the run that it begins with."""
        end, after = runs[-1].end, runs[-1].after
        for number, (start, before, _, _) in enumerate(runs):
            held, slipped = after.held - before.held, after.slipped - before.slipped
            known = held + slipped
            if held >= LEAST_HELD * known - ROUNDING and known >= self._least_known * (end - start) - ROUNDING:
                return number, Episode(start, end, held, after.marked - before.marked)
        raise AssertionError("one run alone is a spell")
