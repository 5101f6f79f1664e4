"""The buzzer's pins: the doctor reports which process holds them, and the remedy."""

import os

import pytest

from ferd.config import BuzzerConfig, Config
from ferd.diagnostics import board
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import output
from ferd.outputs.buzzer import output as pin

CONFIG = Config(buzzer=BuzzerConfig(pin=18, button=25))


@pytest.fixture
def chip(tmp_path, monkeypatch):
    """A Raspberry Pi whose GPIO chip is a file here."""
    chip = tmp_path / "gpiochip0"
    chip.touch()
    monkeypatch.setattr(pin, "CHIP", chip)
    monkeypatch.setattr(output, "has_pins", lambda: True)

    def refuse(*_arguments):
        raise BuzzerError("GPIO busy")

    monkeypatch.setattr(output, "open_output", refuse)
    return chip


def test_without_a_buzzer_there_is_nothing_to_check():
    (finding,) = board.gpio(Config())
    assert (finding.verdict, finding.found) == ("note", "no buzzer is configured")


def test_pins_of_the_running_ferd_are_fine(chip):
    """The page runs the doctor inside the daemon that drives the pins."""
    with chip.open():
        (finding,) = board.gpio(CONFIG)
    assert finding.verdict == "ok"
    assert finding.found == f"buzzer on GPIO 18, button on GPIO 25, held by this ferd (pid {os.getpid()})"


def test_pins_that_nobody_known_holds_are_an_error(chip):
    (finding,) = board.gpio(CONFIG)
    assert finding.verdict == "error"
    assert "GPIO busy" in finding.found
