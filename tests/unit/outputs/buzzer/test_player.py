"""The player on the shipped stand-in for pins: what comes out when things go well and when they do not."""

import itertools
import threading
import time

import pytest
from brokers import wait_for

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import pin_state
from ferd.outputs.buzzer.output import FakeBuzzerOutput
from ferd.outputs.buzzer.player import MAX_SNOOZE_S, BuzzerPlayer, CameraSound
from ferd.types import LEVELS_OWN, Alert

ALARM = Alert("fatigue", "alarm", "eyes_closed", 0.0, LEVELS_OWN)
WARNING = Alert("fatigue", "warning", "eyes_closed", 0.0, LEVELS_OWN)
PINS = {"pin": 18, "status_led_pin": 23, "alert_led_pin": 24}


class Bench:
    """A player on fake pins. `press` presses the button."""

    def __init__(self, output=FakeBuzzerOutput, **keys):
        self.config = BuzzerConfig.model_validate(PINS | keys)
        self.outputs = []
        self.player = BuzzerPlayer(self.config, open_output=self._open)
        self._output = output

    def _open(self, config, pressed):
        self.press = pressed
        self.outputs.append(self._output(config))
        return self.outputs[-1]

    def show(self, *alerts, watching=None, muted=False):
        self.player.update({"cabin": CameraSound(alerts, watching, muted)}, reports_lost=True)

    @property
    def sounds(self):
        return self.edges("sound")

    def edges(self, what):
        return [edge.on for output in self.outputs for edge in list(output.edges) if edge.what == what]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv(pin_state.FOLDER_ENV, str(tmp_path))
    made = []

    def make(**options):
        made.append(Bench(**options))
        made[-1].player.start()
        return made[-1]

    yield make
    for one in made:
        one.player.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "buzzer"]


def test_an_alarm_sounds_and_ends_with_it(bench):
    one = bench()
    one.show(ALARM)
    wait_for(lambda: one.sounds == [True, False, True, False])
    one.show()
    wait_for(lambda: not one.sounds[-1])
    count = len(one.sounds)
    time.sleep(0.5)
    assert len(one.sounds) == count


def test_the_edge_is_there_when_the_call_returns(bench):
    """It waits for no other thread: the loop drives the pin itself."""
    one = bench(alarm="continuous")
    one.show(ALARM)
    assert one.sounds == [True]
    one.show()
    assert one.sounds == [True, False]


def test_open_eyes_end_a_sound_that_never_pauses(bench):
    one = bench(alarm="continuous")
    one.show(ALARM)
    wait_for(lambda: one.sounds == [True])
    time.sleep(1.2)
    assert one.sounds == [True], "no gap where it begins again"
    one.show()
    wait_for(lambda: one.sounds == [True, False])


def test_stop_silences_at_once_and_nothing_is_left_on(bench):
    one = bench(alarm="continuous")
    one.show(ALARM, watching=True)
    wait_for(lambda: one.sounds == [True])
    one.player.stop()
    last = {edge.what: edge.on for edge in one.outputs[-1].edges}
    assert last == {"sound": False, "watching": False, "level": False}


def test_the_button_snoozes(bench):
    one = bench(warning="continuous", button=5)
    one.show(WARNING)
    wait_for(lambda: one.sounds == [True])
    assert one.player.audible("cabin", WARNING)
    one.press()
    wait_for(lambda: one.sounds == [True, False])
    assert not one.player.audible("cabin", WARNING)
    one.show(ALARM)
    wait_for(lambda: one.sounds[2:3] == [True])


def test_the_button_may_be_allowed_to_silence_an_alarm(bench):
    one = bench(alarm="continuous", button=5, snooze_silences_alarm=True)
    one.show(ALARM)
    wait_for(lambda: one.sounds == [True])
    one.press()
    wait_for(lambda: one.sounds == [True, False])


def test_a_snooze_ends_by_itself_and_has_a_longest(bench):
    one = bench(warning="continuous")
    one.show(WARNING)
    wait_for(lambda: one.sounds == [True])
    assert one.player.snooze(0.3) == 0.3
    wait_for(lambda: one.sounds == [True, False, True])
    assert one.player.snooze(1e9) == MAX_SNOOZE_S
    assert one.player.snooze(-1) == 0


def test_a_camera_that_is_lost_in_an_alarm(bench):
    one = bench(blind="continuous")
    one.show(ALARM, watching=True)
    wait_for(lambda: len(one.sounds) >= 3)
    one.show(watching=False)
    assert one.edges("watching") == [True, False]
    assert one.sounds[-1], "the pattern of a lost camera, which does not end"


def test_without_pins_every_call_is_harmless():
    player = BuzzerPlayer(BuzzerConfig(), open_output=lambda *_: pytest.fail("there is no pin"))
    player.start()
    player.update({"cabin": CameraSound((ALARM,), watching=False, muted=True)}, reports_lost=True)
    player.update({}, reports_lost=True)
    player.use(BuzzerConfig(warning="urgent"))
    player.snooze(3)
    assert player.advance() is None
    assert not player.audible("cabin", ALARM)
    player.stop()


