"""Check the machine: heat, power, disk, memory, clock, the service, and the pins of the buzzer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from ferd.config import Config
from ferd.diagnostics.finding import Finding, command_output, error, note, ok, warning
from ferd.diagnostics.holders import holders
from ferd.errors import BuzzerError
from ferd.fs import state_dir
from ferd.outputs.health import THROTTLED, read_temperature_c

HOT_C, TOO_HOT_C = 70.0, 80.0
"""A Raspberry Pi throttles from 80 degrees on (raspberrypi.com, frequency management and thermal control)."""
THROTTLE_BITS = ((0, "under-voltage"), (1, "frequency capped"), (2, "throttled"), (3, "soft temperature limit"))
SINCE_BOOT = 16
MIN_DISK_MB, MIN_MEMORY_MB = 200, 60
JOURNAL = Path("/var/log/journal")
MEMINFO = Path("/proc/meminfo")
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


def board() -> Iterator[Finding]:
    """Check everything but the pins."""
    yield from heat(read_temperature_c())
    yield from power(THROTTLED)
    yield from memory(MEMINFO)
    yield from disk(state_dir())
    yield from clock()
    yield from service()


def heat(celsius: float | None) -> Iterator[Finding]:
    if celsius is None:
        yield note("heat", "this machine does not report its temperature")
    elif celsius >= TOO_HOT_C:
        yield error(
            "heat", f"{celsius:.0f} degrees", "the board throttles: add a heat sink or a fan, keep it out of the sun"
        )
    elif celsius >= HOT_C:
        yield warning("heat", f"{celsius:.0f} degrees", "near the limit of 80: add a heat sink, or lower the fps")
    else:
        yield ok("heat", f"{celsius:.0f} degrees")


def power(throttled: Path) -> Iterator[Finding]:
    """Read the bits of get_throttled: 0 to 3 now, 16 to 19 since boot."""
    try:
        bits = int(throttled.read_text(), 16)
    except (OSError, ValueError):
        return
    now = [words for bit, words in THROTTLE_BITS if bits >> bit & 1]
    before = [words for bit, words in THROTTLE_BITS if bits >> (bit + SINCE_BOOT) & 1]
    remedy = "use a better power supply and a short, thick cable"
    if now:
        yield error("power", f"now: {', '.join(now)}", remedy if bits & 1 else "cool the board")
    elif before:
        yield warning(
            "power", f"since boot: {', '.join(before)}", remedy if bits >> SINCE_BOOT & 1 else "cool the board"
        )
    else:
        yield ok("power", "no problem since boot")


def memory(meminfo: Path) -> Iterator[Finding]:
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(rows["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError, ValueError):
        return
    if free < MIN_MEMORY_MB:
        yield warning(
            "memory", f"{free} MB free", "ferd needs about 120 MB: end other programs, or use a lighter system"
        )
    else:
        yield ok("memory", f"{free} MB free")


def disk(folder: Path) -> Iterator[Finding]:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < MIN_DISK_MB:
        yield warning("disk", f"{free} MB free at {folder}", "make room: journalctl --vacuum-size=50M, apt clean")
    else:
        yield ok("disk", f"{free} MB free at {folder}")
    if JOURNAL.is_dir():
        yield note(
            "journal", f"logs are written to the card ({JOURNAL})", "Storage=volatile in journald.conf avoids this wear"
        )


def clock() -> Iterator[Finding]:
    """Check the clock: TLS and time stamps need it, and a Pi without network starts in the past."""
    answer = command_output("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    if SYNCHRONISED.exists() or answer == "yes":
        yield ok("clock", "synchronised")
    elif answer is None:
        yield note("clock", "this system does not report whether it is synchronised")
    else:
        yield warning("clock", "not synchronised", "time stamps may be wrong and TLS may fail: is there a network?")


def gpio(config: Config) -> Iterator[Finding]:
    """Check the configured pins: is there GPIO, is access allowed, and does another program use them."""
    # Imported here: `ferd buzzer` and the page load GPIO libraries only where pins are configured.
    from ferd.outputs.buzzer import output
    from ferd.outputs.buzzer import output as pin

    names = {"pin": "buzzer", "button": "button", "status_led_pin": "status LED", "alert_led_pin": "alert LED"}
    used = ", ".join(f"{names[key]} on GPIO {number}" for key, number in config.buzzer.pins.items())
    if not used:
        yield note("gpio", "no buzzer is configured", "[buzzer] pin = 18, see docs/buzzer.md")
        return
    if not output.has_pins():
        yield note("gpio", f"{used}, but this is not a Raspberry Pi: sounds are only logged")
        return
    if ours := [holder for holder in holders(pin.CHIP) if holder.is_ferd]:
        yield ok("gpio", f"{used}, held by {ours[0]}")
        return
    try:
        output.open_output(config.buzzer, lambda: None).close()
    except BuzzerError as problem:
        others = ", ".join(str(holder) for holder in holders(pin.CHIP) if not holder.this_ferd)
        held = f". {pin.CHIP} is open in {others}" if others else ""
        yield error("gpio", f"{used}, by {pin.FACTORY}: {problem}{held}")
        return
    yield ok("gpio", f"{used}, by {pin.FACTORY}; `ferd buzzer test` plays it")


def service() -> Iterator[Finding]:
    """Check ferd.service and every ferd@ instance that systemd knows."""
    yield from _unit("service", "ferd")
    listed = command_output("systemctl", "list-units", "--all", "--plain", "--no-legend", "ferd@*.service") or ""
    for line in listed.splitlines():
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        if name.startswith("ferd@"):
            yield from _unit(name.removesuffix(".service"), name.removesuffix(".service"))


def _unit(about: str, unit: str) -> Iterator[Finding]:
    answer = command_output(
        "systemctl", "show", f"{unit}.service", "-p", "LoadState,ActiveState,SubState,NRestarts,Result,StatusText"
    )
    if answer is None:
        yield note(about, "this system does not run systemd")
        return
    facts = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    if facts.get("LoadState") != "loaded":
        yield note(about, f"{unit}.service is not installed", "sudo ./scripts/install")
        return
    state = f"{facts.get('ActiveState')} ({facts.get('SubState')})"
    restarts = int(facts.get("NRestarts") or 0)
    status = facts.get("StatusText") or ""
    if facts.get("ActiveState") == "active":
        line = f"{state}{', ' + status if status else ''}"
        if restarts:
            yield warning(about, f"{line}, restarted {restarts} times", f"journalctl -u {unit} -p warning")
        else:
            yield ok(about, line)
    elif facts.get("Result") in (None, "", "success"):
        yield note(about, f"is {state}", f"sudo systemctl enable --now {unit}")
    else:
        yield error(about, f"{state}, result {facts['Result']}", f"journalctl -u {unit} -n 30")
