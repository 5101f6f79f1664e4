"""Python, the libraries and whether they get along with each other."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from ferd import __version__
from ferd.diagnostics.finding import Finding, error, note, ok, warning

OLDEST = (3, 11)


def software() -> Iterator[Finding]:
    python = platform.python_version()
    yield ok("ferd", f"{__version__} on Python {python}, {platform.machine()}, {_system()}")
    if sys.version_info < OLDEST:
        yield error("python", f"{python} is too old", "ferd needs Python 3.11 or newer")
    if platform.machine() == "armv7l":
        yield warning("system", "a 32-bit system", "few wheels exist for it: install the 64-bit Raspberry Pi OS")
    yield from opencv()
    yield from numpy_and_picamera2()


def opencv() -> Iterator[Finding]:
    version = _version("opencv-python-headless") or _version("opencv-python") or _version("opencv-contrib-python")
    if find_spec("cv2") is None:
        yield error("opencv", "is not installed", "pip install 'opencv-python-headless<5'")
        return
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        yield warning("opencv", f"{cv2.__version__} has no cascades", "fine for ferd's own detector; else opencv<5")
    else:
        yield ok("opencv", f"{cv2.__version__}{'' if version else ' (of the system)'}")


def numpy_and_picamera2() -> Iterator[Finding]:
    """picamera2 of Debian 12 is compiled against numpy 1 and breaks under numpy 2 (simplejpeg)."""
    import numpy as np

    if find_spec("picamera2") is None:
        yield ok("numpy", np.__version__)
        yield note("picamera2", "is not installed; needed for the Pi camera only", "sudo apt install python3-picamera2")
        return
    from ferd.errors import SourceError
    from ferd.sources.picamera2 import picamera2

    try:
        picamera2()
    except SourceError as problem:
        yield error("picamera2", str(problem))
        return
    yield ok("numpy", f"{np.__version__}, and picamera2 loads with it")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
