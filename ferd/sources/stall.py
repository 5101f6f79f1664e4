"""Judges whether a camera works: do pictures come in time, and do they change? A function of time and pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ferd.types import Image

STEP = 8
"""Every 8th pixel of every 8th row is looked at first; the whole picture only when those are all the same."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The keeper's limits, in seconds."""

    first_frame_s: float = 10.0
    """From the beginning of opening to the first picture. Pi cameras take 2 s, sleepy network cameras 8 s."""
    frame_s: float = 2.0
    """Between two pictures."""
    frozen_s: float = 5.0
    """How long pictures may be the same to the bit: a sensor's noise never lets two be equal."""
    shortest_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    """Between two attempts to open. Also: who was online for so long starts again with the shortest."""
    stop_s: float = 1.0
    """How long a camera may take to close."""
    check_s: float = 0.1
    """How often the limits are looked at."""

    @classmethod
    def of(cls, fps: float) -> Timing:
        """For a source that is asked for `fps` pictures a second: slow ones may take three of their intervals."""
        slow_s = 3 / fps
        return cls(first_frame_s=max(10.0, slow_s), frame_s=max(2.0, slow_s))


class StallDetector:
    """Watches one attempt, from opening a source at `now` to its failure."""

    def __init__(self, now: float, timing: Timing) -> None:
        self._timing = timing
        self._begin = now
        self._last: float | None = None
        self._changed = now
        self._picture: Image | None = None
        self._some: Image | None = None

    def frame(self, now: float, picture: Image, *, noisy: bool) -> None:
        """A picture came at `now`. Those of a `noisy` source must change; a film may hold one as long as it likes."""
        self._last = now
        if not noisy or self._is_new(picture):
            self._changed = now

    def failure(self, now: float) -> str | None:
        """Why the source must be given up at `now`, or None while all is well."""
        timing = self._timing
        if self._last is None:
            late = now - self._begin > timing.first_frame_s
            return f"no picture within {timing.first_frame_s:g} s of opening" if late else None
        if now - self._last > timing.frame_s:
            return f"no picture for {timing.frame_s:g} s"
        if self._last - self._changed > timing.frozen_s:
            return f"the same picture for {timing.frozen_s:g} s: the camera hangs"
        return None

    def _is_new(self, picture: Image) -> bool:
        # Copied: a source may fill the same array again and again.
        some = picture[::STEP, ::STEP].copy()
        before, self._some = self._some, some
        last, self._picture = self._picture, picture
        if before is None or last is None or not np.array_equal(before, some):
            return True
        if some.min() == some.max():
            # One colour all over: a covered lens, or a dark room after JPEG has swallowed the noise. Not a hang.
            return True
        return last is not picture and not np.array_equal(last, picture)


def wait_before_next(attempt: int, timing: Timing, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds to wait after the `attempt`-th failure in a row (from 1): full jitter under a doubling limit.

    1 to 2, 1 to 4, 1 to 8 … 1 to 30 s: several cameras on a hub that lost its power do not come back in step.
    """
    limit = min(timing.longest_wait_s, timing.shortest_wait_s * 2.0 ** min(attempt, 30))
    return min(max(jitter(timing.shortest_wait_s, limit), timing.shortest_wait_s), timing.longest_wait_s)
