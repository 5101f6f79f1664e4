"""Remember how long a value was how large, and forget slowly: quantiles of the past, weighted by seconds."""

from __future__ import annotations

import math


class ForgettingHistogram:
    """Seconds by value. Old seconds count less: after `memory_s` a third (1/e) of new ones.

    Args:
        low, high: range of the values; what lies outside counts at its end.
        steps: number of bins.
        memory_s: see above.
    """

    def __init__(self, low: float, high: float, steps: int, memory_s: float) -> None:
        self._low, self._step, self._memory_s = low, (high - low) / steps, memory_s
        self._seconds = [0.0] * steps
        self._weight = 1.0  # of a second now: it grows instead of all older weights shrinking

    def add(self, length_s: float, value: float) -> None:
        """Add `length_s` seconds of a value."""
        self._weight *= math.exp(length_s / self._memory_s)
        if self._weight > 1e6:
            self._seconds = [seconds / self._weight for seconds in self._seconds]
            self._weight = 1.0
        place = int((value - self._low) / self._step)
        self._seconds[min(max(place, 0), len(self._seconds) - 1)] += length_s * self._weight

    @property
    def total_s(self) -> float:
        """Seconds that are remembered."""
        return sum(self._seconds) / self._weight

    def quantile(self, share: float) -> float:
        """Return the value below which this share of the seconds lies, interpolated within its bin."""
        wanted = share * sum(self._seconds)
        below = 0.0
        for place, seconds in enumerate(self._seconds):
            if seconds and below + seconds >= wanted:
                return self._low + self._step * (place + (wanted - below) / seconds)
            below += seconds
        return self._low + self._step * len(self._seconds)
