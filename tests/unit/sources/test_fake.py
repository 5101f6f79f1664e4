from __future__ import annotations

import itertools

import pytest
from camera_tools import wait_for

from ferd.errors import SourceEnded, SourceError
from ferd.sources.fake import FakeCamera, FakeCameras, end, fail, freeze, gap, hang, picture_number, play, refuse


class Clock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_record_says_what_happened_when() -> None:
    clock = Clock()
    camera = FakeCamera([play(0.3), gap(5), play(0.1), fail("gone")], fps=10, clock=clock, sleep=clock.sleep)
    camera.open()
    frames = [camera.read() for _ in range(4)]
    with pytest.raises(SourceError, match="gone"):
        camera.read()
    camera.close()
    camera.close()
    assert [frame.t for frame in frames] == pytest.approx([0.1, 0.2, 0.3, 5.4])
    assert [what for _, what in camera.record] == ["opened", "read", "read", "read", "read", "failed", "closed"]
    assert camera.done("read") == 4
    assert camera.record[-1].t == pytest.approx(5.4)


def test_pictures_differ_but_for_a_freeze() -> None:
    clock = Clock()
    camera = FakeCamera([play(0.2), freeze(0.2), play(0.1)], fps=10, clock=clock, sleep=clock.sleep)
    images = [camera.read().image for _ in range(5)]
    same = [(a == b).all() for a, b in itertools.pairwise(images)]
    assert same == [False, True, True, False]


def test_refuses_ends_and_is_over() -> None:
    with pytest.raises(SourceError, match="busy"):
        FakeCamera([refuse()]).open()
    with pytest.raises(SourceEnded):
        FakeCamera([end()]).read()
    with pytest.raises(SourceError, match="over"):
        FakeCamera([]).read()


def test_close_ends_a_read_but_not_a_hang() -> None:
    camera = FakeCamera([play(3600)], fps=0.01)
    camera.close()
    with pytest.raises(SourceError, match="closed"):
        camera.read()
    stuck = FakeCamera([hang()])
    stuck.close()
    stuck.let_go()
    with pytest.raises(SourceError, match="closed"):
        stuck.read()


def test_the_factory_plays_one_script_after_the_other() -> None:
    cameras = FakeCameras([[refuse("first")], [refuse("second")]])
    for words in ("first", "second", "second"):
        with pytest.raises(SourceError, match=words):
            cameras().open()
    assert len(cameras.made) == 3
    cameras.let_go()
    wait_for(lambda: all(camera.done("refused") for camera in cameras.made))


def test_picture_numbers() -> None:
    pictures = [picture_number(number, (32, 16)).tobytes() for number in (0, 1, 255, 256, 65535)]
    assert len(set(pictures)) == 5
