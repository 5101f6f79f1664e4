"""Look at one measure over the last seconds: its rest, a state that is held, how far it moved."""

from __future__ import annotations

import bisect
import itertools
from collections import deque

UNSEEN_S = 0.3
"""Measures that are missing for longer than this end what was begun."""
REST_S, REST_STEP_S = 6.0, 0.15
"""The rest of a person is the median of this long, one value in each step."""
LEAST_REST_S = 1.0
"""Nothing is recognised before the rest was seen for this long."""


class Rest:
    """The median of a measure over the last REST_S."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    def add(self, t: float, value: float) -> None:
        """Add a value; within REST_STEP_S of the last one it is left out, so that the cost is bounded."""
        if self._values and t - self._values[-1][0] < REST_STEP_S:
            return
        self._values.append((t, value))
        bisect.insort(self._sorted, value)
        while t - self._values[0][0] > REST_S:
            old = self._values.popleft()[1]
            del self._sorted[bisect.bisect_left(self._sorted, old)]

    @property
    def value(self) -> float | None:
        """The median; None until LEAST_REST_S were seen."""
        if not self._values or self._values[-1][0] - self._values[0][0] < LEAST_REST_S:
            return None
        return self._sorted[len(self._sorted) // 2]


class Held:
    """A state that has to be held for `least_s` and at most `most_s`; reported when it is reached, or at its end.

    Between `off` and `on` the state goes on (hysteresis).
    """

    def __init__(self, *, at_end: bool, most_s: float = float("inf")) -> None:
        self._at_end, self._most_s = at_end, most_s
        self._since: float | None = None
        self._told = False

    def update(self, t: float, on: bool, off: bool, least_s: float) -> bool:
        """Return True once for each time that the state was held for long enough."""
        if self._since is None:
            if on:
                self._since, self._told = t, False
            return False
        held = t - self._since
        if not off:
            if self._at_end or self._told or held < least_s - 1e-9:
                return False
            self._told = True
            return held <= self._most_s
        self._since = None
        return self._at_end and least_s - 1e-9 <= held <= self._most_s

    def goes_on(self, t: float) -> bool:
        """Whether the state was begun and has not yet lasted for too long."""
        return self._since is not None and t - self._since <= self._most_s

    def reset(self) -> None:
        """Forget a state that was begun."""
        self._since = None


class HeldStrength:
    """The strength that a movement had all the time during the last seconds: the largest threshold it would pass."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float, hold_s: float) -> float:
        """Add a value and return the smallest one since `t` - `hold_s`; 0 until that long was seen."""
        self._values.append((t, value))
        while len(self._values) > 1 and t - self._values[1][0] >= hold_s - 1e-9:
            self._values.popleft()
        if t - self._values[0][0] < hold_s - 1e-9:
            return 0.0
        return min(one for _, one in itertools.islice(self._values, 1, None)) if len(self._values) > 1 else value

    def reset(self) -> None:
        """Forget all values."""
        self._values.clear()


class Spread:
    """How far a measure moved within the last seconds."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._values: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float) -> float:
        """Add a value and return the distance of the smallest and the largest one."""
        self._values.append((t, value))
        while t - self._values[0][0] > self._length_s:
            self._values.popleft()
        values = [one for _, one in self._values]
        return max(values) - min(values)

    def reset(self) -> None:
        """Forget all values."""
        self._values.clear()
