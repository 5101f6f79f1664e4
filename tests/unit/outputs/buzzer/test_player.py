"""The thread that plays, on the shipped fake: what comes out when things go well and when they do not."""

import itertools
import threading
import time

import pytest
from brokers import wait_for

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import pin_state as claims
from ferd.outputs.buzzer.fake import FakeBuzzerOutput
from ferd.outputs.buzzer.player import MAX_SNOOZE_S, BuzzerPlayer
from ferd.types import LEVELS_OWN, Alert

ALARM = Alert("fatigue", "alarm", "eyes_closed", 0.0, LEVELS_OWN)
WARNING = Alert("fatigue", "warning", "eyes_closed", 0.0, LEVELS_OWN)


class Bench:
    """A sounder on fake pins. `press` presses the button."""

    def __init__(self, tells_blind=True, panel=FakeBuzzerOutput, **keys):
        self.config = BuzzerConfig.model_validate({"pin": 18, "status_led_pin": 23, "alert_led_pin": 24} | keys)
        self.panels = []
        self.sounder = BuzzerPlayer(self.config, tells_blind=tells_blind, open_panel=self._open)
        self._panel = panel

    def _open(self, config, pressed):
        self.press = pressed
        self.panels.append(self._panel(config))
        return self.panels[-1]

    @property
    def sounds(self):
        return [edge.on for edge in list(self.panels[-1].edges) if edge.what == "sound"]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv(claims.FOLDER_ENV, str(tmp_path))
    made = []

    def make(**options):
        made.append(Bench(**options))
        made[-1].sounder.start()
        return made[-1]

    yield make
    for one in made:
        one.sounder.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "buzzer"]


def test_an_alarm_sounds_and_ends_with_it(bench):
    one = bench()
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: one.sounds == [True, False, True, False])
    one.sounder.show("cabin", [])
    wait_for(lambda: not one.sounds[-1])
    count = len(one.sounds)
    time.sleep(0.5)
    assert len(one.sounds) == count


def test_the_edge_is_there_when_the_call_comes_back(bench):
    """It waits for no other thread: the loop that looks at pictures makes it itself."""
    one = bench(alarm="continuous")
    one.sounder.show("cabin", [ALARM])
    assert one.sounds == [True]
    one.sounder.show("cabin", [])
    assert one.sounds == [True, False]


def test_open_eyes_end_a_sound_that_never_pauses(bench):
    one = bench(alarm="continuous")
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: one.sounds == [True])
    time.sleep(1.2)
    assert one.sounds == [True], "no gap where it begins again"
    one.sounder.show("cabin", [])
    wait_for(lambda: one.sounds == [True, False])


def test_stop_silences_at_once_and_nothing_is_left_on(bench):
    one = bench(alarm="continuous")
    one.sounder.blind("cabin", False)
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: one.sounds == [True])
    one.sounder.stop()
    last = {edge.what: edge.on for edge in one.panels[-1].edges}
    assert last == {"sound": False, "watching": False, "level": False}


def test_the_button_snoozes(bench):
    one = bench(warning="continuous", button=5)
    one.sounder.show("cabin", [WARNING])
    wait_for(lambda: one.sounds == [True])
    assert one.sounder.audible("cabin", WARNING)
    one.press()
    wait_for(lambda: one.sounds == [True, False])
    assert not one.sounder.audible("cabin", WARNING)
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: one.sounds[2:3] == [True])


def test_the_button_may_be_allowed_to_silence_an_alarm(bench):
    one = bench(alarm="continuous", button=5, snooze_silences_alarm=True)
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: one.sounds == [True])
    one.press()
    wait_for(lambda: one.sounds == [True, False])


def test_a_snooze_ends_by_itself_and_has_a_longest(bench):
    one = bench(warning="continuous")
    one.sounder.show("cabin", [WARNING])
    wait_for(lambda: one.sounds == [True])
    assert one.sounder.snooze(0.3) == 0.3
    wait_for(lambda: one.sounds == [True, False, True])
    assert one.sounder.snooze(1e9) == MAX_SNOOZE_S
    assert one.sounder.snooze(-1) == 0


