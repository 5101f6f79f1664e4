"""What the sounder drives: the real pins, or where there are none a stand-in that prints and records."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer.patterns import Output

log = logging.getLogger(__name__)

RECORD_ENV = "FERD_BUZZER_RECORD"
"""Names a file: no pin is touched, and each change is written there."""
PIN_FACTORY_ENV = "GPIOZERO_PIN_FACTORY"
MODEL = Path("/proc/device-tree/model")


class BuzzerOutput(Protocol):
    """The pins of one buzzer, opened and silent. `show` and `close` raise BuzzerError."""

    def show(self, output: Output) -> None:
        """Makes the pins so; called with changes only, from one thread."""

    def close(self) -> None:
        """Everything off, the pins given back."""


def open_output(config: BuzzerConfig, pressed: Callable[[], None]) -> BuzzerOutput:
    """The panel of this machine. `pressed`: called from another thread when the button is pressed.

    Raises BuzzerError that names the remedy; nothing stays open then.
    """
    if has_pins():
        from ferd.outputs.buzzer.pin import GpioBuzzerOutput

        return GpioBuzzerOutput(config, pressed)
    from ferd.outputs.buzzer.fake import FakeBuzzerOutput

    record = os.environ.get(RECORD_ENV)
    if not record:
        log.warning("buzzer: this is no Raspberry Pi, so it is only written here what would sound")
    try:
        return FakeBuzzerOutput(config, echo=log.debug if record else log.info, record=Path(record) if record else None)
    except OSError as error:
        raise BuzzerError(f"{RECORD_ENV}: {error}") from error


def has_pins(model: Path = MODEL) -> bool:
    """Whether pins are to be driven: on a Raspberry Pi, or where somebody names a pin factory of gpiozero."""
    if RECORD_ENV in os.environ:
        return False
    if PIN_FACTORY_ENV in os.environ:
        return True
    try:
        return "Raspberry Pi" in model.read_text(errors="replace")
    except OSError:
        return False
