"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 60.0


class Backoff:
    """Full jitter: anything between nothing and a limit that doubles from ``first_s`` to ``longest_s``.

    So a broker that comes back is not met by all its clients at once (AWS Architecture Blog, "Exponential Backoff
    and Jitter", 2015). ``chance`` gives a number from 0 to 1.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_s, self._longest_s, self._chance = first_s, longest_s, chance
        self._limit_s = first_s

    def next(self) -> float:
        """Seconds to wait now; the limit grows."""
        wait = self._chance() * self._limit_s
        self._limit_s = min(self._limit_s * 2, self._longest_s)
        return wait

    def reset(self) -> None:
        self._limit_s = self._first_s

    def slow(self) -> float:
        """Seconds to wait when a person must act first: between half of the longest wait and all of it."""
        return (0.5 + 0.5 * self._chance()) * self._longest_s
