"""Optional libraries: which are installed, and the command that installs one into the environment that runs.

`pip install 'ferd[plot]'` works almost nowhere: ferd is in no package index, the service's environment belongs to root,
pipx and uv make environments without pip, and Debian's own Python refuses pip. So every remedy that names a command to
install something asks this module for it.
"""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "ferd"
SERVICE_HOME = Path("/opt/ferd")
"""Where scripts/install puts the environments of the service."""
OPTIONAL = ("demo", "plot", "convert", "tflite")
"""Extras that a service does not need; `ferd upgrade` keeps those that are installed."""
IMAGE_MARK = "ferd-image"
"""A file in the environment of the container image (Dockerfile)."""
APT = {
    "matplotlib": "python3-matplotlib",
    "gpiozero": "python3-gpiozero",
    "lgpio": "python3-lgpio",
    "opencv-python-headless": "python3-opencv",
}
"""Debian packages, for a ferd that runs on the system's own Python."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_PYTHON = re.compile(r"""python_version\s*(<=|>=|<|>|==)\s*['"](\d+)\.(\d+)['"]""")


@dataclass(frozen=True, slots=True)
class Environment:
    """Describe a Python environment.

    ``prefix``: its folder. ``base``: the folder of the Python that it was made with; the same where there is no
    environment. ``stdlib``: the folder of the standard library.
    """

    prefix: Path
    base: Path
    stdlib: Path

    @classmethod
    def here(cls) -> Environment:
        """Describe the one that runs."""
        return cls(Path(sys.prefix), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib")))

    @property
    def is_service(self) -> bool:
        """Whether it is that of the installed service."""
        return self.prefix.resolve().is_relative_to(SERVICE_HOME)

    @property
    def is_image(self) -> bool:
        """Whether it is that of the container image, which has no pip and no apt lists, and is replaced as a whole."""
        return (self.prefix / IMAGE_MARK).is_file()

    @property
    def add_camera(self) -> str:
        """How to connect a camera: a sentence."""
        if self.is_image:
            return "Give the container a webcam (--device /dev/video0), or use the address of a network camera"
        return "Plug in a webcam, or connect a Pi camera and `sudo apt install python3-picamera2`"

    @property
    def add_picamera2(self) -> str:
        """How to get what the Pi camera needs."""
        if self.is_image:
            return "the image cannot have it: for the Pi camera install ferd on Raspberry Pi OS, docs/install.md"
        return (
            "`sudo apt install python3-picamera2`; `./scripts/run` or `sudo ./scripts/install` makes the environment "
            "with it"
        )

    @property
    def allow_camera(self) -> str:
        """How this user gets permission to open V4L2 cameras: a command."""
        if self.is_image:
            return "docker run --group-add $(stat -c %g /dev/video0) …"
        return "sudo usermod -aG video $USER"

    def install(self, requirements: Iterable[str]) -> str:
        """Return the command that installs `requirements` here."""
        wanted = list(requirements)
        packages = " ".join(shlex.quote(requirement) for requirement in wanted)
        if self.is_image:
            return f"docker build --build-arg MORE={shlex.quote(' '.join(wanted))} --tag ferd ."
        if self.is_service:
            constraints = SERVICE_HOME / "constraints.txt"
            pinned = constraints.is_file() and constraints.stat().st_size > 0  # empty without picamera2
            option = f"--constraint {constraints} " if pinned else ""
            return f"sudo {SERVICE_HOME}/venv/bin/python -m pip install {option}{packages}"
        if (self.prefix / "pipx_metadata.json").is_file():
            return f"pipx inject {self.prefix.name} {packages}"
        python = shlex.quote(str(self.prefix / "bin/python"))
        if (self.prefix / "uv-receipt.toml").is_file() or _made_by_uv(self.prefix):
            return f"uv pip install --python {python} {packages}"
        if self.prefix == self.base and (self.stdlib / "EXTERNALLY-MANAGED").is_file():
            names = [match[0].lower() for requirement in wanted if (match := _NAME.match(requirement))]
            apt = f"sudo apt install {' '.join(APT.get(name, '') for name in names)}"
            return apt if set(names) <= set(APT) else f"pip install --user --break-system-packages {packages}"
        return f"{python if self.prefix != self.base else sys.executable} -m pip install {packages}"


def how_to_install(*requirements: str, environment: Environment | None = None) -> str:
    """Return the command that installs these packages into the environment that runs."""
    return (environment or Environment.here()).install(requirements)


def how_to_add(extra: str, environment: Environment | None = None) -> str:
    """Return the command that installs what an extra of ferd needs into the environment that runs."""
    requirements = sorted(set(requirements_of(extra))) or [f"{PACKAGE}[{extra}]"]
    return how_to_install(*requirements, environment=environment)


def requirements_of(extra: str, declared: Iterable[str] | None = None) -> Iterator[str]:
    """Yield the requirements of an extra for this Python, without markers: "matplotlib<4,>=3.9".

    `declared`: requirements as package metadata lists them; None: those of the installed ferd.
    """
    lines = list(_declared() if declared is None else declared)
    for line in lines:
        requirement, _, marker = line.partition(";")
        requirement = requirement.strip()
        found = _EXTRA.search(marker)
        if found is None or found[1] != extra or not _for_this_python(marker):
            continue
        if own := re.fullmatch(rf"{PACKAGE}\[([\w,\s-]+)\]", requirement):
            for other in own[1].split(","):
                yield from requirements_of(other.strip(), lines)
        else:
            yield requirement


def installed_extras(candidates: Iterable[str] = OPTIONAL) -> tuple[str, ...]:
    """Return those extras whose packages are all installed in the environment that runs."""
    return tuple(extra for extra in candidates if _all_installed(list(requirements_of(extra))))


def _all_installed(requirements: list[str]) -> bool:
    return bool(requirements) and all(_is_installed(requirement) for requirement in requirements)


def _is_installed(requirement: str) -> bool:
    found = _NAME.match(requirement)
    try:
        return found is not None and bool(metadata.version(found[0]))
    except metadata.PackageNotFoundError:
        return False


def _declared() -> Iterable[str]:
    try:
        return metadata.requires(PACKAGE) or ()
    except metadata.PackageNotFoundError:  # run from its source, without an installation
        return ()


def _for_this_python(marker: str) -> bool:
    """Whether every condition on the Python version holds; extras contain no other combination than `and`."""
    now = sys.version_info[:2]
    holds = {
        "<": lambda limit: now < limit,
        "<=": lambda limit: now <= limit,
        ">": lambda limit: now > limit,
        ">=": lambda limit: now >= limit,
        "==": lambda limit: now == limit,
    }
    return all(holds[sign]((int(major), int(minor))) for sign, major, minor in _PYTHON.findall(marker))


def _made_by_uv(prefix: Path) -> bool:
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.replace(" ", "").startswith("uv=") for line in lines)
