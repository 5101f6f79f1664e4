from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture, wait_for

from ferd.config import CameraConfig
from ferd.config.schema.cameras import aspect_ratio
from ferd.errors import SourceError
from ferd.pictures import read_header
from ferd.sources import v4l2
from ferd.sources.factory import open_source
from ferd.sources.fake import FakeCamera, fail, hang, play, refuse
from ferd.sources.jpeg import jpeg_frame
from ferd.sources.wrappers import (
    FirstWorkingSource,
    PacedSource,
    RotatedSource,
    Rotation,
    StretchedSource,
    rotate_image,
)
from ferd.types import Frame

PICTURE = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


@pytest.mark.parametrize(
    ("rotate", "mirror", "expected"),
    [
        (0, False, [[1, 2, 3], [4, 5, 6]]),
        (90, False, [[4, 1], [5, 2], [6, 3]]),
        (180, False, [[6, 5, 4], [3, 2, 1]]),
        (270, False, [[3, 6], [2, 5], [1, 4]]),
        (0, True, [[3, 2, 1], [6, 5, 4]]),
        (90, True, [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_turn(rotate: Rotation, mirror: bool, expected: list[list[int]]) -> None:
    assert rotate_image(PICTURE, rotate=rotate, mirror=mirror).tolist() == expected


class One:
    name = "one"
    noisy = True

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def read(self) -> Frame:
        return self.frame

    def close(self) -> None:
        self.calls.append("close")


def test_turns_the_small_picture_too_and_keeps_the_time() -> None:
    one = One(Frame(t=3.5, image=np.dstack([PICTURE] * 3), small=PICTURE, jpeg=b"unturned", captured_at=7.25))
    source = RotatedSource(one, rotate=90)
    source.open()
    frame = source.read()
    source.close()
    assert (frame.t, frame.captured_at, frame.jpeg) == (3.5, 7.25, None)
    assert frame.image.shape == (3, 2, 3)
    assert frame.small is not None
    assert frame.small.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert (source.name, source.noisy, one.calls) == ("one", True, ["open", "close"])


def test_a_picture_without_a_small_one() -> None:
    frame = RotatedSource(One(Frame(t=0.0, image=PICTURE)), mirror=True).read()
    assert frame.small is None
    assert frame.image.tolist() == [[3, 2, 1], [6, 5, 4]]


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

    def interrupt(self) -> None: ...

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


def test_interrupt_ends_the_wait_and_closes_nothing() -> None:
    inner = Positions([0.0, 3600.0])
    source = PacedSource(inner)
    source.read()
    timer = threading.Timer(0.05, source.interrupt)
    timer.start()
    with pytest.raises(SourceError, match="closed"):
        source.read()
    timer.join()
    assert inner.closed == 0
    source.close()
    assert inner.closed == 1


def test_what_is_played_is_captured_now() -> None:
    clock = Clock()
    source = PacedSource(Positions([3.0, 4.0]), clock, clock.wait)
    assert [source.read().captured_at for _ in range(2)] == [100.0, 101.0]


def test_is_what_it_plays() -> None:
    source = PacedSource(Positions([]))
    assert (source.name, source.noisy) == ("positions", False)


def fake(name: str, *script: object) -> FakeCamera:
    return FakeCamera(script, name=name, size=(64, 48), fps=1000)  # type: ignore[arg-type]


def test_none_delivers() -> None:
    refusing, failing = fake("one", refuse("is busy")), fake("two", fail("is broken"))
    source = FirstWorkingSource(lambda: [refusing, failing])
    with pytest.raises(SourceError, match=r"no camera found.*\n  one: is busy\n  two: is broken"):
        source.open()
    assert (refusing.done("closed"), failing.done("closed")) == (1, 1)
    assert source.name == "auto"
    with pytest.raises(SourceError, match="not open"):
        source.read()


def test_the_first_that_delivers_and_not_the_first_that_opens() -> None:
    silent, good, unused = fake("silent", fail()), fake("good", play(1)), fake("unused", play(1))
    source = FirstWorkingSource(lambda: [silent, good, unused])
    source.open()
    frames = [source.read() for _ in range(3)]
    assert source.name == "good"
    assert source.noisy
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 3], "the picture it was tried with is not lost"
    assert unused.record == []
    source.close()
    assert good.done("closed") == 1


def test_interrupted_while_it_looks() -> None:
    later = fake("later", play(1))

    class Slow(FakeCamera):
        def open(self) -> None:
            source.interrupt()
            raise SourceError("slow: nothing")

    source = FirstWorkingSource(lambda: [Slow([]), later])
    with pytest.raises(SourceError, match="no camera found"):
        source.open()
    assert later.record == []


def test_a_candidate_in_which_an_earlier_attempt_hangs_is_passed_over() -> None:
    """A Pi camera with a loose cable must not hide a webcam that works."""
    stuck = fake("stuck", hang(), play(1))
    first = FirstWorkingSource(lambda: [stuck])
    thread = threading.Thread(target=first.open)
    thread.start()
    wait_for(lambda: first.name == "stuck")
    second = FirstWorkingSource(lambda: [fake("stuck", play(1)), fake("good", play(1))])
    second.open()
    assert second.name == "good"
    second.close()
    stuck.let_go()
    thread.join(20)
    third = FirstWorkingSource(lambda: [fake("stuck", play(1))])
    third.open()
    assert third.name == "stuck"
    third.close()


def test_each_candidate_is_given_the_time_that_it_needs() -> None:
    class Slow(FakeCamera):
        opening_s = 40.0

    limits = []

    class Second(FakeCamera):
        def open(self) -> None:
            limits.append(source.opening_s)

    def candidates() -> Iterator[FakeCamera]:
        limits.append(source.opening_s)
        yield Slow([refuse()])
        limits.append(source.opening_s)
        time.sleep(0.05)
        yield Second([play(1)], fps=1000, size=(64, 48))

    source = FirstWorkingSource(candidates)
    source.open()
    source.close()
    assert limits == [0.0, pytest.approx(40.0, abs=0.04), pytest.approx(30.05, abs=5)]
    assert limits[2] >= 30.05


def test_is_as_noisy_as_what_it_found() -> None:
    film = FakeCamera([play(1)], noisy=False, fps=1000)
    source = FirstWorkingSource(lambda: [film])
    source.open()
    assert not source.noisy
    source.close()


class TestOnThisMachine:
    """As the daemon calls it, on a machine without cameras."""

    @pytest.fixture(autouse=True)
    def no_cameras(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        monkeypatch.setattr(v4l2, "cameras", lambda: [])

    def test_says_what_to_do(self) -> None:
        with pytest.raises(SourceError, match=r"no camera found.*python3-picamera2.*ferd cameras.*demo"):
            open_source(CameraConfig(), live=True).open()

    def test_the_demo_scene_says_that_it_is_one(self) -> None:
        source = open_source(CameraConfig(), live=False, demo=True)
        source.open()
        assert source.name == "demo scene"
        assert source.read().t == 0
        source.close()

    def test_a_webcam_that_opens_but_shows_nothing_is_passed_over(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "video0").touch()
        node = v4l2.Node(tmp_path / "video0", "uvcvideo", "Cam", None)
        monkeypatch.setattr(v4l2, "cameras", lambda: [node])
        with pytest.raises(SourceError, match=r"usb camera .*video0"):
            open_source(CameraConfig(), live=True).open()


@pytest.mark.parametrize(("aspect", "width"), [("16:9", 85), ("4:3", 64), ("1:1", 48)])
def test_a_squeezed_picture_gets_its_width(aspect: str, width: int) -> None:
    config = CameraConfig.model_validate({"source": "demo", "aspect": aspect, "rotate": 90})
    camera = StretchedSource(FakeCamera([play(1)], size=(64, 48), sleep=lambda _: None), aspect_ratio(aspect))
    frame = RotatedSource(camera, rotate=config.rotate).read()
    assert (frame.width, frame.height) == (48, width)
    assert frame.image.shape == (width, 48, 3)


def test_aspect_comes_before_rotation(tmp_path: Path) -> None:
    config = CameraConfig.model_validate({"source": str(tmp_path), "aspect": "16:9", "rotate": 90})
    source = open_source(config, live=False)
    assert type(source) is RotatedSource
    assert type(source._source) is StretchedSource


def test_a_turned_jpeg_is_not_decoded_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = cv2.imencode(".jpg", gray_picture(9, 640, 480))[1].tobytes()
    frame = jpeg_frame(0.0, data, read_header(data))
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "imdecode", None)
        turned = RotatedSource(Still(frame), rotate=90).read()
        assert (turned.width, turned.height, turned.jpeg) == (480, 640, None)
    gray = turned.as_gray()
    assert gray is not None
    assert gray.image.shape == (640, 480)
    assert gray.small is not None
    assert gray.small.shape == (320, 240)


class Still(FakeCamera):
    """A camera that always gives this frame."""

    def __init__(self, frame: Frame) -> None:
        super().__init__([])
        self._still = frame

    def read(self) -> Frame:
        return self._still
