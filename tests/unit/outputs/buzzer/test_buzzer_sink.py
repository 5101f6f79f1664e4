"""From snapshots to sound: alerts, lost cameras, mutes, reloads, and a loop that stopped."""

import logging
import threading
import time

import pytest
from brokers import wait_for
from output_snapshots import camera, snapshot

from ferd.config import Config
from ferd.outputs.buzzer.output import FakeBuzzerOutput
from ferd.outputs.buzzer.sink import BuzzerSink, relies_on_cameras
from ferd.settings_store import CameraSettings
from ferd.snapshot import LOOP_STALLED_S
from ferd.types import LEVELS_OWN, Alert

ALARM = Alert("fatigue", "alarm", "eyes_closed", 0.0, LEVELS_OWN)
WARNING = Alert("fatigue", "warning", "eyes_closed", 0.0, LEVELS_OWN)
NOTICE = Alert("fatigue", "notice", "perclos", 0.0, LEVELS_OWN)
OFF, MUTED = CameraSettings(enabled=False), CameraSettings(buzzer=False)


def config(fatigue=True, **buzzer):
    keys = {"pin": 18, "status_led_pin": 23, "alert_led_pin": 24} | buzzer
    return Config.model_validate({"buzzer": keys, "fatigue": {"enabled": fatigue}})


class Bench:
    """A sink on fake pins with a clock that stands still."""

    def __init__(self, start_config):
        self.now, self.config, self.last, self.outputs = 0.0, start_config, None, []
        self.sink = BuzzerSink(self.config, clock=lambda: self.now, open_output=self._open)
        self.sink.start()

    def _open(self, buzzer, _pressed):
        self.outputs.append(FakeBuzzerOutput(buzzer, clock=lambda: self.now))
        return self.outputs[-1]

    def update(self, *cameras, config=None):
        self.config = config or self.config
        after = snapshot(*cameras, config=self.config, at=self.now)
        self.sink.update(self.last, after, ())
        self.last = after

    def wait(self, seconds):
        """Let time pass as the player's thread would see it."""
        until = self.now + seconds
        while self.now < until:
            changes = self.sink.player.advance()
            self.now = until if changes is None else min(max(changes, self.now + 1e-6), until)
        self.sink.player.advance()

    def plays(self):
        """Whether the buzzer sounds now, and the tone."""
        edge = [edge for edge in self.outputs[-1].edges if edge.what == "sound"]
        return edge[-1].on if edge else False

    def beats(self, since=0.0):
        return [round(edge.t - since, 3) for edge in self.outputs[-1].edges if edge.what == "sound" and edge.t >= since]

    @property
    def status_led(self):
        edges = [edge.on for edge in self.outputs[-1].edges if edge.what == "watching"]
        return bool(edges) and edges[-1]


@pytest.fixture
def bench():
    made = []

    def make(start_config=None):
        made.append(Bench(start_config or config(alarm="continuous")))
        return made[-1]

    yield make
    for one in made:
        one.sink.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "buzzer"]


def test_what_the_reading_says_is_heard_and_ends_with_it(bench):
    one = bench()
    one.update(camera("cabin", "starting", None))
    assert (one.plays(), one.status_led) == (False, False)
    one.update(camera("cabin", "online", [ALARM]))
    assert (one.plays(), one.status_led) == (True, True)
    one.update(camera("cabin", "online", []))
    assert (one.plays(), one.status_led) == (False, True)


def test_a_camera_that_is_lost_in_an_alarm(bench):
    """The alarm ends, since nobody sees whether it still holds, and the pattern of a lost camera is played."""
    one = bench()
    one.update(camera("cabin", "online", [ALARM]))
    one.now = 2.0
    one.update(camera("cabin", "offline", None))
    one.wait(4)
    assert not one.status_led
    assert one.beats(since=2.0) == [0, 0.6, 0.8, 0.95, 1.1, 1.25]


@pytest.mark.parametrize("status", ["starting", "online", "offline", "disabled"])
def test_a_camera_that_is_switched_off_is_silent_and_not_missed(bench, status):
    one = bench()
    one.update(camera("cabin", "online", [ALARM]), camera("rear", "online"))
    one.update(camera("cabin", status, None, settings=OFF), camera("rear", "online"))
    assert (one.plays(), one.status_led) == (False, True)


def test_a_camera_that_was_removed_is_silent_and_not_missed(bench):
    one = bench()
    one.update(camera("cabin", "offline", [ALARM]), camera("rear", "online"))
    one.update(camera("rear", "online"))
    assert (one.plays(), one.status_led) == (False, True)


def test_a_muted_camera_is_not_heard(bench):
    one = bench()
    one.update(camera("cabin", "online", [ALARM], settings=MUTED))
    assert not one.plays()
    assert not one.sink.audible("cabin", ALARM)
    one.update(camera("cabin", "online", [ALARM]))
    assert one.plays()
    assert one.sink.audible("cabin", ALARM)


def test_a_snooze_is_granted(bench):
    one = bench(config(warning="continuous"))
    one.update(camera("cabin", "online", [WARNING]))
    assert one.sink.snooze(60) == 60
    assert not one.plays()
    assert not one.sink.audible("cabin", WARNING)


