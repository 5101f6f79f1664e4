"""`ferd config` prints the default configuration or its schema; `ferd check` validates a file."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ferd.cli.common import Command
from ferd.config import Config, load_config
from ferd.config.exposure import exposed_secrets
from ferd.config.loader import SYSTEM_FILE
from ferd.config.source import redact
from ferd.config.template import default_toml
from ferd.errors import ConfigError
from ferd.fs import exists
from ferd.installation import Installation

CONFIG_DETAILS = """
Examples:
  ferd config default > ferd.toml     a file to start from: every key, its meaning and its default
  ferd config schema                  for editors that complete and check TOML
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
    parser.add_argument("what", choices=["default", "schema"], help="a commented file, or the JSON Schema")


def _run_config(args: argparse.Namespace) -> int:
    if args.what == "default":
        print(default_toml(), end="")
    else:
        print(json.dumps(Config.model_json_schema(), indent=2))
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
        print(f"  camera    {name}: {redact(camera.source)}, {camera.width}x{camera.height} at {camera.fps:g} fps")
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
    "print a commented configuration file, or its JSON Schema",
    CONFIG_DETAILS,
    _add_config_arguments,
    _run_config,
)
CHECK = Command(
    "check",
    "validate a configuration: every error with its line, key and remedy",
    CHECK_DETAILS,
    _add_check_arguments,
    _run_check,
)
