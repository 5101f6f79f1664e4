"""What the service needs outside of /opt/ferd: units, drop-ins, groups, rules. They belong to the release in use.

`python -I -m ferd.system_files`, as root, lays those of its own release; scripts/install and `ferd upgrade` call it.
(-I: from a checkout, Python would find the ferd of that folder first, and its files.)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
UNITS = Path("etc/systemd/system")
PLACES: Mapping[str, Path] = {
    "ferd.service": UNITS / "ferd.service",
    "ferd@.service": UNITS / "ferd@.service",
    "ferd.sysusers": Path("etc/sysusers.d/ferd.conf"),
    "60-ferd.rules": Path("etc/udev/rules.d/60-ferd.rules"),
}
DROP_INS = "ferd.service.d"
"""Their folder here. Those that fit the machine are laid beside both units."""
RESTART_STEPS_SINCE = 254
"""systemd's version."""

Contents = Mapping[Path, bytes]


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides which drop-ins fit."""

    has_pins: bool
    systemd: int

    @classmethod
    def here(cls) -> Machine:
        return cls(any(Path("/dev").glob("gpiochip*")), systemd_version())

    def wants(self, drop_in: str) -> bool:
        fits = {"gpio.conf": self.has_pins, "restart-steps.conf": self.systemd >= RESTART_STEPS_SINCE}
        return fits.get(drop_in, False)


def shipped() -> Path:
    """Package data in an installed wheel, systemd/ at the top of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "units"
    return installed if installed.is_dir() else package.parent / "systemd"


def lay(machine: Machine, root: Path = ROOT, source: Path | None = None) -> None:
    """Writes all of them anew, and takes away a drop-in of ours that does not fit any more. Others' files stay."""
    source = shipped() if source is None else source
    for name, place in PLACES.items():
        _write(root / place, (source / name).read_bytes())
    for drop_in in sorted((source / DROP_INS).glob("*.conf")):
        for unit in ("ferd.service.d", "ferd@.service.d"):
            place = root / UNITS / unit / drop_in.name
            if machine.wants(drop_in.name):
                _write(place, drop_in.read_bytes())
            else:
                place.unlink(missing_ok=True)


def snapshot(root: Path = ROOT) -> Contents:
    """What stands there now, drop-ins of others included."""
    units = root / UNITS
    drop_ins = [path for folder in ("ferd.service.d", "ferd@.service.d") for path in (units / folder).glob("*")]
    places = [*(root / place for place in PLACES.values()), *drop_ins]
    return {place: place.read_bytes() for place in places if place.is_file()}


def restore(before: Contents, after: Contents) -> None:
    """Takes back what was done between the two snapshots; what somebody else changed since then stays."""
    for place in before.keys() | after.keys():
        if before.get(place) == after.get(place):
            continue
        if place in before:
            _write(place, before[place])
        else:
            place.unlink(missing_ok=True)


def make_known(run: Callable[[Sequence[str]], object]) -> None:
    """Tells those who read the files that they have changed."""
    if shutil.which("systemd-sysusers"):
        run(["systemd-sysusers", str(ROOT / PLACES["ferd.sysusers"])])
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "daemon-reload"])
    if shutil.which("udevadm"):  # a container has systemd without it
        run(["udevadm", "control", "--reload"])
        run(["udevadm", "trigger", "--subsystem-match=gpio", "--subsystem-match=dma_heap"])


def systemd_version() -> int:
    """0 where there is none."""
    try:
        told = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return 0
    found = re.match(r"systemd (\d+)", told.stdout)
    return int(found[1]) if found else 0


def _write(place: Path, content: bytes) -> None:
    """Whole or not at all, readable by everybody."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.replace(place)


def _run_quietly(command: Sequence[str]) -> None:
    """What does not go is no reason to stop: the next boot reads the files as well."""
    subprocess.run(command, check=False, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    try:
        lay(Machine.here())
        make_known(_run_quietly)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"the service's files could not be laid: {error}", file=sys.stderr)  # noqa: T201  # a command's job
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
