from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from camera_tools import wait_for

from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.sources.fake import FakeCamera, FakeCameras, Step, end, fail, freeze, gap, hang, play, refuse
from ferd.sources.stall import Timing
from ferd.sources.supervisor import MOST_HUNG, CameraSupervisor, State
from ferd.types import Frame

FAST = Timing(
    first_frame_s=2.0, frame_s=0.4, frozen_s=0.3, shortest_wait_s=0.01, longest_wait_s=0.04, stop_s=1.0, check_s=0.005
)
FOR_LONG = play(3600)


class Stage:
    """A keeper whose cameras play scripts, at 100 pictures a second."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.cameras = FakeCameras([])
        self.keeper = CameraSupervisor("desk", self.cameras, self.wake, timing=FAST)

    def play(self, *scripts: Sequence[Step], noisy: bool = True, timing: Timing = FAST) -> CameraSupervisor:
        self.cameras = FakeCameras(scripts, fps=100, noisy=noisy)
        return self.begin(self.cameras, timing)

    def begin(self, factory: Callable[[], Source], timing: Timing = FAST) -> CameraSupervisor:
        self.keeper = CameraSupervisor("desk", factory, self.wake, timing=timing)
        self.keeper.start()
        return self.keeper

    def close(self) -> None:
        self.keeper.stop()
        self.cameras.let_go()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def is_online(keeper: CameraSupervisor) -> bool:
    return keeper.report().state is State.ONLINE


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "ferd.sources.supervisor"]


class TestFails:
    def test_a_source_that_cannot_be_opened(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        keeper = stage.play([refuse("device is busy")])
        wait_for(lambda: keeper.report().failures >= 4)
        report = keeper.report()
        assert (report.state, report.frames, report.last_frame_at) == (State.OFFLINE, 0, None)
        assert report.last_error == "fake camera: device is busy"
        assert report.opens >= 4
        assert len(lines(caplog)) == 1, "the same reason is told once"
        assert lines(caplog)[0].startswith("camera offline name=desk reason='fake camera: device is busy' retry_s=")

    def test_a_factory_that_fails_in_a_way_that_nobody_thought_of(self, stage: Stage) -> None:
        def no_source() -> Source:
            raise RuntimeError("a bug")

        keeper = stage.begin(no_source)
        wait_for(lambda: keeper.report().failures >= 2)
        assert keeper.report().state is State.OFFLINE
        assert keeper.report().last_error == "RuntimeError: a bug"
        assert keeper.report().opens >= 2, "each attempt counts, so that the watchdog sees that we try"

    def test_a_factory_that_fails(self, stage: Stage) -> None:
        def factory() -> Source:
            raise SourceError("no camera found")

        keeper = stage.begin(factory)
        wait_for(lambda: keeper.report().failures >= 2)
        assert keeper.report().last_error == "no camera found"

    def test_a_driver_with_a_bug(self, stage: Stage) -> None:
        class Buggy:
            name = "buggy"
            noisy = True
            hangs = False

            def open(self) -> None:
                raise ZeroDivisionError("oh")

            def read(self) -> Frame:
                raise AssertionError

            def close(self) -> None:
                raise OSError("cannot")

        keeper = stage.begin(Buggy)
        wait_for(lambda: keeper.report().failures >= 2)
        assert keeper.report().last_error == "buggy: ZeroDivisionError: oh"

    def test_comes_back_after_a_failure(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        keeper = stage.play([play(0.1), fail("unplugged")], [refuse("not there")], [FOR_LONG])
        wait_for(lambda: keeper.report().opens == 3 and is_online(keeper))
        first, second, third = stage.cameras.made
        assert [camera.done("closed") for camera in (first, second)] == [1, 1]
        assert third.done("closed") == 0
        assert keeper.report().failures == 2
        words = [" ".join(line.split()[:4]) for line in lines(caplog)]
        assert words == [
            "camera online name=desk source='fake",
            "camera offline name=desk reason='fake",
            "camera offline name=desk reason='fake",
            "camera online name=desk source='fake",
        ]

    def test_a_gap_that_is_too_long(self, stage: Stage) -> None:
        keeper = stage.play([play(0.1), gap(60), FOR_LONG], [FOR_LONG])
        wait_for(lambda: keeper.report().opens == 2 and is_online(keeper))
        assert keeper.report().last_error == "fake camera: no picture for 0.4 s"
        assert keeper.report().hung == 0

    def test_a_frozen_picture(self, stage: Stage) -> None:
        keeper = stage.play([play(0.1), freeze(3600)], [FOR_LONG])
        wait_for(lambda: keeper.report().opens == 2 and is_online(keeper))
        assert keeper.report().last_error == "fake camera: the same picture for 0.3 s: the camera hangs"

    def test_a_film_may_hold_still(self, stage: Stage) -> None:
        keeper = stage.play([play(0.1), freeze(3600)], noisy=False, timing=Timing(frozen_s=0.02, check_s=0.005))
        wait_for(lambda: keeper.report().frames > 30)
        assert keeper.report().opens == 1

    def test_the_end_of_a_film_opens_it_again(self, stage: Stage) -> None:
        keeper = stage.play([play(0.1), end()], noisy=False)
        wait_for(lambda: keeper.report().opens >= 3)
        assert keeper.report().last_error == "fake camera: ended"


class TestHangs:
    def test_a_read_that_never_returns_is_given_up(self, stage: Stage) -> None:
        keeper = stage.play([play(0.1), hang()], [FOR_LONG])
        wait_for(lambda: keeper.report().opens == 2 and is_online(keeper))
        report = keeper.report()
        assert (report.hung, report.failures) == (1, 1)
        assert report.hanging_since is not None
        assert report.in_vain == 0, "the one after it works"
        assert stage.cameras.made[0].done("closed") == 1
        stage.cameras.let_go()
        wait_for(lambda: keeper.report().hanging_since is None)
        assert keeper.report().hung == 1

    def test_a_call_that_hangs_in_a_thread_of_the_source_is_a_hang_too(self, stage: Stage) -> None:
        """picamera2 and OpenCV are called in a worker: the read itself comes back with an error in time."""
        closed = threading.Event()

        class Held(FakeCamera):
            @property
            def hangs(self) -> bool:  # type: ignore[override]
                return self.done("closed") > 0 and not closed.is_set()

        keeper = stage.begin(lambda: Held([play(0.05), fail("no picture")], fps=100, size=(64, 48)))
        wait_for(lambda: keeper.report().hung == MOST_HUNG)
        assert keeper.report().hanging_since is not None
        wait_for(lambda: keeper.report().in_vain >= MOST_HUNG - 1)
        assert keeper.report().hangs_for == "fake camera: no picture"
        wait_for(lambda: "still hang in the driver" in (keeper.report().last_error or ""))
        closed.set()
        wait_for(lambda: keeper.report().opens > MOST_HUNG)

    def test_what_a_given_up_reader_brings_is_not_shown(self, stage: Stage) -> None:
        keeper = stage.play([hang(), play(0.1)], [refuse()])
        wait_for(lambda: keeper.report().failures >= 2)
        stage.cameras.made[0].let_go()
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ferd-camera-desk-reader"])
        assert keeper.report().frames == 0
        assert keeper.take() is None

    def test_no_more_than_a_few_may_hang(self, stage: Stage) -> None:
        quick = Timing(
            first_frame_s=0.05, frame_s=0.05, shortest_wait_s=0.01, longest_wait_s=0.02, stop_s=0.02, check_s=0.005
        )
        keeper = stage.play([hang()], timing=quick)
        wait_for(lambda: "attempts still hang" in (keeper.report().last_error or ""))
        assert len(stage.cameras.made) == MOST_HUNG
        stage.cameras.made[0].let_go()
        wait_for(lambda: len(stage.cameras.made) == MOST_HUNG + 1)

    def test_stop_does_not_wait_for_a_hang(self, stage: Stage) -> None:
        keeper = stage.play([play(0.05), hang()], timing=Timing(stop_s=0.1, check_s=0.005))
        wait_for(lambda: is_online(keeper))
        begin = time.monotonic()
        keeper.stop()
        assert time.monotonic() - begin < 5


class TestWorks:
    def test_the_newest_frame_waits_and_the_others_are_counted(self, stage: Stage) -> None:
        keeper = stage.play([play(0.2), gap(0.1), hang()], timing=Timing(check_s=0.005))
        wait_for(lambda: keeper.report().frames == 20)
        assert stage.wake.is_set()
        frame = keeper.take()
        assert frame is not None
        assert frame.image[0, 0, 0] == 20
        assert keeper.take() is None
        report = keeper.report()
        assert (report.state, report.skipped, report.opens, report.failures) == (State.ONLINE, 19, 1, 0)
        assert report.source == "fake camera"
        assert report.last_frame_at is not None

    def test_starts_as_starting(self, stage: Stage) -> None:
        keeper = stage.play([gap(3600), FOR_LONG])
        assert keeper.report().state is State.STARTING

    def test_stop_closes_and_forgets(self, stage: Stage) -> None:
        keeper = stage.play([FOR_LONG])
        wait_for(lambda: is_online(keeper))
        keeper.stop()
        assert stage.cameras.made[0].done("closed") == 1
        assert keeper.take() is None
        keeper.stop()

    def test_may_be_started_again(self, stage: Stage) -> None:
        keeper = stage.play([FOR_LONG])
        with pytest.raises(RuntimeError):
            keeper.start()
        wait_for(lambda: is_online(keeper))
        keeper.stop()
        keeper.start()
        assert keeper.report().state is State.STARTING
        wait_for(lambda: keeper.report().opens == 2 and is_online(keeper))

    def test_waits_longer_from_failure_to_failure_and_starts_again_with_little(self, stage: Stage) -> None:
        asked: list[tuple[float, float]] = []

        def jitter(low: float, high: float) -> float:
            asked.append((low, high))
            return 0.0

        timing = Timing(shortest_wait_s=0.01, longest_wait_s=0.05, check_s=0.002)
        cameras = FakeCameras([[refuse()], [refuse()], [refuse()], [play(0.3), fail()], [FOR_LONG]], fps=100)
        stage.cameras = cameras
        stage.keeper = CameraSupervisor("desk", cameras, stage.wake, timing=timing, jitter=jitter)
        stage.keeper.start()
        wait_for(lambda: stage.keeper.report().opens == 5)
        assert asked == [(0.01, 0.02), (0.01, 0.04), (0.01, 0.05), (0.01, 0.02)]
