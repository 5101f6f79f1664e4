"""One camera of the daemon: its switch, its status, and what the buzzer hears of it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from brokers import wait_for

from ferd.camera_worker import CameraWorker, pause
from ferd.config import CameraConfig, Config
from ferd.outputs.buzzer.patterns import LEVELS_OWN
from ferd.settings_store import CameraSettings
from ferd.sources.fake import FakeCameras, fail, hang, play
from ferd.types import Alert
from ferd.vision.pipeline import Models

OFF = CameraSettings(enabled=False)


class Sounder:
    def __init__(self):
        self.heard = []
        self.can_sound = True

    def show(self, camera, alerts):
        pass

    def blind(self, camera, blind):
        word = "blind" if blind else "watching"
        if self.heard[-1] != word:
            self.heard.append(word)

    def mute(self, camera, muted):
        self.heard.append("muted" if muted else "loud")

    def forget(self, camera):
        self.heard.append("forgotten")

    def audible(self, camera, alert):
        return self.can_sound


@pytest.fixture(scope="module")
def parts():
    return Models(Config())


@pytest.fixture
def make(parts):
    lanes, made = [], []

    def make_lane(cameras, switches=None, sounder=None):
        made.append(cameras)
        lane = CameraWorker(
            "hall",
            "desk",
            CameraConfig(),
            parts,
            factory=cameras,
            wake=threading.Event(),
            switches=switches or CameraSettings(),
            sounder=sounder or Sounder(),
        )
        lanes.append(lane)
        return lane

    yield make_lane
    for lane in lanes:
        lane.stop()
    for cameras in made:
        cameras.let_go()


class Told(list):
    def by(self, ending):
        return [payload for topic, payload in self if topic.endswith(ending)]

    def take(self, messages):
        self.extend((message.topic, message.payload.decode()) for message in messages)

    def until(self, lane, ending, payload):
        def there():
            self.take(lane.step())
            return self.by(ending)[-1:] == [payload]

        wait_for(there, 10, str(self))


def test_switched_off_the_camera_is_closed_for_real_and_on_it_opens_anew(make):
    cameras, told = FakeCameras([[play(3600)]]), Told()
    lane = make(cameras)
    told.take(lane.introduce())
    assert told.by("desk/status") == ["offline"]
    lane.start()
    told.until(lane, "desk/status", "online")
    told.take(lane.switch("enabled", OFF))
    told.until(lane, "desk/status", "disabled")
    assert cameras.made[0].done("closed") == 1
    assert lane.resting
    assert told.by("enabled/state") == ["ON", "OFF"]
    told.take(lane.switch("enabled", CameraSettings()))
    assert told.by("desk/status")[-1] == "offline", "it is not known yet whether it works"
    told.until(lane, "desk/status", "online")
    assert len(cameras.made) == 2


def test_the_switch_does_not_wait_for_the_camera(make):
    """A driver that hangs must not hold up the other cameras, nor the alarm of a driver who falls asleep."""
    cameras, told = FakeCameras([[play(0.2), hang()]]), Told()
    lane = make(cameras)
    lane.start()
    told.until(lane, "desk/status", "online")
    time.sleep(0.4)
    begin = time.monotonic()
    told.take(lane.switch("enabled", OFF))
    assert time.monotonic() - begin < 0.5
    assert "disabled" not in told.by("desk/status"), "it is not closed yet"
    told.until(lane, "desk/status", "disabled")


def test_on_again_while_it_is_still_closing_ends_online(make):
    cameras, told = FakeCameras([[play(3600)]]), Told()
    lane = make(cameras)
    lane.start()
    told.until(lane, "desk/status", "online")
    for _ in range(3):
        told.take(lane.switch("enabled", OFF))
        told.take(lane.switch("enabled", CameraSettings()))
    wait_for(lambda: told.take(lane.step()) or (lane.status == "online" and lane.keeper.running), 10)
    told.until(lane, "desk/status", "online")
    assert [camera.done("closed") for camera in cameras.made[:-1]] == [1] * (len(cameras.made) - 1)


def test_switched_off_before_the_start_it_is_never_opened(make):
    cameras, told = FakeCameras([[play(3600)]]), Told()
    lane = make(cameras, OFF)
    told.take(lane.introduce())
    lane.start()
    for _ in range(3):
        told.take(lane.step())
        time.sleep(0.05)
    assert told.by("desk/status") == ["disabled"]
    assert cameras.made == []
    assert lane.settled
    assert lane.resting


def test_the_buzzer_hears_of_the_camera_and_of_its_switch(make):
    cameras, told, sounder = FakeCameras([[play(0.3), fail("came off")], [play(3600)]]), Told(), Sounder()
    lane = make(cameras, sounder=sounder)
    lane.start()
    told.until(lane, "desk/status", "online")
    told.until(lane, "desk/status", "offline")
    told.take(lane.switch("enabled", CameraSettings(enabled=False, buzzer=False)))
    told.until(lane, "desk/status", "disabled")
    assert sounder.heard == ["loud", "watching", "blind", "muted", "forgotten"]


def test_a_switch_says_how_it_stands_and_nothing_of_the_others(make):
    lane, told = make(FakeCameras([[play(3600)]])), Told()
    for switches in (CameraSettings(sensitivity=70.0), CameraSettings(sensitivity=70.0)):
        told.take(lane.switch("sensitivity", switches))
    assert [it for it in told if "/state" in it[0]] == [("ferd/hall/desk/sensitivity/state", "70")] * 2


def test_a_rebuilt_lane_keeps_its_camera_open(make, parts):
    cameras, told = FakeCameras([[play(3600)]]), Told()
    lane = make(cameras)
    lane.start()
    told.until(lane, "desk/status", "online")
    told.take(lane.rebuild(parts))
    told.take(lane.step())
    assert told.by("desk/status") == ["online"]
    assert len(cameras.made) == 1


@pytest.mark.parametrize(("interval", "took"), [(1 / 15, 0.01), (1 / 15, 0.2), (1, 0.1)])
def test_slowed_down_half_of_the_pictures_are_read(interval, took):
    """Pictures on a grid; one is read when the pause after the one before is over and the reader is free."""

    def reads(slowed):
        free, due, count = 0.0, 0.0, 0
        for at in (n * interval for n in range(int(600 / interval))):
            if at >= free and at >= due:
                count += 1
                free = at + took
                due = at + pause(interval, took) if slowed else at
        return count

    assert reads(slowed=True) / reads(slowed=False) == pytest.approx(0.5, abs=0.1)


def test_pictures_left_out_for_the_board_count_as_skipped(make):
    cameras = FakeCameras([[play(3600)]])
    lane = make(cameras)
    lane.slowed = True
    list(lane.introduce())
    lane.start()

    def both():
        list(lane.step())
        return lane.counters().frames >= 3 and lane.counters().skipped >= 2

    wait_for(both, 10, str(lane.counters()))


class Looker:
    def __init__(self):
        self.readings = []

    def saw(self, camera, frame, reading):
        self.readings.append(reading)

    def clock(self, camera, pipeline):
        pass


def test_whoever_looks_on_is_told_of_a_sound_only_if_it_sounds(make):
    """Without a buzzer, or when it is muted, the page must not say "sounding"."""
    sounder, looker, told = Sounder(), Looker(), Told()
    lane = make(FakeCameras([[play(3600)]]), sounder=sounder)
    alert = Alert("fatigue", "warning", "eyes_closed", 0.0, LEVELS_OWN)
    lane.show_to(looker)
    lane.start()
    lane._pipeline.watch = lambda reading: replace(reading, alerts=(alert,))
    wait_for(lambda: told.take(lane.step()) or looker.readings, 10)
    sounder.can_sound = False
    before = len(looker.readings)
    wait_for(lambda: told.take(lane.step()) or len(looker.readings) > before, 10)
    assert [looker.readings[n].alerts[0].pattern for n in (0, -1)] == [LEVELS_OWN, None]
