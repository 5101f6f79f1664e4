"""`ferd mqtt`: print the schema of topics and payloads, or remove the retained topics of a node."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from ferd.cli.common import (
    Command,
    add_broker_options,
    add_commands,
    broker_with_options,
    confirmed,
    node_name,
)
from ferd.config import Config, load_config
from ferd.errors import EXIT_FAILED, FerdError

if TYPE_CHECKING:
    from ferd.outputs.home_assistant.entities import Device

DETAILS = """
Examples:
  ferd mqtt schema                 every topic and payload as JSON Schema
  ferd mqtt schema --markdown      the same as a document: docs/mqtt.md
  ferd mqtt purge                  list what is retained of this node, ask, and remove it, with its entities in Home
                                   Assistant. For a ferd that is taken out of service: stop it first
  ferd mqtt purge --node hall-pi   what another name left behind, after a rename or from a Pi that is gone
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(
        parser,
        (
            Command("schema", "print every topic and payload as JSON Schema", "", _add_schema_arguments, _schema),
            Command(
                "purge",
                "remove all retained topics of a node from the broker",
                "",
                _add_purge_arguments,
                _purge,
                "reads",
            ),
        ),
    )


def _add_schema_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as a document for people")


def _add_purge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", type=node_name, metavar="NAME", help="another name than the configured one")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    add_broker_options(parser)


def _schema(args: argparse.Namespace) -> int:
    from ferd.outputs.mqtt.schema import markdown, schema

    print(markdown() if args.markdown else json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", end="")
    return 0


def _purge(args: argparse.Namespace) -> int:
    from ferd.outputs.home_assistant.discovery import identity
    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.outputs.mqtt.purge import clear, find, known

    config = load_config(args.config, os.environ)
    settings = broker_settings(broker_with_options(config.mqtt, args))
    node, prefix = args.node or config.node.name, config.mqtt.discovery_prefix
    own = identity(config.node.id) if node == config.node.name else None
    found = find(settings, node, prefix, own)
    topics = found.topics
    if not found.readable:
        topics = tuple(sorted({*topics, *known(_device(config, own), prefix)})) if own else topics
        _warn(
            f"the broker does not let this user read and write ferd/{node}/#, so the retained topics are unknown. "
            + ("All topics that this ferd can have retained are removed" if own else "Purge as a user with access")
        )
    if not topics:
        print(f"nothing is known to be retained of {node} at {settings.address}")
        return 0 if found.readable else EXIT_FAILED
    print(*topics, sep="\n")
    if found.runs:
        _warn(
            f"a ferd named {node} says that it is online. Stop it before (sudo systemctl stop ferd): "
            "it would publish again"
        )
    if not args.yes and not confirmed(f"Remove these {len(topics)} retained topics of {node}?"):
        print("nothing was removed")
        return EXIT_FAILED
    clear(settings, topics)
    remaining = find(settings, node, prefix, own).topics  # a 3.1.1 broker does not report what it refuses
    if remaining:
        why = f"stop the ferd named {node}" if found.runs else "does the broker's ACL allow writing them?"
        raise FerdError(f"still there, or there again: {', '.join(remaining)}: {why}")
    print(f"removed {len(topics)} retained topics of {node}")
    return 0


def _device(config: Config, identity: str) -> Device:
    from ferd.outputs.home_assistant.entities import Device

    alerts = [alert.name for alert in config.alerts]
    return Device(identity, config.node.name, tuple(config.cameras), (), alerts=alerts, fatigue=True, buzzer=True)


def _warn(text: str) -> None:
    print(f"ferd: {text}", file=sys.stderr)


MQTT = Command(
    "mqtt", "print the schema of topics and payloads, or purge a node from the broker", DETAILS, _add_arguments
)