def test_a_camera_that_is_lost_in_an_alarm(bench):
    one = bench(blind="continuous")
    one.sounder.blind("cabin", False)
    one.sounder.show("cabin", [ALARM])
    wait_for(lambda: len(one.sounds) >= 3)
    one.sounder.show("cabin", [])
    one.sounder.blind("cabin", True)
    wait_for(lambda: [e.on for e in list(one.panels[-1].edges) if e.what == "watching"] == [True, False])
    assert one.sounds[-1], "it is told, and does not end"


def test_without_pins_every_call_is_harmless():
    sounder = BuzzerPlayer(BuzzerConfig(), tells_blind=True, open_panel=lambda *_: pytest.fail("there is no pin"))
    sounder.start()
    sounder.show("cabin", [ALARM])
    sounder.blind("cabin", True)
    sounder.mute("cabin", True)
    sounder.forget("cabin")
    sounder.snooze(3)
    assert not sounder.audible("cabin", ALARM)
    sounder.stop()


def test_lamps_without_a_buzzer(bench):
    one = bench(pin=None)
    one.sounder.blind("cabin", False)
    wait_for(lambda: any(edge.what == "watching" and edge.on for edge in one.panels[-1].edges))
    assert not one.sounder.audible("cabin", ALARM)


def test_pins_that_cannot_be_opened_are_told_and_that_is_all(caplog):
    def no(_config, _pressed):
        raise BuzzerError("GPIO 18: taken. Take another pin")

    sounder = BuzzerPlayer(BuzzerConfig(pin=18), tells_blind=True, open_panel=no)
    sounder.start()
    sounder.show("cabin", [ALARM])
    assert not sounder.audible("cabin", ALARM)
    sounder.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Take another pin" in caplog.text


@pytest.mark.parametrize("failing", ["show", "close"])
def test_a_pin_that_fails_later_is_told_once(bench, caplog, failing):
    class Broken(FakeBuzzerOutput):
        def show(self, output):
            if failing == "show" and output.sound:
                raise BuzzerError("GPIO 18: gone. Look at the wires")
            super().show(output)

        def close(self):
            super().close()
            if failing == "close":
                raise BuzzerError("GPIO 18: gone. Look at the wires")

    one = bench(panel=Broken)
    one.sounder.show("cabin", [ALARM])
    if failing == "show":
        wait_for(lambda: not one.sounder.audible("cabin", ALARM))
    one.sounder.show("cabin", [])
    one.sounder.show("cabin", [ALARM])
    one.sounder.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not one.sounds[-1], "whatever could be switched off was"


def test_the_pins_are_noted_for_the_day_it_crashes(bench):
    one = bench(active_high=False)
    assert claims.noted() == [(18, False), (23, True), (24, True)]
    one.sounder.stop()
    assert claims.noted() is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["a", true]]', "[[18]]"])
def test_a_note_that_cannot_be_read_is_none(tmp_path, monkeypatch, text):
    monkeypatch.setenv(claims.FOLDER_ENV, f"{tmp_path}:/run/other")
    (tmp_path / claims.FILE).write_text(text)
    assert claims.noted() is None


def test_without_a_folder_nothing_is_noted(monkeypatch):
    monkeypatch.delenv(claims.FOLDER_ENV, raising=False)
    claims.note([(18, True)])
    assert claims.noted() is None
    claims.clear()


def test_many_threads_at_once(bench):
    """Cameras, the button, MQTT and the end, all at the same time."""
    one = bench()

    def camera(name):
        for turn in range(200):
            one.sounder.show(name, [ALARM] if turn % 3 else [])
            one.sounder.blind(name, turn % 5 == 0)
            one.sounder.snooze(0.001)
            one.sounder.audible(name, ALARM)

    threads = [threading.Thread(target=camera, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.sounder.stop()
    assert not one.sounds[-1]
    in_turn = itertools.pairwise(one.sounds[:-1])  # the last one is said once more at the end
    assert all(before != now for before, now in in_turn)
