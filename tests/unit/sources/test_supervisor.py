from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from camera_tools import wait_for

from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.sources.fake import FakeCamera, FakeCameras, Step, end, fail, freeze, gap, hang, play, refuse
from ferd.sources.stall import Timing, is_frozen
from ferd.sources.stream import StreamCamera
from ferd.sources.supervisor import MOST_HUNG, SLOW, CameraHandle, CameraState
from ferd.types import Frame

FAST = Timing(first_frame_s=2.0, frame_s=0.4, frozen_s=0.3, shortest_wait_s=0.01, longest_wait_s=0.04, stop_s=1.0)
FOR_LONG = play(3600)


class Stage:
    """A supervised camera whose sources play scripts, at 100 pictures a second."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.cameras = FakeCameras([])
        self.camera = CameraHandle("desk", self.cameras, self.wake, timing=FAST)

    def play(self, *scripts: Sequence[Step], noisy: bool = True, timing: Timing = FAST) -> CameraHandle:
        self.cameras = FakeCameras(scripts, fps=100, noisy=noisy)
        return self.begin(self.cameras, timing)

    def begin(self, factory: Callable[[], Source], timing: Timing = FAST) -> CameraHandle:
        self.camera = CameraHandle("desk", factory, self.wake, timing=timing)
        self.camera.start()
        return self.camera

    def close(self) -> None:
        self.camera.stop()
        self.cameras.let_go()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def is_online(camera: CameraHandle) -> bool:
    return camera.report().state is CameraState.ONLINE


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "ferd.sources.supervisor"]


class TestFails:
    def test_a_source_that_cannot_be_opened(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        camera = stage.play([refuse("device is busy")])
        wait_for(lambda: camera.report().failures >= 4)
        report = camera.report()
        assert (report.state, report.frames, report.last_frame_at) == (CameraState.OFFLINE, 0, None)
        assert report.last_error == "fake camera: device is busy"
        assert report.opens >= 4
        assert len(lines(caplog)) == 1, "the same reason is logged once"
        assert lines(caplog)[0].startswith("camera offline name=desk reason='fake camera: device is busy' retry_s=")

    def test_a_factory_that_fails_in_a_way_that_nobody_thought_of(self, stage: Stage) -> None:
        def no_source() -> Source:
            raise RuntimeError("a bug")

        camera = stage.begin(no_source)
        wait_for(lambda: camera.report().failures >= 2)
        assert camera.report().state is CameraState.OFFLINE
        assert camera.report().last_error == "RuntimeError: a bug"
        assert camera.report().opens >= 2, "each attempt counts, so that the watchdog sees that we try"

    def test_a_factory_that_fails(self, stage: Stage) -> None:
        def factory() -> Source:
            raise SourceError("no camera found")

        camera = stage.begin(factory)
        wait_for(lambda: camera.report().failures >= 2)
        assert camera.report().last_error == "no camera found"

    def test_a_driver_with_a_bug(self, stage: Stage) -> None:
        class Buggy:
            name = "buggy"
            noisy = True
            opening_s = 0.0

            def open(self) -> None:
                raise ZeroDivisionError("oh")

            def read(self) -> Frame:
                raise AssertionError

            def interrupt(self) -> None: ...

            def close(self) -> None:
                raise OSError("cannot")

        camera = stage.begin(Buggy)
        wait_for(lambda: camera.report().failures >= 2)
        assert camera.report().last_error == "buggy: ZeroDivisionError: oh"

    def test_comes_back_after_a_failure(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        camera = stage.play([play(0.1), fail("unplugged")], [refuse("not there")], [FOR_LONG])
        wait_for(lambda: camera.report().opens == 3 and is_online(camera) and len(lines(caplog)) == 4)
        first, second, third = stage.cameras.made
        assert [made.done("closed") for made in (first, second)] == [1, 1]
        assert third.done("closed") == 0
        assert camera.report().failures == 2
        words = [" ".join(line.split()[:4]) for line in lines(caplog)]
        assert words == [
            "camera online name=desk source='fake",
            "camera offline name=desk reason='fake",
            "camera offline name=desk reason='fake",
            "camera online name=desk source='fake",
        ]

    def test_a_gap_that_is_too_long(self, stage: Stage) -> None:
        camera = stage.play([play(0.1), gap(60), FOR_LONG], [FOR_LONG])
        wait_for(lambda: camera.report().opens == 2 and is_online(camera))
        assert camera.report().last_error == f"fake camera: no picture for 0.4 s{SLOW}"
        assert camera.report().hung == 0

    def test_a_frozen_picture(self, stage: Stage) -> None:
        camera = stage.play([play(0.1), freeze(3600)], [FOR_LONG])
        wait_for(lambda: camera.report().opens == 2 and is_online(camera))
        assert camera.report().last_error == "fake camera: the same picture for 0.3 s: the camera is frozen"
        assert is_frozen(camera.report().last_error)

    def test_a_film_may_hold_still(self, stage: Stage) -> None:
        camera = stage.play([play(0.1), freeze(3600)], noisy=False, timing=Timing(frozen_s=0.02))
        wait_for(lambda: camera.report().frames > 30)
        assert camera.report().opens == 1

    def test_the_end_of_a_film_opens_it_again(self, stage: Stage) -> None:
        camera = stage.play([play(0.1), end()], noisy=False)
        wait_for(lambda: camera.report().opens >= 3)
        assert camera.report().last_error == "fake camera: ended"


class TestHangs:
    def test_a_read_that_never_returns_is_given_up(self, stage: Stage) -> None:
        camera = stage.play([play(0.1), hang()], [FOR_LONG])
        wait_for(lambda: camera.report().opens == 2 and is_online(camera))
        report = camera.report()
        assert (report.hung, report.failures) == (1, 1)
        assert report.hanging_since is not None
        assert report.failures_since_hang == 0, "the one after it works"
        assert stage.cameras.made[0].done("closed") == 0, "nobody closes a device while another thread reads from it"
        stage.cameras.let_go()
        wait_for(lambda: camera.report().hanging_since is None)
        assert stage.cameras.made[0].done("closed") == 1
        assert camera.report().hung == 1

    def test_a_close_that_never_returns_counts_as_hung(self, stage: Stage) -> None:
        let_go = threading.Event()

        class Held(FakeCamera):
            def close(self) -> None:
                super().close()
                let_go.wait()

        quick = Timing(shortest_wait_s=0.01, longest_wait_s=0.02, stop_s=0.02)
        camera = stage.begin(lambda: Held([play(0.05), fail("no picture")], fps=100, size=(64, 48)), quick)
        try:
            wait_for(lambda: camera.report().hung == MOST_HUNG)
            assert camera.report().hanging_since is not None
            wait_for(lambda: camera.report().failures_since_hang >= MOST_HUNG - 1)
            assert camera.report().hang_reason == "fake camera: no picture"
            wait_for(lambda: "still hang in the driver" in (camera.report().last_error or ""))
        finally:
            let_go.set()
        wait_for(lambda: camera.report().opens > MOST_HUNG)

    def test_what_a_abandoned_thread_delivers_is_dropped(self, stage: Stage) -> None:
        camera = stage.play([hang(), play(0.1)], [refuse()])
        wait_for(lambda: camera.report().failures >= 2)
        stage.cameras.made[0].let_go()
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "ferd-camera-desk"])
        assert camera.report().frames == 0
        assert camera.take() is None

    def test_no_more_than_a_few_may_hang(self, stage: Stage) -> None:
        quick = Timing(first_frame_s=0.05, frame_s=0.05, shortest_wait_s=0.01, longest_wait_s=0.02, stop_s=0.02)
        camera = stage.play([hang()], timing=quick)
        wait_for(lambda: "attempts still hang" in (camera.report().last_error or ""))
        assert len(stage.cameras.made) == MOST_HUNG
        stage.cameras.made[0].let_go()
        wait_for(lambda: len(stage.cameras.made) == MOST_HUNG + 1)

    def test_a_source_that_hangs_in_its_constructor(self, stage: Stage) -> None:
        """A path on a network drive that does not answer: the supervisor must not touch it."""
        let_go, good = threading.Event(), FakeCamera([FOR_LONG], fps=100, size=(64, 48))
        other = CameraHandle("other", lambda: good, stage.wake, timing=FAST)

        def factory() -> Source:
            let_go.wait()
            raise SourceError("too late")

        camera = stage.begin(
            factory, Timing(first_frame_s=0.05, shortest_wait_s=0.01, longest_wait_s=0.02, stop_s=0.02)
        )
        other.start()
        try:
            wait_for(lambda: camera.report().hung == MOST_HUNG and is_online(other))
            assert camera.report().hang_reason == "no picture within 0.05 s of opening"
        finally:
            let_go.set()
            other.stop()

    def test_stop_does_not_wait_for_a_hang(self, stage: Stage) -> None:
        camera = stage.play([play(0.05), hang()], timing=Timing(stop_s=0.1))
        wait_for(lambda: is_online(camera))
        begin = time.monotonic()
        camera.stop()
        assert time.monotonic() - begin < 5
        assert not camera.running


class TestOpening:
    """One limit holds for opening: the general one, or the longer one that the source states for itself."""

    @pytest.mark.parametrize(("own_s", "hung"), [(0.0, True), (20.0, False)])
    def test_a_source_may_state_that_it_needs_longer(self, stage: Stage, own_s: float, hung: bool) -> None:
        class Slow(FakeCamera):
            opening_s = own_s

            def open(self) -> None:
                time.sleep(0.5)
                super().open()

        timing = Timing(first_frame_s=0.1, shortest_wait_s=60, stop_s=0.01)
        camera = stage.begin(lambda: Slow([FOR_LONG], fps=100, size=(64, 48)), timing)
        wait_for(lambda: camera.report().failures or is_online(camera))
        assert (camera.report().hung > 0 or camera.report().failures > 0) is hung

    def test_by_default_twenty_seconds_are_no_hang(self) -> None:
        """Network cameras that wake up first need them; FFmpeg is given that time as well."""
        assert Timing().first_frame_s > 20
        stream = StreamCamera("rtsp://cam/1")
        assert stream._limits_s[0] > 20
        assert stream.opening_s > sum(stream._limits_s), "FFmpeg's own time-outs come first"


class TestSystem:
    def test_no_more_threads_for_a_while(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It must survive, log once and try again, whichever thread it is that cannot be started."""
        real, refused = threading.Thread.start, []

        def start(thread: threading.Thread) -> None:
            if len(refused) < 6:
                refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        camera = stage.play([FOR_LONG])
        wait_for(lambda: camera.take() or is_online(camera))
        assert set(refused) == {"ferd-supervisor"}
        assert [line for line in lines(caplog) if "no thread" in line] == [
            'no thread to watch the cameras, trying again reason="can\'t start new thread"'
        ]

    def test_no_thread_for_the_capture(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real, refused = threading.Thread.start, []

        def start(thread: threading.Thread) -> None:
            if thread.name == "ferd-camera-desk" and len(refused) < 6:
                refused.append(thread.name)
                raise RuntimeError("can't start new thread")
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        camera = stage.play([FOR_LONG])
        wait_for(lambda: is_online(camera))
        assert camera.report().failures == 6
        assert len([line for line in lines(caplog) if "can't start new thread" in line]) == 1

    def test_an_error_in_the_watch_over_one_camera_spares_the_others(
        self, stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Odd(FakeCamera):
            @property
            def opening_s(self) -> float:  # type: ignore[override]
                raise ZeroDivisionError

        odd = CameraHandle("odd", lambda: Odd([hang(0.5)]), stage.wake)
        odd.start()
        camera = stage.play([FOR_LONG])
        wait_for(lambda: is_online(camera))
        wait_for(lambda: "error while watching a camera name=odd" in caplog.text)
        odd.stop()

    def test_one_thread_watches_all_cameras(self, stage: Stage) -> None:
        cameras = FakeCameras([[FOR_LONG]], fps=100)
        handles = [CameraHandle(f"c{n}", cameras, stage.wake, timing=FAST) for n in range(3)]
        for handle in handles:
            handle.start()
        wait_for(lambda: all(is_online(handle) for handle in handles))
        names = sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("ferd-"))
        assert names == ["ferd-camera-c0", "ferd-camera-c1", "ferd-camera-c2", "ferd-supervisor"]
        for handle in handles:
            handle.stop()

    def test_a_reconnect_leaves_no_descriptor_behind(self, stage: Stage, tmp_path: Path) -> None:
        """Also without the garbage collector: a camera that stays away would use them up between two runs of it."""

        class Descriptor:
            """As a native object holds it: released with the last reference."""

            def __init__(self) -> None:
                self.number = os.open(tmp_path, os.O_RDONLY)

            def __del__(self) -> None:
                os.close(self.number)

        class Device(FakeCamera):
            def open(self) -> None:
                self.device = Descriptor()
                super().open()

        gc.disable()
        try:
            camera = stage.begin(lambda: Device([play(0.02), fail("gone")], fps=100, size=(64, 48)))
            wait_for(lambda: camera.report().failures == 2)
            before = len(list(Path("/proc/self/fd").iterdir()))
            wait_for(lambda: camera.report().failures >= 12)
            camera.stop()
            assert len(list(Path("/proc/self/fd").iterdir())) <= before
        finally:
            gc.enable()


class TestWorks:
    def test_the_newest_frame_waits_and_the_others_are_counted(self, stage: Stage) -> None:
        camera = stage.play([play(0.2), gap(0.1), hang()], timing=Timing())
        wait_for(lambda: camera.report().frames == 20)
        assert stage.wake.is_set()
        frame = camera.take()
        assert frame is not None
        assert frame.image[0, 0, 0] == 20
        assert camera.take() is None
        report = camera.report()
        assert (report.state, report.skipped, report.opens, report.failures) == (CameraState.ONLINE, 19, 1, 0)
        assert report.source == "fake camera"
        assert report.last_frame_at is not None

    def test_starts_as_starting(self, stage: Stage) -> None:
        camera = stage.play([gap(3600), FOR_LONG])
        assert camera.report().state is CameraState.STARTING

    def test_stop_closes_and_forgets(self, stage: Stage) -> None:
        camera = stage.play([FOR_LONG])
        wait_for(lambda: is_online(camera))
        camera.stop()
        assert stage.cameras.made[0].done("closed") == 1
        assert camera.take() is None
        camera.stop()

    def test_may_be_started_again(self, stage: Stage) -> None:
        camera = stage.play([FOR_LONG])
        with pytest.raises(RuntimeError):
            camera.start()
        wait_for(lambda: is_online(camera))
        camera.stop()
        camera.start()
        assert camera.report().state is CameraState.STARTING
        wait_for(lambda: camera.report().opens == 2 and is_online(camera))

    def test_waits_longer_from_failure_to_failure_and_starts_again_with_little(self, stage: Stage) -> None:
        asked: list[tuple[float, float]] = []

        def jitter(low: float, high: float) -> float:
            asked.append((low, high))
            return 0.0

        timing = Timing(shortest_wait_s=0.01, longest_wait_s=0.05)
        cameras = FakeCameras([[refuse()], [refuse()], [refuse()], [play(0.3), fail()], [FOR_LONG]], fps=100)
        stage.cameras = cameras
        stage.camera = CameraHandle("desk", cameras, stage.wake, timing=timing, jitter=jitter)
        stage.camera.start()
        wait_for(lambda: stage.camera.report().opens == 5)
        assert asked == [(0.01, 0.02), (0.01, 0.04), (0.01, 0.05), (0.01, 0.02)]
