"""A camera that replays a script, for tests and for trying out what ferd does when a camera fails.

    camera = FakeCamera([play(3.0), gap(1.5), play(1.0), freeze(10.0), fail("unplugged")], fps=15)

It records what was done with it and when: ``camera.record``. Times are those of `clock`, so that a test with a clock
of its own runs hours in no time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ferd.errors import SourceEnded, SourceError
from ferd.types import Frame, Image

Deed = Literal["play", "gap", "freeze", "hang", "fail", "refuse", "end"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the script: what the camera does, for how many seconds, and the words of an error."""

    deed: Deed
    for_s: float = 0.0
    words: str = ""


class Happened(NamedTuple):
    """At `t` of the clock somebody opened, read or closed the camera, or such a call failed."""

    t: float
    what: Literal["opened", "refused", "read", "failed", "closed"]


def play(for_s: float) -> Step:
    """Pictures that all differ."""
    return Step("play", for_s)


def gap(for_s: float) -> Step:
    """The next picture comes so much later."""
    return Step("gap", for_s)


def freeze(for_s: float) -> Step:
    """The last picture again and again, at the usual pace."""
    return Step("freeze", for_s)


def hang(for_s: float = math.inf) -> Step:
    """A read that does not come back, even when the camera is closed: only after that time, or on ``let_go``."""
    return Step("hang", for_s)


def fail(words: str = "the cable came off") -> Step:
    """A read that raises SourceError."""
    return Step("fail", words=words)


def refuse(words: str = "device is busy") -> Step:
    """Opening raises SourceError. The first step of a script, if at all."""
    return Step("refuse", words=words)


def end() -> Step:
    """A read that raises SourceEnded, as a file does."""
    return Step("end")


class FakeCamera:
    """Replays `script`; after its last step every read fails. `sleep(seconds)` waits; the default wakes on close."""

    hangs = False  # its hung reads hang in the reader's thread

    def __init__(
        self,
        script: Iterable[Step],
        *,
        fps: float = 15.0,
        size: tuple[int, int] = (640, 480),
        noisy: bool = True,
        name: str = "fake camera",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.noisy = noisy
        self.record: list[Happened] = []
        self._script = list(script)
        self._interval = 1 / fps
        self._size = size
        self._clock = clock
        self._closed = threading.Event()
        self._let_go = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._shots = self._play()
        self._count = 0

    def open(self) -> None:
        if self._script and self._script[0].deed == "refuse":
            self._note("refused")
            raise SourceError(f"{self.name}: {self._script[0].words}")
        self._note("opened")

    def read(self) -> Frame:
        try:
            picture = next(self._shots)
        except SourceError:
            self._note("failed")
            raise
        self._note("read")
        return Frame(t=self._clock(), image=picture)

    def close(self) -> None:
        if not self._closed.is_set():
            self._note("closed")
        self._closed.set()

    def let_go(self) -> None:
        """Ends a hang, now and for ever: a test must not leave threads behind."""
        self._let_go.set()

    def done(self, what: str) -> int:
        """How often `what` stands in the record."""
        return sum(1 for happened in self.record if happened.what == what)

    def _note(self, what: Literal["opened", "refused", "read", "failed", "closed"]) -> None:
        self.record.append(Happened(self._clock(), what))

    def _play(self) -> Iterator[Image]:
        for step in self._script:
            if step.deed in ("play", "freeze"):
                yield from self._pictures(step)
            elif step.deed == "gap":
                self._sleep(step.for_s)
            elif step.deed == "hang":
                self._let_go.wait(None if math.isinf(step.for_s) else step.for_s)
            elif step.deed == "end":
                raise SourceEnded(f"{self.name}: ended")
            elif step.deed == "fail":
                raise SourceError(f"{self.name}: {step.words}")
            if self._closed.is_set():
                raise SourceError(f"{self.name}: is closed")
        raise SourceError(f"{self.name}: the script is over")

    def _pictures(self, step: Step) -> Iterator[Image]:
        for _ in range(max(1, round(step.for_s / self._interval))):
            self._sleep(self._interval)
            if self._closed.is_set():
                return
            self._count += step.deed == "play"
            yield picture_number(self._count, self._size)


class FakeCameras:
    """A factory for the keeper: the n-th camera it makes plays the n-th script, the last script for ever after."""

    def __init__(self, scripts: Sequence[Sequence[Step]], *, fps: float = 15.0, noisy: bool = True) -> None:
        self.made: list[FakeCamera] = []
        self._scripts = scripts
        self._fps = fps
        self._noisy = noisy

    def __call__(self) -> FakeCamera:
        script = self._scripts[min(len(self.made), len(self._scripts) - 1)]
        camera = FakeCamera(script, fps=self._fps, size=(64, 48), noisy=self._noisy)
        self.made.append(camera)
        return camera

    def let_go(self) -> None:
        for camera in self.made:
            camera.let_go()


def picture_number(number: int, size: tuple[int, int]) -> Image:
    """A gray ramp that differs from that of every other number below 65,536: (height, width, 3) BGR."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[...] = np.linspace(40, 200, width).astype(np.uint8)[None, :, None]
    picture[:, :, 0] = number % 256
    picture[:, :, 1] = number // 256 % 256
    return picture
