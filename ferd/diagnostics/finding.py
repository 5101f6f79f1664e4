"""What a check of the doctor reports: one line with its remedy; and the command runner that checks share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "warning", "error"]
WORST_FIRST: tuple[Verdict, ...] = ("error", "warning", "note", "ok")
COMMAND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One result.

    ``about``: the part, such as "camera desk". ``found``: what the check saw. ``remedy``: what to do; None where
    nothing is to be done. The verdict "note" means: nothing is wrong, but something is absent or was not checked.
    """

    about: str
    verdict: Verdict
    found: str
    remedy: str | None = None


def ok(about: str, found: str) -> Finding:
    return Finding(about, "ok", found)


def note(about: str, found: str, remedy: str | None = None) -> Finding:
    return Finding(about, "note", found, remedy)


def warning(about: str, found: str, remedy: str) -> Finding:
    return Finding(about, "warning", found, remedy)


def error(about: str, found: str, remedy: str | None = None) -> Finding:
    """Make an error. Leave out the remedy where `found` is the message of a FerdError, which contains it."""
    return Finding(about, "error", found, remedy)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the worst verdict; "ok" where there are no findings."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in WORST_FIRST if verdict in verdicts), "ok")


def command_output(*command: str) -> str | None:
    """Run a command and return its output; None where it is missing, fails or takes longer than COMMAND_TIMEOUT_S."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
