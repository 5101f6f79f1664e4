"""The board below: heat, power, disk, memory, clock, and how the service is doing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.models.registry import state_dir
from ferd.outputs.health import THROTTLED, read_temperature_c

HOT_C, TOO_HOT_C = 70.0, 80.0
"""A Raspberry Pi slows down from 80 degrees on (raspberrypi.com, frequency management and thermal control)."""
NOW = ((0, "under-voltage"), (1, "frequency capped"), (2, "slowed down"), (3, "soft temperature limit"))
SINCE_BOOT = 16
LEAST_DISK_MB, LEAST_MEMORY_MB = 200, 60
JOURNAL = Path("/var/log/journal")
MEMINFO = Path("/proc/meminfo")
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


def board() -> Iterator[Finding]:
    yield from heat(read_temperature_c())
    yield from power(THROTTLED)
    yield from memory(MEMINFO)
    yield from disk(state_dir())
    yield from clock()
    yield from service()


def heat(celsius: float | None) -> Iterator[Finding]:
    if celsius is None:
        yield note("heat", "this machine does not tell its temperature")
    elif celsius >= TOO_HOT_C:
        yield error("heat", f"{celsius:.0f} degrees", "the board slows down: a heat sink, a fan, out of the sun")
    elif celsius >= HOT_C:
        yield warning("heat", f"{celsius:.0f} degrees", "near the limit of 80: a heat sink, or a lower fps")
    else:
        yield ok("heat", f"{celsius:.0f} degrees")


def power(throttled: Path) -> Iterator[Finding]:
    """The bits of get_throttled: 0 to 3 now, 16 to 19 since boot."""
    try:
        bits = int(throttled.read_text(), 16)
    except (OSError, ValueError):
        return
    now = [words for bit, words in NOW if bits >> bit & 1]
    before = [words for bit, words in NOW if bits >> (bit + SINCE_BOOT) & 1]
    remedy = "a better power supply and a short, thick cable"
    if now:
        yield error("power", f"now: {', '.join(now)}", remedy if bits & 1 else "cool the board")
    elif before:
        yield warning(
            "power", f"since boot: {', '.join(before)}", remedy if bits >> SINCE_BOOT & 1 else "cool the board"
        )
    else:
        yield ok("power", "all is well since boot")


def memory(meminfo: Path) -> Iterator[Finding]:
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(rows["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError, ValueError):
        return
    if free < LEAST_MEMORY_MB:
        yield warning("memory", f"{free} MB free", "ferd needs about 120: end something, or switch to a lighter system")
    else:
        yield ok("memory", f"{free} MB free")


def disk(folder: Path) -> Iterator[Finding]:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < LEAST_DISK_MB:
        yield warning("disk", f"{free} MB free at {folder}", "make room: journalctl --vacuum-size=50M, apt clean")
    else:
        yield ok("disk", f"{free} MB free at {folder}")
    if JOURNAL.is_dir():
        yield note(
            "journal", f"logs are written to the card ({JOURNAL})", "Storage=volatile in journald.conf spares it"
        )


def clock() -> Iterator[Finding]:
    """TLS and "since" need a right clock; a Pi without network starts in the past."""
    answer = _run("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    if SYNCHRONISED.exists() or answer == "yes":
        yield ok("clock", "is synchronised")
    elif answer is None:
        yield note("clock", "nobody here says whether it is right")
    else:
        yield warning(
            "clock", "is not synchronised", "times in messages may be wrong, TLS may fail: is there a network?"
        )


def service() -> Iterator[Finding]:
    """ferd.service, and each process of ferd@ that systemd knows."""
    yield from _unit("service", "ferd")
    listed = _run("systemctl", "list-units", "--all", "--plain", "--no-legend", "ferd@*.service") or ""
    for line in listed.splitlines():
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        if name.startswith("ferd@"):
            yield from _unit(name.removesuffix(".service"), name.removesuffix(".service"))


def _unit(about: str, unit: str) -> Iterator[Finding]:
    answer = _run(
        "systemctl", "show", f"{unit}.service", "-p", "LoadState,ActiveState,SubState,NRestarts,Result,StatusText"
    )
    if answer is None:
        yield note(about, "there is no systemd here")
        return
    facts = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    if facts.get("LoadState") != "loaded":
        yield note(about, f"{unit}.service is not installed", "sudo ./scripts/install")
        return
    state = f"{facts.get('ActiveState')} ({facts.get('SubState')})"
    restarts = int(facts.get("NRestarts") or 0)
    told = facts.get("StatusText") or ""
    if facts.get("ActiveState") == "active":
        line = f"{state}{', ' + told if told else ''}"
        if restarts:
            yield warning(about, f"{line}, restarted {restarts} times", f"journalctl -u {unit} -p warning")
        else:
            yield ok(about, line)
    elif facts.get("Result") in (None, "", "success"):
        yield note(about, f"is {state}", f"sudo systemctl enable --now {unit}")
    else:
        yield error(about, f"{state}, result {facts['Result']}", f"journalctl -u {unit} -n 30")


def _run(*command: str) -> str | None:
    """What a command said; None where it is not there or failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
