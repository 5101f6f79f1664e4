"""ferd buzzer: play the patterns, list them, switch it off."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ferd.config import BuzzerConfig, load_config
from ferd.errors import ConfigError
from ferd.outputs.buzzer.output import BuzzerOutput, has_pins, open_output
from ferd.outputs.buzzer.patterns import KINDS, Output, Pattern, draw

HELP = "play the buzzer's patterns, list them, or switch it off"
MORE = """
  ferd buzzer test                      plays every pattern, and says which
  ferd buzzer test urgent --pin 18      one pattern, on a pin that no configuration names yet
  ferd buzzer list                      the patterns, and which level plays which
  ferd buzzer off                       drives the pins to silence; the service does it after a crash

test and off need the pins for themselves: stop the daemon first (sudo systemctl stop ferd). Where there are no pins,
test prints what would sound. docs/buzzer.md shows the wiring.
"""

PAUSE_S = 0.8
ROUNDS_S = 2.0
"""Patterns shorter than this are repeated for so long, as a warning would be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="test|list|off", required=True)
    test = actions.add_parser("test", help="play the patterns and say which")
    test.add_argument("pattern", nargs="?", metavar="PATTERN", help="only this one")
    test.add_argument("--pin", type=int, metavar="N", help="GPIO (BCM) number instead of the configured one")
    test.add_argument("--kind", choices=["active", "passive"], help="instead of the configured one")
    everything = [test, actions.add_parser("list", help="the patterns, and which level plays which")]
    everything.append(actions.add_parser("off", help="drive the pins to silence"))
    for action in everything:
        action.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")


def run(args: argparse.Namespace) -> int:
    action = {"test": _test, "list": _list, "off": _off}[args.action]
    return action(args)


def _list(args: argparse.Namespace) -> int:
    config = load_config(args.config, os.environ).buzzer
    for pattern in config.playable.values():
        print(f"{pattern.name:<12} {_players(config, pattern):<16} {draw(pattern)}")
    return 0


def _test(args: argparse.Namespace) -> int:
    from ferd.cli import logs

    config = _with_options(load_config(args.config, os.environ).buzzer, args)
    patterns = _chosen(config.playable, args.pattern)
    logs.set_up()  # where there are no pins, what would sound is told here
    panel = open_output(config, lambda: print("the button was pressed"))
    try:
        panel.show(Output(watching=True))
        for pattern in patterns:
            print(f"{pattern.name:<12} {_players(config, pattern):<16} {draw(pattern)}", flush=True)
            _play(panel, pattern)
            time.sleep(PAUSE_S)
    finally:
        panel.close()
    return 0


def _with_options(config: BuzzerConfig, args: argparse.Namespace) -> BuzzerConfig:
    given = {key: value for key in ("pin", "kind") if (value := getattr(args, key)) is not None}
    config = config.changed(**given) if given else config
    if config.pin is None:
        raise ConfigError("no pin is configured: name it with --pin N (the GPIO number) or as pin in [buzzer]")
    return config


def _chosen(patterns: Mapping[str, Pattern], name: str | None) -> list[Pattern]:
    if name is None:
        return list(patterns.values())
    if name not in patterns:
        raise ConfigError(f'no pattern is called "{name}". There are: {", ".join(patterns)}')
    return [patterns[name]]


def _play(panel: BuzzerOutput, pattern: Pattern) -> None:
    """The pattern once, or for ROUNDS_S where it is shorter."""
    length_s = max(pattern.length_s, ROUNDS_S)
    began = time.monotonic()
    shown = None
    while (elapsed := time.monotonic() - began) < length_s:
        moment = pattern.at(elapsed, period_s=0.0)
        output = Output(moment.on, moment.tone, watching=True, level=moment.on)
        if output != shown:
            panel.show(output)
            shown = output
        time.sleep(min(moment.left_s or 0.0, length_s - elapsed))
    panel.show(Output(watching=True))


def _players(config: BuzzerConfig, pattern: Pattern) -> str:
    return ", ".join(kind for kind in KINDS if config.defaults[kind] == pattern.name)


def _off(args: argparse.Namespace) -> int:
    """Fine where there is nothing to switch off, so that a service without a buzzer does not fail by it."""
    from ferd.outputs.buzzer import pin_state as claims

    pins = claims.noted()
    if pins is None:
        try:
            pins = load_config(args.config, os.environ).buzzer.outputs
        except ConfigError as error:
            if claims.has_folder():
                return 0  # the service ended before it drove any pin: what is wrong was told by itself
            print(f"ferd: which pins to switch off is not known: {error}", file=sys.stderr)
            return error.exit_code
    if not pins:
        return 0
    numbers = ", ".join(str(pin) for pin, _high in pins)
    if not has_pins():
        open_output(BuzzerConfig(pin=pins[0][0]), lambda: None).close()
        print(f"no GPIO here: nothing to switch off (GPIO {numbers})")
        return 0
    from ferd.outputs.buzzer.pin import switch_off

    switch_off(pins)
    claims.clear()
    print(f"off: GPIO {numbers}")
    return 0
