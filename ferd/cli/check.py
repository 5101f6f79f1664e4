"""ferd check: validates a configuration file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ferd.config import load_config
from ferd.config.loader import SYSTEM_FILE
from ferd.config.source import redact
from ferd.fs import exists

HELP = "validate a configuration: every error with its line, key and remedy"
MORE = """
Checks the file, what the environment overrides (FERD_SECTION__KEY=value), and that the model, the detector, the
password and the certificates which it names can be loaded. Nothing is started, no broker is asked.

  ferd check                     the system's file, else the defaults
  ferd check ./my.toml           another file
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, help=f"the file to check (default: {SYSTEM_FILE})")


def run(args: argparse.Namespace) -> int:
    from ferd.outputs.home_assistant.discovery import identity
    from ferd.outputs.mqtt.broker_settings import broker_settings
    from ferd.vision.pipeline import Models

    config = load_config(args.file, os.environ)
    parts = Models(config)
    target = broker_settings(config.mqtt)
    file = args.file or (SYSTEM_FILE if exists(SYSTEM_FILE) else "the defaults (there is no file)")
    print(f"{file}: fine")
    print(f"  node      {config.node.name}")
    for name, camera in config.cameras.items():
        print(f"  camera    {name}: {redact(camera.source)}, {camera.width}x{camera.height} at {camera.fps:g} fps")
    print(f"  detector  {parts.detector.name}")
    print(f"  model     {parts.classifier.bundle.name}: {', '.join(parts.classifier.labels)}")
    if config.fatigue.enabled:
        limits = config.fatigue
        seconds = (
            f"{limits.eyes_closed_notice_s:g}, {limits.eyes_closed_warning_s:g} and {limits.eyes_closed_alarm_s:g} s"
        )
        print(f"  fatigue   eyes shut for {seconds}: notice, warning, alarm")
    if config.alerts:
        print(f"  alerts    {', '.join(alert.name for alert in config.alerts)}")
    if pins := config.buzzer.pins:
        print(f"  buzzer    {', '.join(f'{key} on GPIO {number}' for key, number in pins.items())}")
    print(f"  broker    {target}")
    print(f"  identity  {identity(config.node.id)} (in Home Assistant, and in the broker's ACL)")
    for warning in target.warnings:
        print(f"  warning   {warning}")
    return 0
