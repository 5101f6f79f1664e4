"""What the doctor finds: one line each, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "warning", "error"]
WORST_FIRST: tuple[Verdict, ...] = ("error", "warning", "note", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: the part, such as "camera desk". `found`: what was seen. `remedy`: what to do, None where all is well.

    "note": nothing is wrong, something is not there or could not be looked at.
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
    """Without a remedy where `found` is an error of ferd's own, which names it."""
    return Finding(about, "error", found, remedy)


def worst(findings: Iterable[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in WORST_FIRST if verdict in verdicts), "ok")
