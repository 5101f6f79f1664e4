"""`ferd watch`: show live in the terminal what a ferd publishes."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time

from ferd.cli.common import Command, add_broker_options, broker_with_options, node_name
from ferd.config import load_config

DETAILS = """
Examples:
  ferd watch                      every ferd on the configured broker
  ferd watch --node hall-pi       one of them
  ferd watch --host 192.0.2.7     another broker
  ferd watch | tee log            without a terminal: one line for each message
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", type=node_name, metavar="NAME", help="only this node (default: all)")
    add_broker_options(parser)


def _run(args: argparse.Namespace) -> int:
    from rich.live import Live

    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.outputs.mqtt.listen import listen
    from ferd.outputs.terminal import Screen

    settings = broker_settings(broker_with_options(load_config(args.config, os.environ).mqtt, args))
    for warning in settings.warnings:
        print(f"ferd: {warning}", file=sys.stderr)
    topics = [f"ferd/{args.node or '+'}/#"]
    stop = threading.Event()
    if not sys.stdout.isatty():
        listen(settings, topics, _print_message, lambda line: print(line, file=sys.stderr), stop)
        return 0
    screen = Screen()

    def show_connection(line: str) -> None:
        screen.head = [line]

    def show_message(topic: str, payload: bytes) -> None:
        screen.feed(topic, payload, time.monotonic())

    with Live(get_renderable=lambda: screen.render(time.monotonic()), refresh_per_second=5, screen=True):
        listen(settings, topics, show_message, show_connection, stop)
    return 0


def _print_message(topic: str, payload: bytes) -> None:
    from ferd.topics import printable

    print(topic, printable(topic, payload), flush=True)


WATCH = Command("watch", "show live in the terminal what this or another ferd publishes", DETAILS, _add_arguments, _run)
