"""`ferd buzzer`: play the patterns, list them, or switch the buzzer off."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping

from ferd.cli.common import Command, add_commands, add_config_option, set_up_logging
from ferd.config import BuzzerConfig, load_config
from ferd.errors import ConfigError
from ferd.outputs.buzzer.output import BuzzerOutput, has_pins, open_output
from ferd.policy.sound_patterns import KINDS, Output, Pattern, draw

DETAILS = """
Examples:
  ferd buzzer test                      play every pattern and print its name
  ferd buzzer test urgent --pin 18      one pattern, on a pin that need not be configured
  ferd buzzer list                      the patterns, and which level plays which
  ferd buzzer off                       switch all pins off; the service does this after a crash

test and off need exclusive use of the pins: stop the daemon first (sudo systemctl stop ferd). Where there are no pins,
test prints what would sound. docs/buzzer.md shows the wiring.
"""

PAUSE_S = 0.8
"""Silence between two patterns of `test`."""
MIN_PLAY_S = 2.0
"""Shorter patterns repeat until this time is over, as a warning would."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(
        parser,
        (
            Command("test", "play the patterns and print their names", "", _add_test_arguments, _test),
            Command("list", "list the patterns, and which level plays which", "", add_config_option, _list),
            Command("off", "switch all pins off", "", add_config_option, _off),
        ),
    )


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", metavar="PATTERN", help="only this one")
    parser.add_argument("--pin", type=int, metavar="N", help="GPIO (BCM) number, instead of the configured one")
    parser.add_argument("--kind", choices=["active", "passive"], help="kind of buzzer, instead of the configured one")
    add_config_option(parser)


def _list(args: argparse.Namespace) -> int:
    config = load_config(args.config, os.environ).buzzer
    for pattern in config.playable.values():
        print(f"{pattern.name:<12} {_players(config, pattern):<16} {draw(pattern)}")
    return 0


def _test(args: argparse.Namespace) -> int:
    config = _with_options(load_config(args.config, os.environ).buzzer, args)
    patterns = _chosen(config.playable, args.pattern)
    set_up_logging()  # where there are no pins, the fake output logs what would sound
    output = open_output(config, lambda: print("the button was pressed"))
    try:
        output.show(Output(watching=True))
        for pattern in patterns:
            print(f"{pattern.name:<12} {_players(config, pattern):<16} {draw(pattern)}", flush=True)
            _play(output, pattern)
            time.sleep(PAUSE_S)
    finally:
        output.close()
    return 0


def _with_options(config: BuzzerConfig, args: argparse.Namespace) -> BuzzerConfig:
    given = {key: value for key in ("pin", "kind") if (value := getattr(args, key)) is not None}
    config = config.changed(**given) if given else config
    if config.pin is None:
        raise ConfigError("no pin is configured: give it as --pin N (the GPIO number) or as pin in [buzzer]")
    return config


def _chosen(patterns: Mapping[str, Pattern], name: str | None) -> list[Pattern]:
    if name is None:
        return list(patterns.values())
    if name not in patterns:
        raise ConfigError(f'no pattern is called "{name}". There are: {", ".join(patterns)}')
    return [patterns[name]]


def _play(output: BuzzerOutput, pattern: Pattern) -> None:
    """Play the pattern once, or for MIN_PLAY_S where it is shorter."""
    length_s = max(pattern.length_s, MIN_PLAY_S)
    start = time.monotonic()
    last = None
    while (elapsed := time.monotonic() - start) < length_s:
        moment = pattern.at(elapsed, period_s=0.0)
        state = Output(moment.on, moment.tone, watching=True, level=moment.on)
        if state != last:
            output.show(state)
            last = state
        time.sleep(min(moment.left_s or 0.0, length_s - elapsed))
    output.show(Output(watching=True))


def _players(config: BuzzerConfig, pattern: Pattern) -> str:
    return ", ".join(kind for kind in KINDS if config.defaults[kind] == pattern.name)


def _off(args: argparse.Namespace) -> int:
    """Succeed where there is nothing to switch off, so that a service without a buzzer does not fail here."""
    from ferd.outputs.buzzer import pin_state

    pins = pin_state.noted()
    if pins is None:
        try:
            pins = load_config(args.config, os.environ).buzzer.outputs
        except ConfigError as error:
            if pin_state.has_folder():
                return 0  # the service ended before it used any pin, and has logged the reason itself
            print(f"ferd: cannot tell which pins to switch off: {error}", file=sys.stderr)
            return error.exit_code
    if not pins:
        return 0
    numbers = ", ".join(str(pin) for pin, _high in pins)
    if not has_pins():
        open_output(BuzzerConfig(pin=pins[0][0]), lambda: None).close()
        print(f"no GPIO here: nothing to switch off (GPIO {numbers})")
        return 0
    from ferd.outputs.buzzer.output import switch_off

    switch_off(pins)
    pin_state.clear()
    print(f"off: GPIO {numbers}")
    return 0


BUZZER = Command("buzzer", "play the buzzer's patterns, list them, or switch it off", DETAILS, _add_arguments)
