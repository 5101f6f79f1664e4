"""`ferd config` prints the default configuration, its schema, or that of a node of a fleet; `ferd check` validates."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from ferd.cli.common import Command, add_commands, no_arguments, node_name
from ferd.config import Config, load_config
from ferd.config.exposure import exposed_secrets
from ferd.config.fleet import load_fleet
from ferd.config.loader import SYSTEM_FILE
from ferd.config.schema.node import host_name
from ferd.config.template import default_toml
from ferd.errors import EXIT_USAGE, ConfigError
from ferd.fs import exists, replace_file
from ferd.installation import Installation
from ferd.redaction import redact_value

CONFIG_DETAILS = """
Examples:
  ferd config default > ferd.toml     a file to start from: every key, its meaning and its default
  ferd config schema                  for editors that complete and check TOML
  ferd config render fleet.toml --node hall-17    the file of one node of a fleet
"""
RENDER_DETAILS = """
A fleet file is a ferd.toml with more sections, for the nodes whose name matches a pattern:
[nodes."hall-*".cameras.desk]. Of the sections that match, each overrides those above it; {node} in a text is replaced
by the name of the node. Secrets do not belong into it: password_file names a file on the node. More in
docs/fleet-provisioning.md.

Examples:
  ferd config render fleet.toml                     for this machine, whose host name is the node's name
  ferd config render fleet.toml --node hall-17      prints the ferd.toml of that node
  ferd config render fleet.toml --node hall-17 --node desk-3 --output rendered
                                                    writes rendered/hall-17.toml and rendered/desk-3.toml
"""
CHECK_DETAILS = """
Validates the file, the environment variables that override it (FERD_SECTION__KEY=value), and that the model, the
detector, the password and the certificates that it names can be loaded: for the service, by the user that the service
runs as. Starts nothing and does not connect to the broker.

Examples:
  ferd check                     the system's file, else the defaults
  ferd check ./my.toml           another file
"""


def _add_config_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(
        parser,
        (
            Command("default", "print a file with every key, its meaning and its default", "", no_arguments, _default),
            Command("schema", "print the JSON Schema of the configuration", "", no_arguments, _schema),
            Command(
                "render",
                "make the file of a node from that of a fleet",
                RENDER_DETAILS,
                _add_render_arguments,
                _render,
            ),
        ),
    )


def _default(_args: argparse.Namespace) -> int:
    print(default_toml(), end="")
    return 0


def _schema(_args: argparse.Namespace) -> int:
    print(json.dumps(Config.model_json_schema(), indent=2))
    return 0


def _add_render_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the fleet file")
    parser.add_argument(
        "--node",
        action="append",
        type=node_name,
        metavar="NAME",
        help="the node, or several (default: the host name of this machine)",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write NAME.toml into this folder for each node")


def _render(args: argparse.Namespace) -> int:
    nodes = args.node or [host_name()]
    if len(nodes) > 1 and args.output is None:
        print("ferd: several nodes need --output DIR, a folder for their files", file=sys.stderr)
        return EXIT_USAGE
    fleet = load_fleet(args.file)
    rendered = {node: fleet.render(node) for node in nodes}  # all of them, before the first file is written
    if args.output is None:
        print(rendered[nodes[0]], end="")
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    for node, text in rendered.items():
        replace_file(args.output / f"{node}.toml", text)
    print(f"{len(rendered)} files in {args.output}")
    return 0


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", nargs="?", type=Path, metavar="file", help=f"the file to check (default: {SYSTEM_FILE})"
    )


def _file_of(args: argparse.Namespace) -> Path | None:
    """The file that is checked; None for the defaults."""
    return args.config or (SYSTEM_FILE if exists(SYSTEM_FILE) else None)


def _run_check(args: argparse.Namespace) -> int:
    from ferd.diagnostics.service_files import unreadable_files
    from ferd.outputs.home_assistant.discovery import identity
    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.vision.loader import Models

    config = load_config(args.config, os.environ)
    installation: Installation = args.installation
    if installation.unit is not None and (problems := list(unreadable_files(config, installation))):
        raise ConfigError("\n".join(problems))
    models = Models(config)
    settings = broker_settings(config.mqtt)
    file = _file_of(args) or "the defaults (there is no file)"
    print(f"{file}: fine")
    print(f"  for       {installation.unit or 'your own ferd'}, whose models and switches are in {installation.state}")
    print(f"  node      {config.node.name}")
    for name, camera in config.cameras.items():
        print(
            f"  camera    {name}: {redact_value(camera.source)}, {camera.width}x{camera.height} at {camera.fps:g} fps"
        )
    print(f"  detector  {models.detector.name}")
    print(f"  model     {models.classifier.bundle.name}: {', '.join(models.classifier.labels)}")
    if config.fatigue.enabled:
        limits = config.fatigue
        print(
            f"  fatigue   eyes closed for {limits.eyes_closed_notice_s:g}, {limits.eyes_closed_warning_s:g} and "
            f"{limits.eyes_closed_alarm_s:g} s: notice, warning, alarm"
        )
    if config.gestures.enabled:
        wake = f", after {config.gestures.wake}" if config.gestures.wake else ""
        print(f"  gestures  {', '.join(config.gestures.use)}{wake}")
    if config.alerts:
        print(f"  alerts    {', '.join(alert.name for alert in config.alerts)}")
    if pins := config.buzzer.pins:
        print(f"  buzzer    {', '.join(f'{key} on GPIO {number}' for key, number in pins.items())}")
    print(f"  broker    {settings}")
    print(f"  identity  {identity(config.node.id)} (in Home Assistant, and in the broker's ACL)")
    for warning in (*settings.warnings, *exposed_secrets(config, _file_of(args))):
        print(f"  warning   {warning}")
    return 0


CONFIG = Command(
    "config",
    "print a commented configuration file, its JSON Schema, or the file of one node of a fleet",
    CONFIG_DETAILS,
    _add_config_arguments,
)
CHECK = Command(
    "check",
    "validate a configuration: every error with its line, key and remedy",
    CHECK_DETAILS,
    _add_check_arguments,
    _run_check,
)
