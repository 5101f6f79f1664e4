"""One camera: its switch, its status, what is published when it is lost, and frames that cannot be analysed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from brokers import wait_for

from ferd.camera_worker import CameraWorker, pause
from ferd.config import Config
from ferd.policy.sound_patterns import LEVELS_OWN
from ferd.settings_store import CameraSettings
from ferd.sources.fake import FakeCameras, fail, hang, play
from ferd.types import Alert
from ferd.vision.loader import Models

OFF = CameraSettings(enabled=False)
CONFIG = Config.model_validate({"node": {"name": "hall"}, "cameras": {"desk": {}}})


@pytest.fixture(scope="module")
def models():
    return Models(CONFIG)


@pytest.fixture
def make(models):
    workers, made = [], []

    def make_worker(cameras, settings=None, **more):
        made.append(cameras)
        worker = CameraWorker(
            "desk",
            CONFIG,
            models,
            factory=cameras,
            wake=threading.Event(),
            settings=settings or CameraSettings(),
            **more,
        )
        workers.append(worker)
        return worker

    yield make_worker
    for worker in workers:
        worker.stop()
    for cameras in made:
        cameras.let_go()


class History(list):
    """The statuses of a worker, as they follow each other, and its events."""

    def __init__(self, worker):
        super().__init__([worker.snapshot().status])
        self.worker, self.events = worker, []

    def step(self):
        self.worker.step()
        self.events += self.worker.take_events()
        status = self.worker.snapshot().status
        if status != self[-1]:
            self.append(status)

    def until(self, status):
        wait_for(lambda: self.step() or self[-1] == status, 10, str(self))


def test_switched_off_the_camera_is_really_closed_and_on_it_opens_again(make):
    cameras = FakeCameras([[play(3600)]])
    worker = make(cameras)
    seen = History(worker)
    worker.start()
    seen.until("online")
    worker.apply(OFF)
    seen.until("disabled")
    assert cameras.made[0].done("closed") == 1
    assert worker.settled
    worker.apply(CameraSettings())
    assert worker.snapshot().status == "starting", "it is not known yet whether it works"
    seen.until("online")
    assert len(cameras.made) == 2


def test_the_switch_does_not_wait_for_the_camera(make):
    """A driver that hangs must not hold up the other cameras, nor the alarm of a driver who falls asleep."""
    worker = make(FakeCameras([[play(0.2), hang()]]))
    seen = History(worker)
    worker.start()
    seen.until("online")
    time.sleep(0.4)
    began = time.monotonic()
    worker.apply(OFF)
    assert time.monotonic() - began < 0.5
    assert worker.snapshot().status != "disabled", "it is not closed yet"
    seen.until("disabled")


def test_on_again_while_it_is_still_closing_ends_online(make):
    cameras = FakeCameras([[play(3600)]])
    worker = make(cameras)
    seen = History(worker)
    worker.start()
    seen.until("online")
    for _ in range(3):
        worker.apply(OFF)
        worker.apply(CameraSettings())
    wait_for(lambda: seen.step() or (seen[-1] == "online" and worker.capture.running), 10)
    seen.until("online")
    assert [camera.done("closed") for camera in cameras.made[:-1]] == [1] * (len(cameras.made) - 1)


def test_switched_off_before_the_start_it_is_never_opened(make):
    cameras = FakeCameras([[play(3600)]])
    worker = make(cameras, OFF)
    seen = History(worker)
    worker.start()
    for _ in range(3):
        seen.step()
        time.sleep(0.05)
    assert seen == ["disabled"]
    assert cameras.made == []
    assert worker.snapshot().settled


def test_a_lost_camera_says_why_and_forgets_who_was_seen(make):
    worker = make(FakeCameras([[play(0.3), fail("came off")], [play(3600)]]))
    seen = History(worker)
    worker.start()
    seen.until("online")
    wait_for(lambda: seen.step() or worker.snapshot().reading is not None, 10)
    seen.until("offline")
    lost = worker.snapshot()
    assert "came off" in (lost.error or "")
    assert lost.reading is None
    assert lost.state is not None
    assert lost.state.faces == 0
    seen.until("online")
    assert worker.snapshot().error is None


def test_other_rules_keep_the_camera_open_and_the_tracks(make, models):
    cameras = FakeCameras([[play(3600)]])
    worker = make(cameras)
    seen = History(worker)
    worker.start()
    seen.until("online")
    pipeline = worker._pipeline
    worker.use(CONFIG.model_copy(update={"smoothing": CONFIG.smoothing.model_copy(update={"min_hold_s": 1.0})}), models)
    seen.step()
    assert worker._pipeline is pipeline
    assert seen[-1] == "online"
    assert len(cameras.made) == 1


def test_one_frame_that_cannot_be_analysed_is_one_frame(make, caplog):
    worker = make(FakeCameras([[play(3600)]]))
    seen = History(worker)
    worker.start()
    seen.until("online")
    step, failures = worker._pipeline.step, [ZeroDivisionError("odd frame")]

    def fails_once(frame):
        if failures:
            raise failures.pop()
        return step(frame)

    worker._pipeline.step = fails_once
    before = worker.snapshot().counters.frames
    wait_for(lambda: seen.step() or worker.snapshot().counters.frames > before, 10)
    assert failures == []
    assert seen[-1] == "online"
    assert "odd frame" in caplog.text


def test_a_camera_of_which_no_frame_can_be_analysed_is_offline(make, monkeypatch, caplog):
    monkeypatch.setattr("ferd.camera_worker.FAILING_S", 0.3)
    worker = make(FakeCameras([[play(3600)]]))
    seen = History(worker)
    worker.start()
    seen.until("online")
    step = worker._pipeline.step

    def fails(_frame):
        raise ZeroDivisionError("every frame")

    worker._pipeline.step = fails
    seen.until("offline")
    wait_for(lambda: seen.step() or "every frame" in (worker.snapshot().error or ""), 10)
    assert caplog.text.count("ZeroDivisionError: every frame") == 1, "one log entry, not one for each frame"
    worker._pipeline.step = step
    seen.until("online")


@pytest.mark.parametrize(("interval", "took"), [(1 / 15, 0.01), (1 / 15, 0.2), (1, 0.1)])
def test_throttled_half_of_the_frames_are_analysed(interval, took):
    """Frames on a grid; one is analysed when the pause after the one before is over and the worker is free."""

    def analysed(throttled):
        free, due, count = 0.0, 0.0, 0
        for at in (n * interval for n in range(int(600 / interval))):
            if at >= free and at >= due:
                count += 1
                free = at + took
                due = at + pause(interval, took) if throttled else at
        return count

    assert analysed(throttled=True) / analysed(throttled=False) == pytest.approx(0.5, abs=0.1)


def test_frames_left_out_while_throttled_count_as_skipped(make):
    worker = make(FakeCameras([[play(3600)]]))
    worker.start()

    def both():
        worker.step(throttled=True)
        counters = worker.snapshot().counters
        return counters.frames >= 3 and counters.skipped >= 2

    wait_for(both, 10, str(worker.snapshot().counters))


def test_the_latency_counts_from_the_capture(make):
    """It was taken from the newest frame that had come meanwhile: 17 ms where it is 250."""
    worker = make(FakeCameras([[play(3600)]]))
    seen = History(worker)
    worker.start()
    seen.until("online")
    step = worker._pipeline.step

    def slow(frame):
        time.sleep(0.25)
        return step(frame)

    worker._pipeline.step, worker._latency_s = slow, None
    wait_for(lambda: seen.step() or worker.snapshot().counters.latency_s is not None, 20)
    assert (worker.snapshot().counters.latency_s or 0) > 0.2


def test_the_published_alert_says_whether_it_sounds(make):
    """Without a buzzer, or when it is muted, nobody must be told that it sounds."""
    can_sound = [True]
    worker = make(FakeCameras([[play(3600)]]), audible=lambda _camera, _alert: can_sound[0])
    seen = History(worker)
    worker.start()
    seen.until("online")
    alert = Alert("fatigue", "warning", "eyes_closed", 0.0, LEVELS_OWN)
    worker._pipeline.watch = lambda reading: replace(reading, alerts=(alert,))
    wait_for(lambda: seen.step() or (worker.snapshot().alert or alert).level == "warning", 10)
    wait_for(lambda: seen.step() or worker.snapshot().alert.buzzer, 10)
    can_sound[0] = False
    wait_for(lambda: seen.step() or not worker.snapshot().alert.buzzer, 10)
    reading = worker.snapshot().reading
    assert reading.alerts[0].pattern == LEVELS_OWN, "the buzzer itself sees the alert as it is"
