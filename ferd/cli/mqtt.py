"""ferd mqtt: what ferd says over MQTT, and taking it back."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from ferd.cli import broker_arguments
from ferd.config import Config, load_config
from ferd.errors import FerdError

if TYPE_CHECKING:
    from ferd.outputs.home_assistant.entities import Device

HELP = "what ferd says over MQTT (schema), and removing it from the broker (purge)"
MORE = """
  ferd mqtt schema                 every topic and payload as JSON Schema
  ferd mqtt schema --markdown      the same to read: docs/mqtt.md
  ferd mqtt purge                  shows what is retained of this node, asks, and removes it; with its entities in
                                   Home Assistant. For a ferd that is taken out of service: stop it before
  ferd mqtt purge --node hall-pi   what is left of another name, after a rename or of a Pi that is no more
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="schema|purge", required=True)
    schema = what.add_parser("schema", help="every topic and payload as JSON Schema")
    schema.add_argument("--markdown", action="store_true", help="as a page to read")
    schema.set_defaults(do=_schema)
    purge = what.add_parser("purge", help="remove everything retained of a node from the broker")
    purge.add_argument("--node", type=broker_arguments.node, metavar="NAME", help="another name than the configured")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    broker_arguments.add(purge)
    purge.set_defaults(do=_purge)


def run(args: argparse.Namespace) -> int:
    code: int = args.do(args)
    return code


def _schema(args: argparse.Namespace) -> int:
    from ferd.outputs.mqtt.schema import schema
    from ferd.outputs.mqtt.schema_page import page

    print(page() if args.markdown else json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", end="")
    return 0


def _purge(args: argparse.Namespace) -> int:
    from ferd.outputs.home_assistant.discovery import identity
    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.outputs.mqtt.purge import clear, find, known

    config = load_config(args.config, os.environ)
    target = broker_settings(broker_arguments.broker(config.mqtt, args))
    node, prefix = args.node or config.node.name, config.mqtt.discovery_prefix
    own = identity(config.node.id) if node == config.node.name else None
    found = find(target, node, prefix, own)
    topics = found.topics
    if not found.readable:
        topics = tuple(sorted({*topics, *known(_device(config, own), prefix)})) if own else topics
        _warn(
            f"the broker does not let this user read and write ferd/{node}/#, so nobody knows what is there. "
            + ("All that this ferd may have left is removed" if own else "Purge as a user whom its ACL lets")
        )
    if not topics:
        print(f"nothing is known to be retained of {node} at {target.host}:{target.port}")
        return 0 if found.readable else 1
    print(*topics, sep="\n")
    if found.runs:
        _warn(
            f"a ferd named {node} says that it is online. Stop it before (sudo systemctl stop ferd): "
            "it will publish again what it has to say"
        )
    if not args.yes and not _agreed(len(topics), node):
        print("nothing was removed")
        return 1
    clear(target, topics)
    again = find(target, node, prefix, own).topics  # a 3.1.1 broker does not tell what it refuses
    if again:
        why = f"stop the ferd named {node}" if found.runs else "does the broker's ACL let us write them?"
        raise FerdError(f"still there, or there again: {', '.join(again)}: {why}")
    print(f"removed {len(topics)} retained topics of {node}")
    return 0


def _device(config: Config, identity: str) -> Device:
    from ferd.outputs.home_assistant.entities import Device

    alerts = [alert.name for alert in config.alerts]
    return Device(identity, config.node.name, tuple(config.cameras), (), alerts=alerts, fatigue=True, buzzer=True)


def _warn(text: str) -> None:
    print(f"ferd: {text}", file=sys.stderr)


def _agreed(count: int, node: str) -> bool:
    if not sys.stdin.isatty():
        raise FerdError("nobody to ask here: call it with --yes")
    return input(f"Remove these {count} retained topics of {node}? [y/N] ").strip().lower() in ("y", "yes")
