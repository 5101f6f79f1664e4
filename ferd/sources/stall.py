"""Decide whether a camera works: do images arrive in time, and do they change? A function of time and images.

A still scene from a live sensor is never identical: noise changes some pixel of every image, and a JPEG with it. Images
that repeat mean that a driver, a camera or a relay between them hands out old ones: one again and again, or a ring of
buffers in turn.
"""

from __future__ import annotations

import random
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ferd.errors import PictureError
from ferd.types import Frame, Image

STEP = 8
"""Every 8th pixel of every 8th row is compared first; the whole image only when those were seen before."""
REMEMBERED = 64
"""Images: rings of buffers are shorter."""
FROZEN = "the camera is frozen"
"""What the message of a frozen camera contains."""

FIRST_FRAME_S = 30.0
"""From the start of opening to the first frame. Pi cameras take 2 s, network cameras that wake up first 20 s."""
FRAME_S = 2.0
"""Between two frames."""
FROZEN_S = 5.0


@dataclass(frozen=True, slots=True)
class Timing:
    """All time limits of a camera, in seconds. The sources take their libraries' time-outs from here as well."""

    first_frame_s: float = FIRST_FRAME_S
    frame_s: float = FRAME_S
    frozen_s: float = FROZEN_S
    """How long images may repeat bit by bit."""
    shortest_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    """Between two attempts to open. A camera that was online for this long starts with the shortest wait again."""
    stop_s: float = 1.0
    """How long a capture thread may take to close its camera before it counts as hung."""

    @classmethod
    def of(cls, fps: float) -> Timing:
        """Limits for a source that is asked for `fps` frames per second: slow ones may take three frame intervals."""
        slow_s = 3 / fps
        return cls(
            first_frame_s=max(FIRST_FRAME_S, slow_s), frame_s=max(FRAME_S, slow_s), frozen_s=max(FROZEN_S, slow_s)
        )


class StallDetector:
    """Watches one attempt, from opening a source at `now` to its failure."""

    def __init__(self, now: float, timing: Timing) -> None:
        self._timing = timing
        self._opened_at = now
        self._last_at: float | None = None
        self._changed_at = now
        self._still_s = 0.0
        self._last: Image | None = None
        self._seen: OrderedDict[int, int | None] = OrderedDict()
        """Checksums of samples, and of the whole images as far as they were needed."""
        self._sent: OrderedDict[tuple[int, int], None] = OrderedDict()
        """Checksums and lengths of what a camera sent."""
        self._repeated: tuple[int, int] | None = None
        self._repeats_plain = False

    def frame(self, now: float, frame: Frame, *, noisy: bool, still_s: float = 0.0) -> None:
        """Note that `frame` arrived at `now`. Images of a `noisy` source must change; a film may hold one.

        `still_s`: how long the source's own encoder may repeat a static scene; the longer of the two limits applies.
        """
        self._last_at, self._still_s = now, still_s
        if not noisy or (self._is_new(frame.luma) if frame.encoded is None else self._was_not_sent(frame)):
            self._changed_at = now

    def failure(self, now: float, opening_s: float = 0.0) -> str | None:
        """Return why the source has failed at `now`, or None while it works.

        `opening_s`: what the source itself may need to its first frame, where that is longer than the general limit.
        """
        timing = self._timing
        if self._last_at is None:
            limit = max(timing.first_frame_s, opening_s)
            return f"no picture within {limit:g} s of opening" if now - self._opened_at > limit else None
        if now - self._last_at > timing.frame_s:
            return f"no picture for {timing.frame_s:g} s"
        frozen_s = max(timing.frozen_s, self._still_s)
        if self._last_at - self._changed_at > frozen_s:
            return f"the same picture for {frozen_s:g} s: {FROZEN}"
        return None

    def due_in(self, now: float, opening_s: float = 0.0) -> float:
        """Seconds until ``failure`` can change if no more frames arrive; 0 or less when it already has."""
        if self._last_at is None:
            return self._opened_at + max(self._timing.first_frame_s, opening_s) - now
        return self._last_at + self._timing.frame_s - now

    def _was_not_sent(self, frame: Frame) -> bool:
        """Compare what the camera sent, so that the picture need not be decoded."""
        assert frame.encoded is not None
        key = zlib.crc32(frame.encoded), len(frame.encoded)
        if key not in self._sent:
            self._sent[key] = None
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
            return True
        self._sent.move_to_end(key)
        if self._repeated != key:
            self._repeated, self._repeats_plain = key, _is_plain(frame)
        return self._repeats_plain

    def _is_new(self, image: Image) -> bool:
        """Return False for an image that came before: the last one, or, from its second repetition on, any other."""
        last, self._last = self._last, image
        sample = image[::STEP, ::STEP]
        if sample.min() == sample.max():
            # One colour all over: a covered lens, or a dark room after JPEG has removed the noise. Not frozen.
            return True
        key = zlib.crc32(np.ascontiguousarray(sample).data)
        if key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return True
        self._seen.move_to_end(key)
        before = self._seen[key]
        self._seen[key] = whole = zlib.crc32(np.ascontiguousarray(image).data)
        if before is None and last is not None:
            return last is not image and not np.array_equal(last, image)
        return before != whole


def is_frozen(error: str | None) -> bool:
    """Return whether a camera failed because its images repeat."""
    return error is not None and FROZEN in error


def _is_plain(frame: Frame) -> bool:
    """Whether a frame is of one colour: a covered lens, or a dark room after JPEG removed the noise. Not frozen."""
    try:
        image = frame.luma if frame.small is None else frame.small
    except PictureError:
        return False
    return bool(image.min() == image.max())


def retry_delay(attempt: int, timing: Timing, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Return the seconds to wait after the `attempt`-th failure in a row (from 1): full jitter, doubling limit.

    1 to 2, 1 to 4, 1 to 8 … 1 to 30 s: several cameras on a hub that lost power do not come back in step.
    """
    limit = min(timing.longest_wait_s, timing.shortest_wait_s * 2.0 ** min(attempt, 30))
    return min(max(jitter(timing.shortest_wait_s, limit), timing.shortest_wait_s), timing.longest_wait_s)
