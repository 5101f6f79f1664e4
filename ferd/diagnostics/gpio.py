"""The buzzer's pins, where any are configured: is there GPIO, may we, and is somebody else on them."""

from __future__ import annotations

from collections.abc import Iterator

from ferd.config import Config
from ferd.diagnostics.finding import Finding, error, note, ok
from ferd.diagnostics.holders import holders
from ferd.errors import BuzzerError


def gpio(config: Config) -> Iterator[Finding]:
    from ferd.outputs.buzzer.output import has_pins, open_output
    from ferd.outputs.buzzer.pin import CHIP, FACTORY

    pins = {
        "buzzer": config.buzzer.pin,
        "button": config.buzzer.button,
        "lamp": config.buzzer.status_led_pin,
        "level lamp": config.buzzer.alert_led_pin,
    }
    used = ", ".join(f"{name} on GPIO {pin}" for name, pin in pins.items() if pin is not None)
    if not used:
        yield note("gpio", "no buzzer is configured", "[buzzer] pin = 18, see docs/buzzer.md")
        return
    if not has_pins():
        yield note("gpio", f"{used}, but this is no Raspberry Pi: it would only be written what sounds")
        return
    if held := [holder for holder in holders(CHIP) if holder.is_ferd]:
        yield ok("gpio", f"{used}, in use by {held[0]}")
        return
    try:
        open_output(config.buzzer, lambda: None).close()
    except BuzzerError as problem:
        others = ", ".join(str(holder) for holder in holders(CHIP))
        yield error("gpio", f"{used}, by {FACTORY}: {problem}{f'. {CHIP} is open in {others}' if others else ''}")
        return
    yield ok("gpio", f"{used}, by {FACTORY}; `ferd buzzer test` plays it")
