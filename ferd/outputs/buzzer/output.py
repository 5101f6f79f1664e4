"""What the buzzer drives: real GPIO pins, or where there are none a stand-in that logs and records.

The only module that imports gpiozero and lgpio.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.extras import how_to_add
from ferd.policy.sound_patterns import Output

log = logging.getLogger(__name__)

RECORD_ENV = "FERD_BUZZER_RECORD"
"""Names a file: no pin is touched, and each change is written there."""
PIN_FACTORY_ENV = "GPIOZERO_PIN_FACTORY"
MODEL = Path("/proc/device-tree/model")
FACTORY = "lgpio"
"""The only pin factory that works on every Pi up to the 5; named, so that gpiozero does not fall back silently."""
WORK_ENV = "LG_WD"
CHIP = Path("/dev/gpiochip0")
BOUNCE_S = 0.05
MIDDLE_TONE, OCTAVES = "A5", 3  # 110 to 7040 Hz; lgpio's PWM ends at 10 kHz
KEPT = 10_000
"""How many of the latest changes FakeBuzzerOutput keeps."""

What = Literal["sound", "watching", "level"]
KEYS: Mapping[What, str] = {"sound": "pin", "watching": "status_led_pin", "level": "alert_led_pin"}


class BuzzerOutput(Protocol):
    """The pins of one buzzer, opened and silent. `show` and `close` raise BuzzerError."""

    def show(self, output: Output) -> None:
        """Set the pins. Called with changes only, by one thread at a time."""

    def close(self) -> None:
        """Turn everything off and release the pins."""


def open_output(config: BuzzerConfig, pressed: Callable[[], None]) -> BuzzerOutput:
    """Open the output of this machine.

    Args:
        pressed: called from another thread when the button is pressed.

    Raises:
        BuzzerError: with the remedy; nothing stays open then.
    """
    if has_pins():
        return GpioBuzzerOutput(config, pressed)
    record = os.environ.get(RECORD_ENV)
    if not record:
        log.warning("buzzer: this is not a Raspberry Pi, so sounds are only logged")
    try:
        return FakeBuzzerOutput(config, echo=log.debug if record else log.info, record=Path(record) if record else None)
    except OSError as error:
        raise BuzzerError(f"{RECORD_ENV}: {error}") from error


def has_pins(model: Path = MODEL) -> bool:
    """Whether to drive pins: on a Raspberry Pi, or where a pin factory of gpiozero is named."""
    if RECORD_ENV in os.environ:
        return False
    if PIN_FACTORY_ENV in os.environ:
        return True
    try:
        return "Raspberry Pi" in model.read_text(errors="replace")
    except OSError:
        return False


class Edge(NamedTuple):
    """A change of one output at ``t`` (seconds of ``clock``). ``tone``: in Hz, None for the usual one."""

    t: float
    what: What
    on: bool
    tone: float | None = None

    def __str__(self) -> str:
        tone = f" {self.tone:.0f} Hz" if self.tone else ""
        return f"{self.what} {'on' if self.on else 'off'}{tone}"


class FakeBuzzerOutput:
    """A buzzer without pins that records what would sound: for PCs, and for tests of the real process.

    It has the outputs that the configuration names.

    Attributes:
        edges: the latest KEPT changes.

    Args:
        record: gets each change as a line (seconds, what, state).
        echo: called with each change as text.
        clock: monotonic by default, so that records of several processes can be compared.
    """

    def __init__(
        self,
        config: BuzzerConfig,
        *,
        echo: Callable[[str], object] | None = None,
        record: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.edges: deque[Edge] = deque(maxlen=KEPT)
        self._has = [what for what, key in KEYS.items() if key in config.pins]
        self._echo, self._clock = echo, clock
        self._shown = Output()
        # Line buffered, so that nothing is lost when the process is killed.
        self._record = record.open("a", buffering=1, encoding="utf-8") if record else None

    def show(self, output: Output) -> None:
        before, self._shown = self._shown, output
        if (output.sound, output.tone) != (before.sound, before.tone):
            self._note("sound", output.sound, output.tone)
        if output.watching != before.watching:
            self._note("watching", output.watching)
        if output.level != before.level:
            self._note("level", output.level)

    def close(self) -> None:
        self.show(Output())
        self._note("sound", False)  # once more, as a pin would be driven once more
        if self._record:
            self._record.close()
            self._record = None

    def __repr__(self) -> str:
        return f"FakeBuzzerOutput({self._shown})"

    def _note(self, what: What, on: bool, tone: float | None = None) -> None:
        if what not in self._has:
            return
        edge = Edge(self._clock(), what, on, tone)
        self.edges.append(edge)
        if self._record:
            self._record.write(f"{edge.t:.6f} {edge}\n")
        if self._echo:
            self._echo(f"buzzer: {edge}")


class GpioBuzzerOutput:
    """Buzzer, LEDs and button of a configuration. A constructor that fails closes what it had opened.

    `pressed` is called from a thread of the pin library.
    """

    def __init__(self, config: BuzzerConfig, pressed: Callable[[], None]) -> None:
        self._shown = Output()
        self._passive, self._tone = config.kind == "passive", float(config.tone_hz)
        with ExitStack() as opened:
            self._buzzer = _open(opened, config.pin, functools.partial(_buzzer, config))
            self._status_led = _open(opened, config.status_led_pin, lambda pin: _gpiozero().LED(pin))
            self._alert_led = _open(opened, config.alert_led_pin, lambda pin: _gpiozero().LED(pin))
            button = _open(opened, config.button, lambda pin: _gpiozero().Button(pin, bounce_time=BOUNCE_S))
            if button is not None:
                button.when_pressed = pressed
            self._opened = opened.pop_all()  # from here on `close` closes them

    def show(self, output: Output) -> None:
        before, self._shown = self._shown, output
        with _with_remedy():
            if self._buzzer is not None and (output.sound, output.tone) != (before.sound, before.tone):
                self._sound(output)
            if self._status_led is not None:
                self._status_led.value = output.watching
            if self._alert_led is not None:
                self._alert_led.value = output.level

    def close(self) -> None:
        with _with_remedy():
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
    """Drive each (pin, active_high) to its silent side and release it.

    Raises:
        BuzzerError: names those that failed, after all were tried.
    """
    failed = []
    for pin, active_high in pins:
        try:
            with _with_remedy(pin):
                _gpiozero().DigitalOutputDevice(pin, active_high=active_high, initial_value=False).close()
        except BuzzerError as error:
            failed.append(str(error))
    if failed:
        raise BuzzerError("; ".join(dict.fromkeys(failed)))


def _open(opened: ExitStack, pin: int | None, device: Callable[[int], Any]) -> Any:
    """Return the device on `pin`, to be closed with the others; None without a pin."""
    if pin is None:
        return None
    with _with_remedy(pin):
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
    with _work_folder():
        import gpiozero
        import gpiozero.tones

        gpiozero.Device.ensure_pin_factory()
    return gpiozero


@contextmanager
def _work_folder() -> Iterator[None]:
    """Give lgpio a folder for the pipe that it creates when it is imported, and restore the current folder.

    Without LG_WD it creates the pipe in the current folder, where a service may not write (joan2937/lg issue 22);
    with it lgpio changes the current folder of the whole process. Once opened, the pipe needs no name.
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
def _with_remedy(pin: int | None = None) -> Iterator[None]:
    """Turn any error of the libraries into a BuzzerError with a remedy. lgpio has one class for all: texts decide."""
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
        return (
            f"{text}. Install gpiozero and lgpio: `{how_to_add('pi')}`; lgpio has no wheel for Python 3.13 and later, "
            "there it comes with `sudo apt install python3-lgpio`"
        )
    return f"{text or kind}. `ferd buzzer test` tries it, docs/buzzer.md shows the wiring"


_IN_USE = (
    "Another program or an overlay in config.txt uses it (`gpioinfo` shows which). Stop that (if it is ferd itself: "
    "sudo systemctl stop ferd) or use another pin"
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
    "PinUnknownPi": f"This is no Raspberry Pi; unset {PIN_FACTORY_ENV} to have sounds logged only",
    "BadPinFactory": f"{PIN_FACTORY_ENV} names a pin factory of gpiozero; unset it for {FACTORY}",
    "PinPWMUnsupported": f'This pin factory has no tones: set kind = "active", or unset {PIN_FACTORY_ENV}',
}
