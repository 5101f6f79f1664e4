"""The real pins' code on gpiozero's mock pins: what a Pi would do, but for the electricity."""

import os
from pathlib import Path

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import pin as pins
from ferd.outputs.buzzer.output import RECORD_ENV, has_pins, open_output
from ferd.outputs.buzzer.patterns import Output
from ferd.outputs.buzzer.pin import GpioBuzzerOutput, switch_off
from ferd.outputs.buzzer.player import BuzzerPlayer
from ferd.types import Alert


@pytest.fixture
def factory(monkeypatch):
    """Mock pins that know PWM."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setenv("GPIOZERO_MOCK_PIN_CLASS", "mockpwmpin")
    monkeypatch.delenv(RECORD_ENV, raising=False)
    pins._gpiozero.cache_clear()
    made = MockFactory(pin_class=MockPWMPin)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", made)
    yield made
    made.reset()
    pins._gpiozero.cache_clear()


def panel(pressed=lambda: None, **keys):
    return GpioBuzzerOutput(BuzzerConfig.model_validate(keys), pressed)


def states(factory, number):
    return [state for _t, state in factory.pin(number).states]


def test_an_active_buzzer_goes_on_and_off(factory):
    one = panel(pin=18)
    one.show(Output(sound=True))
    one.show(Output())
    assert states(factory, 18) == [0, 1, 0]
    one.show(Output(sound=True))
    one.close()
    assert factory.pin(18).function == "input"
    assert not factory.pin(18).state


def test_a_buzzer_that_sounds_while_low_is_high_in_silence(factory):
    one = panel(pin=18, active_high=False)
    assert factory.pin(18).state
    one.show(Output(sound=True))
    assert not factory.pin(18).state
    one.show(Output())
    assert factory.pin(18).state
    one.close()


def test_a_passive_buzzer_plays_tones(factory):
    one = panel(pin=18, kind="passive", tone_hz=2000)
    one.show(Output(sound=True))
    assert factory.pin(18).frequency == pytest.approx(2000)
    assert factory.pin(18).state == 0.5
    one.show(Output(sound=True, tone=110.0))
    assert factory.pin(18).frequency == pytest.approx(110)
    one.show(Output(sound=True, tone=7040.0))
    assert factory.pin(18).frequency == pytest.approx(7040)
    one.show(Output())
    assert factory.pin(18).frequency is None
    assert not factory.pin(18).state
    one.close()


def test_the_lamps_are_on_their_pins(factory):
    one = panel(status_led_pin=23, alert_led_pin=24)
    one.show(Output(watching=True))
    assert (factory.pin(23).state, factory.pin(24).state) == (1, 0)
    one.show(Output(level=True))
    assert (factory.pin(23).state, factory.pin(24).state) == (0, 1)
    one.close()
    assert factory.pin(24).function == "input"


def test_the_button_is_to_ground(factory):
    presses = []
    one = panel(lambda: presses.append(1), button=5)
    assert factory.pin(5).pull == "up"
    factory.pin(5).drive_low()
    factory.pin(5).drive_high()
    assert presses == [1]
    one.close()


def test_a_constructor_that_fails_gives_back_what_it_had(factory):
    taken = gpiozero.LED(24)
    with pytest.raises(BuzzerError, match=r"GPIO 24: .*another pin"):
        panel(pin=18, status_led_pin=23, alert_led_pin=24)
    gpiozero.Buzzer(18).close()
    gpiozero.LED(23).close()
    taken.close()


def test_off_drives_to_the_silent_side_and_gives_back(factory):
    switch_off([(18, True), (19, False)])
    assert factory.pin(18).function == factory.pin(19).function == "input"
    assert states(factory, 18) == [0]
    assert 1 in states(factory, 19)


def test_off_tries_all_before_it_complains(factory):
    taken = gpiozero.LED(18)
    with pytest.raises(BuzzerError, match="GPIO 18"):
        switch_off([(18, True), (19, False)])
    assert 1 in states(factory, 19)
    taken.close()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Exception("'GPIO busy'"), "systemctl stop ferd"),
        (type("PinUnknownPi", (Exception,), {})("unable to locate Pi revision"), "no Raspberry Pi"),
        (type("BadPinFactory", (ImportError,), {})("Unable to find"), "unset it for lgpio"),
        (type("PinPWMUnsupported", (Exception,), {})(), 'kind = "active"'),
        (ModuleNotFoundError("No module named 'lgpio'"), "python3-lgpio"),
        (OSError("something new"), "docs/buzzer.md"),
    ],
)
def test_every_error_names_its_remedy(error, says):
    with pytest.raises(BuzzerError, match=r"^GPIO 18: ") as told, pins._explained(18):
        raise error
    assert says in str(told.value)


def test_no_permission_is_told_from_no_chip(tmp_path, monkeypatch):
    monkeypatch.setattr(pins, "CHIP", tmp_path / "gpiochip0")
    assert "there is no" in pins._remedy(Exception(pins._NO_CHIP))
    (tmp_path / "gpiochip0").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "usermod -aG gpio" in pins._remedy(Exception(pins._NO_CHIP))


def test_lgpio_gets_a_folder_and_the_process_its_own_back(monkeypatch):
    """lgpio moves the whole process into LG_WD, where it makes a pipe: paths of the user's would go astray."""
    monkeypatch.delenv(pins.WORK_ENV, raising=False)
    before = Path.cwd()
    with pins._workplace():
        folder = Path(os.environ[pins.WORK_ENV])
        os.chdir(folder)
    assert Path.cwd() == before
    assert not folder.exists()
    assert pins.WORK_ENV not in os.environ


def test_a_folder_that_the_user_named_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(pins.WORK_ENV, str(tmp_path))
    with pins._workplace():
        assert os.environ[pins.WORK_ENV] == str(tmp_path)
    assert tmp_path.exists()


def test_where_pins_are(tmp_path, monkeypatch):
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.delenv(RECORD_ENV, raising=False)
    model = tmp_path / "model"
    assert not has_pins(model)
    model.write_text("Raspberry Pi Zero 2 W Rev 1.0\0")
    assert has_pins(model)
    model.write_text("Some other board")
    assert not has_pins(model)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    assert has_pins(model)
    monkeypatch.setenv(RECORD_ENV, str(tmp_path / "record"))
    assert not has_pins(model)


def test_a_record_that_cannot_be_written_is_an_error_with_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv(RECORD_ENV, str(tmp_path / "no" / "record"))
    with pytest.raises(BuzzerError, match=RECORD_ENV):
        open_output(BuzzerConfig(pin=18), lambda: None)


def test_with_pins_the_panel_is_the_real_one(factory):
    one = open_output(BuzzerConfig(pin=18), lambda: None)
    assert isinstance(one, GpioBuzzerOutput)
    one.close()


def test_the_whole_way_from_an_alert_to_the_pin_and_from_the_button_to_silence(factory):
    config = BuzzerConfig(pin=18, button=5, status_led_pin=23, warning="continuous")
    sounder = BuzzerPlayer(config, tells_blind=True)
    sounder.start()
    sounder.blind("cabin", False)
    sounder.show("cabin", [Alert("fatigue", "warning", "eyes_closed", 0.0, "default")])
    assert (factory.pin(18).state, factory.pin(23).state) == (1, 1)
    factory.pin(5).drive_low()
    assert not factory.pin(18).state
    sounder.show("cabin", [Alert("fatigue", "alarm", "eyes_closed", 0.0, "continuous")])
    assert factory.pin(18).state, "the button does not silence an alarm"
    sounder.stop()
    assert all(factory.pin(number).function == "input" for number in (5, 18, 23))
