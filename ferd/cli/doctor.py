"""`ferd doctor` checks this machine and ferd's configuration; `ferd cameras` lists what can be opened here."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from ferd.cli.common import Command, add_config_option, add_json_option
from ferd.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_USAGE, ConfigError
from ferd.extras import Environment

if TYPE_CHECKING:
    from ferd.diagnostics.finding import Finding
    from ferd.installation import Installation

DOCTOR_DETAILS = """
Examples:
  ferd doctor                  a line for each part: ok, warning or error, and the remedy
  ferd doctor --only broker    one part: software, models, cameras, gpio, broker, board
  ferd doctor --json           a list of {about, verdict, found, remedy}
  sudo ferd doctor             also sees which process of another user holds a camera

It can run beside a running ferd and does not disturb it. The exit code follows from the worst finding: 0 without
errors, 1 with an error, 78 with an invalid configuration.
"""
CAMERAS_DETAILS = """
The first column is the value for the configuration:

  [cameras.desk]
  source = "/dev/v4l/by-id/usb-…"

No camera is opened, so a running ferd is not disturbed. Exit code 1 if there is no usable camera.
"""
MARKS = {"ok": "ok", "note": "--", "warning": "!!", "error": "XX"}
STYLES = {"ok": "green", "note": "dim", "warning": "yellow", "error": "bold red"}


def _add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    add_json_option(parser)
    parser.add_argument("--only", action="append", metavar="PART", help="only this part; repeat it for more")
    add_config_option(parser)


def _run_doctor(args: argparse.Namespace) -> int:
    from ferd.config import Config, load_config
    from ferd.diagnostics.examine import CHECKS, examine
    from ferd.diagnostics.finding import error, ok, worst
    from ferd.diagnostics.service_files import unreadable_files

    if unknown := [part for part in args.only or [] if part not in CHECKS]:
        print(f"ferd: doctor knows no part {unknown[0]}; known: {', '.join(CHECKS)}", file=sys.stderr)
        return EXIT_USAGE
    installation: Installation = args.installation
    logging.disable(logging.WARNING)  # what matters is reported as a finding
    show = FindingPrinter(as_json=args.json)
    invalid = False
    try:
        config = load_config(args.config, os.environ)
        show(ok("config", str(installation)))
        for problem in unreadable_files(config, installation) if installation.unit is not None else ():
            show(error("config", problem))
    except ConfigError as problem:
        invalid, config = True, Config()
        show(error("config", str(problem), "`ferd check` says more; the other checks use the defaults"))
    chosen = {name: check for name, check in CHECKS.items() if not args.only or name in args.only}
    for finding in examine(config, chosen):
        show(finding)
    show.end()
    if invalid:
        return EXIT_CONFIG
    return EXIT_FAILED if worst(show.shown) == "error" else 0


class FindingPrinter:
    """Print findings one by one, or all at the end as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        from rich.console import Console

        self.shown: list[Finding] = []
        self._json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def __call__(self, finding: Finding) -> None:
        from rich.text import Text

        self.shown.append(finding)
        if self._json:
            return
        line = Text(f"{MARKS[finding.verdict]}  ", style=STYLES[finding.verdict])
        line.append(f"{finding.about:<13} ", style="bold" if finding.verdict == "error" else "")
        line.append(f"\n{'':18}".join(finding.found.splitlines()), style="")
        self._console.print(line)
        if finding.remedy:
            self._console.print(Text(f"{'':18}-> {finding.remedy}", style=STYLES[finding.verdict]))

    def end(self) -> None:
        if self._json:
            print(json.dumps([asdict(finding) for finding in self.shown], indent=2, ensure_ascii=False))
            return
        counts = Counter(finding.verdict for finding in self.shown)
        self._console.print(f"\n{counts['error']} errors, {counts['warning']} warnings")


def _run_cameras(args: argparse.Namespace) -> int:
    from ferd.sources.discovery import find_cameras

    found = find_cameras()
    if args.json:
        print(json.dumps([asdict(camera) for camera in found], indent=2, default=str, ensure_ascii=False))
    elif not found:
        print(f"no camera found. {Environment.here().add_camera}")
        print("Without a camera: `ferd run --source demo`, a video file, or an address (rtsp://…, http://…)")
    for camera in [] if args.json else found:
        print(f"{camera.source}\n    {camera.name}: {camera.reason or 'can be opened'}")
    return 0 if any(camera.usable for camera in found) else EXIT_FAILED


DOCTOR = Command(
    "doctor",
    "check camera, models, pins, broker and board: what is wrong, and what to do",
    DOCTOR_DETAILS,
    _add_doctor_arguments,
    _run_doctor,
)
CAMERAS = Command(
    "cameras",
    "list the cameras that can be opened here, and why the others cannot",
    CAMERAS_DETAILS,
    add_json_option,
    _run_cameras,
)
