"""ferd doctor: what is wrong here, and what to do about it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.errors import EXIT_CONFIG, EXIT_FAILED, ConfigError

if TYPE_CHECKING:
    from ferd.diagnostics.finding import Finding, Verdict

HELP = "examine camera, models, pins, broker and board: what is wrong, and what to do"
MORE = """
  ferd doctor                  a line for each part: ok, warning or error, and the remedy
  ferd doctor --only broker    one part: software, models, cameras, gpio, broker, board
  ferd doctor --json           a list of {about, verdict, found, remedy}
  sudo ferd doctor             sees other users' processes too: who holds a camera

It runs beside a running ferd and disturbs nothing. Exit code by the worst: 0 fine or warnings, 1 an error, 78 a wrong
configuration.
"""
MARKS = {"ok": "ok", "note": "--", "warning": "!!", "error": "XX"}
STYLES = {"ok": "green", "note": "dim", "warning": "yellow", "error": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--only", action="append", metavar="PART", help="only this part; repeat for more")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")


def run(args: argparse.Namespace) -> int:
    from ferd.config import Config, load_config
    from ferd.diagnostics.examine import EXAMINATIONS, examine
    from ferd.diagnostics.finding import error, ok, worst

    if unknown := [part for part in args.only or [] if part not in EXAMINATIONS]:
        print(f"ferd: doctor knows no part {unknown[0]}; known: {', '.join(EXAMINATIONS)}", file=sys.stderr)
        return 2
    logging.disable(logging.WARNING)  # what is worth knowing comes as a finding
    show = _Printer(as_json=args.json)
    wrong = False
    try:
        config = load_config(args.config, os.environ)
        show(ok("config", str(args.config or "the system's file, or the defaults")))
    except ConfigError as problem:
        wrong, config = True, Config()
        show(error("config", str(problem), "`ferd check` tells more; the rest is examined with the defaults"))
    chosen = {name: look for name, look in EXAMINATIONS.items() if not args.only or name in args.only}
    for finding in examine(config, chosen):
        show(finding)
    show.end()
    if wrong:
        return EXIT_CONFIG
    return EXIT_FAILED if worst(show.shown) == "error" else 0


class _Printer:
    """Shows findings one by one, or all at the end as JSON."""

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
        line.append(f"{finding.about:<14}", style="bold" if finding.verdict == "error" else "")
        line.append(f"\n{'':18}".join(finding.found.splitlines()), style="")
        self._console.print(line)
        if finding.remedy:
            self._console.print(Text(f"{'':18}-> {finding.remedy}", style=STYLES[finding.verdict]))

    def end(self) -> None:
        if self._json:
            print(json.dumps([asdict(finding) for finding in self.shown], indent=2, ensure_ascii=False))
            return
        counts: dict[Verdict, int] = {}
        for finding in self.shown:
            counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
        self._console.print(f"\n{counts.get('error', 0)} errors, {counts.get('warning', 0)} warnings")
