"""ferd watch: what this or another ferd publishes, live in the terminal."""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import time
from pathlib import Path

from ferd.config import load_config
from ferd.config.types import NAME_PATTERN

HELP = "show live in the terminal what this or another ferd publishes"
MORE = """
  ferd watch                          the broker of the configuration, every ferd on it
  ferd watch --node hall-pi           one of them
  ferd watch --host 192.0.2.7         another broker
  ferd watch | tee log                without a terminal: one line a message
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", default="+", type=_node, metavar="NAME", help="only this node (default: all)")
    parser.add_argument("--host", help="the broker, instead of the configured one")
    parser.add_argument("--port", type=_port, help="its port")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")


def _node(text: str) -> str:
    if text != "+" and not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("a node's name is 1 to 32 of a-z, 0-9 and hyphen")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def run(args: argparse.Namespace) -> int:
    from rich.live import Live

    from ferd.cli.screen import Screen
    from ferd.publish.listen import listen
    from ferd.publish.target import target_of

    given = {key: value for key, value in (("host", args.host), ("port", args.port)) if value is not None}
    target = target_of(load_config(args.config, os.environ).mqtt.model_copy(update=given))
    topics = [f"ferd/{args.node}/#"]
    stop = threading.Event()
    if not sys.stdout.isatty():
        listen(target, topics, _print_line, lambda line: print(line, file=sys.stderr), stop)
        return 0
    screen = Screen()

    def state(line: str) -> None:
        screen.head = [line]

    with Live(get_renderable=lambda: screen.render(time.monotonic()), refresh_per_second=5, screen=True):
        listen(target, topics, lambda topic, payload: screen.feed(topic, payload, time.monotonic()), state, stop)
    return 0


def _print_line(topic: str, payload: bytes) -> None:
    print(topic, payload.decode(errors="replace"), flush=True)
