"""A fake camera that follows a script, for tests and for trying out what ferd does when a camera fails.

    camera = FakeCamera([play(3.0), gap(1.5), play(1.0), freeze(10.0), fail("unplugged")], fps=15)

It records every call with its time: ``camera.record``. Times are those of `clock`, so that a test with a fake clock
runs through hours in an instant.
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

Action = Literal["play", "gap", "freeze", "hang", "fail", "refuse", "end"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the script: what the camera does, for how many seconds, and the message of an error."""

    action: Action
    for_s: float = 0.0
    message: str = ""


class Call(NamedTuple):
    """A call to the camera and its result, at `t` of the clock."""

    t: float
    what: Literal["opened", "refused", "read", "failed", "closed"]


def play(for_s: float) -> Step:
    """Deliver images that all differ."""
    return Step("play", for_s)


def gap(for_s: float) -> Step:
    """Delay the next image by this time."""
    return Step("gap", for_s)


def freeze(for_s: float) -> Step:
    """Repeat the last image, at the usual rate."""
    return Step("freeze", for_s)


def hang(for_s: float = math.inf) -> Step:
    """Let a read hang, also when it is interrupted: it returns after that time, or on ``let_go``."""
    return Step("hang", for_s)


def fail(message: str = "the cable came off") -> Step:
    """Let a read raise SourceError."""
    return Step("fail", message=message)


def refuse(message: str = "device is busy") -> Step:
    """Let ``open`` raise SourceError. Only as the first step of a script."""
    return Step("refuse", message=message)


def end() -> Step:
    """Let a read raise SourceEnded, as a file does."""
    return Step("end")


class FakeCamera:
    """Follows `script`; after its last step every read fails. `sleep(seconds)`: the default wakes at an interrupt."""

    opening_s = 0.0

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
        self.record: list[Call] = []
        self._script = list(script)
        self._interval = 1 / fps
        self._size = size
        self._clock = clock
        self._closed = False
        self._interrupted = threading.Event()
        self._let_go = threading.Event()
        self._sleep = sleep or self._interrupted.wait
        self._images = self._play()
        self._count = 0

    def open(self) -> None:
        if self._script and self._script[0].action == "refuse":
            self._note("refused")
            raise SourceError(f"{self.name}: {self._script[0].message}")
        self._note("opened")

    def read(self) -> Frame:
        try:
            image = next(self._images)
        except SourceError:
            self._note("failed")
            raise
        self._note("read")
        now = self._clock()
        return Frame(t=now, image=image, captured_at=now)

    def close(self) -> None:
        if not self._closed:
            self._note("closed")
        self._closed = True
        self._interrupted.set()

    def interrupt(self) -> None:
        self._interrupted.set()

    def let_go(self) -> None:
        """End this hang and all later ones: a test must not leave threads behind."""
        self._let_go.set()

    def done(self, what: str) -> int:
        """Count the calls with this result."""
        return sum(1 for call in self.record if call.what == what)

    def _note(self, what: Literal["opened", "refused", "read", "failed", "closed"]) -> None:
        self.record.append(Call(self._clock(), what))

    def _play(self) -> Iterator[Image]:
        for step in self._script:
            if step.action in ("play", "freeze"):
                yield from self._deliver(step)
            elif step.action == "gap":
                self._sleep(step.for_s)
            elif step.action == "hang":
                self._let_go.wait(None if math.isinf(step.for_s) else step.for_s)
            elif step.action == "end":
                raise SourceEnded(f"{self.name}: ended")
            elif step.action == "fail":
                raise SourceError(f"{self.name}: {step.message}")
            if self._interrupted.is_set():
                raise SourceError(f"{self.name}: is closed")
        raise SourceError(f"{self.name}: the script is over")

    def _deliver(self, step: Step) -> Iterator[Image]:
        for _ in range(max(1, round(step.for_s / self._interval))):
            self._sleep(self._interval)
            if self._interrupted.is_set():
                return
            self._count += step.action == "play"
            yield picture_number(self._count, self._size)


class FakeCameras:
    """A factory for the supervisor: its n-th camera follows the n-th script; the last script repeats."""

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
    """Make a gray ramp that differs from that of every other number below 65,536: (height, width, 3) BGR."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[...] = np.linspace(40, 200, width).astype(np.uint8)[None, :, None]
    image[:, :, 0] = number % 256
    image[:, :, 1] = number // 256 % 256
    return image
