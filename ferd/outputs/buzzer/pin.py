"""The real pins. The only module that knows gpiozero and lgpio."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer.output import PIN_FACTORY_ENV
from ferd.outputs.buzzer.patterns import Output

FACTORY = "lgpio"
"""The only pin factory that works on every Pi up to the 5; named, so that gpiozero does not fall back silently."""
WORK_ENV = "LG_WD"
CHIP = Path("/dev/gpiochip0")
BOUNCE_S = 0.05
MIDDLE_TONE, OCTAVES = "A5", 3  # 110 to 7040 Hz; lgpio's PWM ends at 10 kHz


class GpioBuzzerOutput:
    """Buzzer, lamps and button of a configuration. A constructor that fails gives back what it had opened.

    `pressed` is called from a thread of the pin library.
    """

    def __init__(self, config: BuzzerConfig, pressed: Callable[[], None]) -> None:
        self._shown = Output()
        self._passive, self._tone = config.kind == "passive", float(config.tone_hz)
        with ExitStack() as opened:
            self._buzzer = _open(opened, config.pin, functools.partial(_buzzer, config))
            self._watching = _open(opened, config.status_led_pin, lambda pin: _gpiozero().LED(pin))
            self._level = _open(opened, config.alert_led_pin, lambda pin: _gpiozero().LED(pin))
            button = _open(opened, config.button, lambda pin: _gpiozero().Button(pin, bounce_time=BOUNCE_S))
            if button is not None:
                button.when_pressed = pressed
            self._opened = opened.pop_all()  # all went well: `close` closes them

    def show(self, output: Output) -> None:
        before, self._shown = self._shown, output
        with _explained():
            if self._buzzer is not None and (output.sound, output.tone) != (before.sound, before.tone):
                self._sound(output)
            if self._watching is not None:
                self._watching.value = output.watching
            if self._level is not None:
                self._level.value = output.level

    def close(self) -> None:
        with _explained():
            self._opened.close()

    def __repr__(self) -> str:
        return f"GpioBuzzerOutput({self._shown})"

    def _sound(self, output: Output) -> None:
        if not self._passive:
            self._buzzer.value = output.sound
        elif output.sound:
            # Named, since gpiozero takes a bare number below 128 for a MIDI note
            self._buzzer.play(_gpiozero().tones.Tone.from_frequency(output.tone or self._tone))
        else:
            self._buzzer.stop()


def switch_off(pins: Iterable[tuple[int, bool]]) -> None:
    """Drives each (pin, active_high) to its silent side and gives it back.

    All are tried; BuzzerError then tells of those that failed.
    """
    failed = []
    for pin, active_high in pins:
        try:
            with _explained(pin):
                _gpiozero().DigitalOutputDevice(pin, active_high=active_high, initial_value=False).close()
        except BuzzerError as error:
            failed.append(str(error))
    if failed:
        raise BuzzerError("; ".join(dict.fromkeys(failed)))


def _open(opened: ExitStack, pin: int | None, device: Callable[[int], Any]) -> Any:
    """The device on `pin`, to be closed with the others; None without a pin."""
    if pin is None:
        return None
    with _explained(pin):
        made = device(pin)
    opened.callback(made.close)
    return made


def _buzzer(config: BuzzerConfig, pin: int) -> Any:
    gpiozero = _gpiozero()
    if config.kind == "active":
        return gpiozero.Buzzer(pin, active_high=config.active_high)
    return gpiozero.TonalBuzzer(pin, mid_tone=gpiozero.tones.Tone(MIDDLE_TONE), octaves=OCTAVES)


@functools.cache
def _gpiozero() -> Any:
    os.environ.setdefault(PIN_FACTORY_ENV, FACTORY)
    with _workplace():
        import gpiozero
        import gpiozero.tones

        gpiozero.Device.ensure_pin_factory()
    return gpiozero


@contextmanager
def _workplace() -> Iterator[None]:
    """A folder for the pipe that lgpio makes when it is imported, and the way back from there.

    Without LG_WD it makes the pipe in the current folder, which a service may not write to (joan2937/lg issue 22);
    with it the whole process is moved to that folder. Once opened, the pipe needs no name any more.
    """
    if WORK_ENV in os.environ:
        folder = None
    else:
        folder = os.environ[WORK_ENV] = tempfile.mkdtemp(prefix="ferd-gpio-")
    here = os.open(".", os.O_PATH)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
        if folder is not None:
            del os.environ[WORK_ENV]
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(pin: int | None = None) -> Iterator[None]:
    """Turns whatever the libraries raise into a BuzzerError. lgpio has one class for all errors, so texts decide."""
    try:
        yield
    except BuzzerError:
        raise
    except Exception as error:
        which = "the buzzer's pins" if pin is None else f"GPIO {pin}"
        raise BuzzerError(f"{which}: {_remedy(error)}") from error


def _remedy(error: Exception) -> str:
    kind, text = type(error).__name__, str(error)
    for sign, remedy in _REMEDIES.items():
        if sign in (kind, text):
            return f"{text or kind}. {remedy}"
    if text == _NO_CHIP:
        return _NOT_PERMITTED if CHIP.exists() and not os.access(CHIP, os.R_OK | os.W_OK) else f"there is no {CHIP}"
    if isinstance(error, ImportError):
        return f"{text}. {_NOT_INSTALLED}"
    return f"{text or kind}. `ferd buzzer test` tries it, docs/buzzer.md shows the wiring"


_NOT_INSTALLED = (
    "Install gpiozero and lgpio: `pip install 'ferd[pi]'`; lgpio has no wheel for Python 3.13 and later, there it "
    "comes with `sudo apt install python3-lgpio`"
)
_IN_USE = (
    "Another program or an overlay in config.txt has it (`gpioinfo` tells which). Stop that (if it is ferd itself: "
    "sudo systemctl stop ferd) or take another pin"
)
_NO_CHIP = "'can not open gpiochip'"  # lgpio's errors print their text in quotes
_NOT_PERMITTED = (
    f"no permission for {CHIP}. `sudo usermod -aG gpio $USER` and log in again; the service needs "
    "systemd/ferd.service.d/gpio.conf"
)
# By the name of the exception's class, or lgpio's text
_REMEDIES = {
    "'GPIO busy'": _IN_USE,
    "GPIOPinInUse": _IN_USE,
    "PinUnknownPi": f"This is no Raspberry Pi; unset {PIN_FACTORY_ENV} to have printed what would sound",
    "BadPinFactory": f"{PIN_FACTORY_ENV} names a pin factory of gpiozero; unset it for {FACTORY}",
    "PinPWMUnsupported": f'This pin factory knows no tones: set kind = "active", or unset {PIN_FACTORY_ENV}',
}
