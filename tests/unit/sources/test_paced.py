from __future__ import annotations

import pytest
from camera_tools import gray_picture

from ferd.errors import SourceError
from ferd.sources.paced import PacedSource
from ferd.types import Frame


class Positions:
    """A file of which only the frame times are of interest. `work_s`: what decoding one takes, by the fake clock."""

    name = "positions"
    noisy = False

    def __init__(self, times: list[float]) -> None:
        self.times = list(times)
        self.closed = 0

    def open(self) -> None: ...

    def read(self) -> Frame:
        return Frame(t=self.times.pop(0), image=gray_picture(0))

    def close(self) -> None:
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_plays_at_the_speed_of_the_file() -> None:
    clock = Clock()
    source = PacedSource(Positions([3.0, 3.1, 3.3]), clock, clock.wait)
    source.open()
    assert [source.read().t for _ in range(3)] == [3.0, 3.1, 3.3]
    assert clock.waits == pytest.approx([0.0, 0.1, 0.2])


def test_a_short_delay_is_caught_up() -> None:
    clock = Clock()
    source = PacedSource(Positions([0.0, 0.5, 1.0]), clock, clock.wait)
    source.read()
    clock.now += 0.8
    source.read()
    source.read()
    assert clock.waits == pytest.approx([0.0, 0.0, 0.2])


def test_a_long_delay_is_not_hurried_after() -> None:
    clock = Clock()
    source = PacedSource(Positions([0.0, 0.5, 1.0]), clock, clock.wait)
    source.read()
    clock.now += 60
    source.read()
    source.read()
    assert clock.waits == pytest.approx([0.0, 0.0, 0.5])


def test_close_ends_the_wait() -> None:
    inner = Positions([0.0, 3600.0])
    source = PacedSource(inner)
    source.read()
    source.close()
    assert inner.closed == 1
    with pytest.raises(SourceError, match="closed"):
        source.read()
    assert inner.times == [3600.0]


def test_is_what_it_plays() -> None:
    source = PacedSource(Positions([]))
    assert (source.name, source.noisy) == ("positions", False)
