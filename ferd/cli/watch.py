"""ferd watch: what this or another ferd publishes, live in the terminal."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time

from ferd.cli import broker_arguments
from ferd.config import load_config

HELP = "show live in the terminal what this or another ferd publishes"
MORE = """
  ferd watch                          the broker of the configuration, every ferd on it
  ferd watch --node hall-pi           one of them
  ferd watch --host 192.0.2.7         another broker
  ferd watch | tee log                without a terminal: one line a message
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", type=broker_arguments.node, metavar="NAME", help="only this node (default: all)")
    broker_arguments.add(parser)


def run(args: argparse.Namespace) -> int:
    from rich.live import Live

    from ferd.cli.screen import Screen
    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.outputs.mqtt.listen import listen

    target = broker_settings(broker_arguments.broker(load_config(args.config, os.environ).mqtt, args))
    for warning in target.warnings:
        print(f"ferd: {warning}", file=sys.stderr)
    topics = [f"ferd/{args.node or '+'}/#"]
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
