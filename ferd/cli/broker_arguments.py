"""Which broker and which node: arguments that several commands share."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ferd.config import MqttConfig
from ferd.config.models import NAME_PATTERN


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="the broker, instead of the configured one")
    parser.add_argument("--port", type=_port, help="its port")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")


def broker(config: MqttConfig, args: argparse.Namespace) -> MqttConfig:
    """The configured broker with what was given on the command line."""
    given = {key: value for key, value in (("host", args.host), ("port", args.port)) if value is not None}
    return config.model_copy(update=given)


def node(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("a node's name is 1 to 32 of a-z, 0-9 and hyphen")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)