def test_leds_without_a_buzzer(bench):
    one = bench(pin=None)
    one.show(watching=True)
    assert one.edges("watching") == [True]
    assert not one.player.audible("cabin", ALARM)


def test_pins_that_cannot_be_opened_are_logged_and_that_is_all(caplog):
    def no(_config, _pressed):
        raise BuzzerError("GPIO 18: in use. Use another pin")

    player = BuzzerPlayer(BuzzerConfig(pin=18), open_output=no)
    player.start()
    player.update({"cabin": CameraSound((ALARM,))}, reports_lost=True)
    assert not player.audible("cabin", ALARM)
    player.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "Use another pin" in caplog.text


@pytest.mark.parametrize("failing", ["show", "close"])
def test_a_pin_that_fails_later_is_logged_once(bench, caplog, failing):
    class Broken(FakeBuzzerOutput):
        def show(self, output):
            if failing == "show" and output.sound:
                raise BuzzerError("GPIO 18: gone. Check the wires")
            super().show(output)

        def close(self):
            super().close()
            if failing == "close":
                raise BuzzerError("GPIO 18: gone. Check the wires")

    one = bench(output=Broken)
    one.show(ALARM)
    if failing == "show":
        wait_for(lambda: not one.player.audible("cabin", ALARM))
    one.show()
    one.show(ALARM)
    one.player.stop()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not one.sounds[-1], "whatever could be switched off was"


def test_another_pattern_replaces_the_one_that_sounds_without_a_silence(bench):
    one = bench(alarm="continuous")
    one.show(ALARM, watching=True)
    one.player.use(BuzzerConfig.model_validate(PINS | {"alarm": "blind"}))
    assert one.sounds == [True, True], "a tone in place of the usual one"
    assert len(one.outputs) == 1, "the pins stay open"
    assert one.edges("watching") == [True]


def test_a_pattern_that_stays_the_same_goes_on(bench):
    one = bench(alarm="continuous")
    one.show(ALARM)
    one.player.use(BuzzerConfig.model_validate(PINS | {"alarm": "continuous", "notice": "double"}))
    assert one.sounds == [True]


def test_other_pins_sound_at_once(bench):
    one = bench(alarm="continuous")
    one.show(ALARM, watching=True)
    one.player.use(BuzzerConfig.model_validate(PINS | {"alarm": "continuous", "pin": 12}))
    assert len(one.outputs) == 2
    assert [edge.on for edge in one.outputs[0].edges if edge.what == "sound"] == [True, False, False]
    assert [edge.on for edge in one.outputs[1].edges if edge.what == "sound"] == [True]
    assert pin_state.noted() == [(12, True), (23, True), (24, True)]


def test_a_snooze_outlives_another_configuration(bench):
    one = bench(warning="continuous")
    one.show(WARNING)
    one.player.snooze(100)
    one.player.use(BuzzerConfig.model_validate(PINS | {"warning": "urgent"}))
    assert one.sounds == [True, False]


def test_pins_may_come_and_go_with_the_configuration(bench):
    one = bench(pin=None, status_led_pin=None, alert_led_pin=None)
    one.show(ALARM)
    assert one.outputs == []
    one.player.use(BuzzerConfig(pin=18, alarm="continuous"))
    assert one.sounds == [True]
    one.player.use(BuzzerConfig())
    assert not one.sounds[-1]
    assert not one.player.audible("cabin", ALARM)
    one.player.use(BuzzerConfig(pin=18))
    wait_for(lambda: len(one.sounds) > 6)


def test_the_pins_are_noted_in_case_of_a_crash(bench):
    one = bench(active_high=False)
    assert pin_state.noted() == [(18, False), (23, True), (24, True)]
    one.player.stop()
    assert pin_state.noted() is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[["a", true]]', "[[18]]"])
def test_a_note_that_cannot_be_read_is_none(tmp_path, monkeypatch, text):
    monkeypatch.setenv(pin_state.FOLDER_ENV, f"{tmp_path}:/run/other")
    (tmp_path / pin_state.FILE).write_text(text)
    assert pin_state.noted() is None


def test_without_a_folder_nothing_is_noted(monkeypatch):
    monkeypatch.delenv(pin_state.FOLDER_ENV, raising=False)
    pin_state.note([(18, True)])
    assert pin_state.noted() is None
    pin_state.clear()


def test_many_threads_at_once(bench):
    """Loop, button, MQTT and the end, all at the same time."""
    one = bench()

    def loop(turn):
        for number in range(turn, turn + 200):
            one.show(*([ALARM] if number % 3 else []), watching=number % 5 != 0)
            one.player.snooze(0.001)
            one.player.audible("cabin", ALARM)

    threads = [threading.Thread(target=loop, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.player.stop()
    assert not one.sounds[-1]
    in_turn = itertools.pairwise(one.sounds[:-1])  # the last one is driven once more at the end
    assert all(before != now for before, now in in_turn)
