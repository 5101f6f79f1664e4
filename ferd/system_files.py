"""Install the files that the service needs outside of /opt/ferd: units, drop-ins, groups, udev rules.

They belong to the release in use. `python -I -m ferd.system_files`, as root, installs those of its own release;
scripts/install and `ferd upgrade` call it. (-I: in a checkout, Python would import the ferd of that folder first.)
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
"""The folder of the drop-ins in a release. Those that fit the machine are installed for both units."""
RESTART_STEPS_SINCE = 254
"""First version of systemd with RestartSteps."""

Contents = Mapping[Path, bytes]


@dataclass(frozen=True, slots=True)
class Machine:
    """Properties of a machine that decide which drop-ins fit."""

    has_pins: bool
    systemd: int

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine."""
        return cls(any(Path("/dev").glob("gpiochip*")), systemd_version())

    def wants(self, drop_in: str) -> bool:
        """Return whether a drop-in fits this machine."""
        fits = {"gpio.conf": self.has_pins, "restart-steps.conf": self.systemd >= RESTART_STEPS_SINCE}
        return fits.get(drop_in, False)


def shipped() -> Path:
    """Return the folder of the files: package data of an installed wheel, or systemd/ of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "units"
    return installed if installed.is_dir() else package.parent / "systemd"


def install_files(machine: Machine, root: Path = ROOT, source: Path | None = None) -> None:
    """Write all files, and remove a drop-in of ferd that no longer fits. Other files are left alone."""
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
    """Return the present contents of all places, drop-ins of others included."""
    units = root / UNITS
    drop_ins = [path for folder in ("ferd.service.d", "ferd@.service.d") for path in (units / folder).glob("*")]
    places = [*(root / place for place in PLACES.values()), *drop_ins]
    return {place: place.read_bytes() for place in places if place.is_file()}


def restore(before: Contents, after: Contents) -> None:
    """Undo the changes between two snapshots; later changes by others are kept."""
    for place in before.keys() | after.keys():
        if before.get(place) == after.get(place):
            continue
        if place in before:
            _write(place, before[place])
        else:
            place.unlink(missing_ok=True)


def reload_system(run: Callable[[Sequence[str]], object]) -> None:
    """Make systemd and udev read the changed files. `run` runs a command."""
    if shutil.which("systemd-sysusers"):
        run(["systemd-sysusers", str(ROOT / PLACES["ferd.sysusers"])])
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "daemon-reload"])
    if shutil.which("udevadm"):  # a container has systemd without it
        run(["udevadm", "control", "--reload"])
        run(["udevadm", "trigger", "--subsystem-match=gpio", "--subsystem-match=dma_heap"])


def systemd_version() -> int:
    """Return the major version of systemd; 0 where there is none."""
    try:
        done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return 0
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found else 0


def _write(place: Path, content: bytes) -> None:
    """Write atomically, readable by everybody."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.replace(place)


def _run_quietly(command: Sequence[str]) -> None:
    """Run a command and ignore its failure: the next boot reads the files as well."""
    subprocess.run(command, check=False, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    try:
        install_files(Machine.here())
        reload_system(_run_quietly)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"the files of the service could not be installed: {error}", file=sys.stderr)  # noqa: T201  # a command's job
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