def test_a_reload_does_not_silence_an_alarm_that_holds(bench):
    one = bench()
    one.update(camera("cabin", "online", [ALARM]))
    one.update(camera("cabin", "online", [ALARM]), config=config(alarm="continuous", warning="urgent"))
    assert one.beats() == [0], "no edge at all"
    one.update(camera("cabin", "online", [ALARM]), config=config(alarm="continuous", pin=12))
    assert one.plays(), "on the new pin, within the same call"


def test_a_lost_camera_is_heard_only_where_somebody_relies_on_it(bench):
    one = bench(config(fatigue=False))
    one.update(camera("cabin", "offline", None))
    assert not one.plays()
    one.update(camera("cabin", "offline", None), config=config(fatigue=True))
    assert one.plays(), "the configuration has changed"


@pytest.mark.parametrize(
    ("keys", "relies"),
    [
        ({}, False),
        ({"fatigue": {"enabled": True}}, True),
        ({"alerts": [{"name": "x", "faces": "present", "buzzer": "chirp"}]}, True),
        ({"alerts": [{"name": "x", "faces": "present", "buzzer": "off"}]}, False),
    ],
)
def test_somebody_relies_on_cameras_for_fatigue_and_for_alerts_with_a_sound(keys, relies):
    assert relies_on_cameras(Config.model_validate(keys)) == relies


# --- a loop that stopped ---


def test_a_loop_that_stopped_is_reported_like_a_lost_camera(bench):
    one = bench()
    one.update(camera("cabin", "online"))
    one.wait(LOOP_STALLED_S - 0.1)
    assert (one.plays(), one.status_led) == (False, True)
    one.wait(0.1)
    assert (one.plays(), one.status_led) == (True, False)
    one.wait(61)
    assert one.beats(since=LOOP_STALLED_S) == [0, 0.6, 0.8, 0.95, 1.1, 1.25, 60, 60.6, 60.8, 60.95]
    one.update(camera("cabin", "online"))
    assert (one.plays(), one.status_led) == (False, True), "it ends when snapshots come again"


def test_updates_without_news_are_a_sign_of_life(bench):
    one = bench()
    for _ in range(30):
        one.update(camera("cabin", "online"))
        one.wait(LOOP_STALLED_S - 1)
    assert one.status_led
    assert one.beats() == []


@pytest.mark.parametrize("alert", [NOTICE, WARNING])
def test_a_stopped_loop_is_heard_in_place_of_what_may_be_over(bench, alert):
    one = bench()
    one.update(camera("cabin", "online", [alert]))
    one.wait(LOOP_STALLED_S)
    assert one.beats(since=LOOP_STALLED_S) == [0]
    one.wait(0.5)
    assert one.plays(), "the long first beat, which only this pattern has"


def test_an_alarm_goes_on_while_the_loop_has_stopped(bench):
    """Nothing has shown that the driver woke up."""
    one = bench()
    one.update(camera("cabin", "online", [ALARM]))
    one.wait(30)
    assert one.beats() == [0]
    assert not one.status_led


@pytest.mark.parametrize("cameras", [(), (camera("cabin", "disabled", None, settings=OFF),)])
def test_without_a_camera_in_use_nobody_misses_the_loop(bench, cameras):
    one = bench()
    one.update(*cameras)
    one.wait(60)
    assert one.beats() == []


def test_where_nobody_relies_on_the_cameras_a_stopped_loop_is_seen_and_not_heard(bench):
    one = bench(config(fatigue=False))
    one.update(camera("cabin", "online"))
    one.wait(60)
    assert one.beats() == []
    assert not one.status_led


def test_a_stopped_loop_is_not_heard_of_muted_cameras(bench):
    one = bench()
    one.update(camera("cabin", "online", settings=MUTED))
    one.wait(60)
    assert one.beats() == []


def test_before_the_first_snapshot_nothing_is_missed(bench):
    one = bench()
    one.wait(60)
    assert one.beats() == []


def test_the_thread_notices_by_itself_and_logs_one_line(bench, monkeypatch, caplog):
    """With the real clock, but a shorter time."""
    monkeypatch.setattr("ferd.outputs.buzzer.player.LOOP_STALLED_S", 0.2)
    caplog.set_level(logging.INFO)
    outputs = []

    def open_output(buzzer, _pressed):
        outputs.append(FakeBuzzerOutput(buzzer))
        return outputs[-1]

    sink = BuzzerSink(config(), open_output=open_output)
    sink.start()
    try:
        after = snapshot(camera("cabin", "online"), config=config())
        sink.update(None, after, ())
        wait_for(lambda: "the loop has stopped" in caplog.text, 5)
        wait_for(lambda: "plays=blind" in caplog.text, 5)
        time.sleep(0.5)
        sink.update(after, after, ())
        wait_for(lambda: "the loop runs again" in caplog.text, 5)
    finally:
        sink.stop()
    assert caplog.text.count("the loop has stopped") == 1
    assert [edge.on for edge in outputs[-1].edges if edge.what == "watching"][:3] == [True, False, True]
