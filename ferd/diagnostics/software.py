"""Check Python, the libraries and their compatibility; load the models and time them."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from ferd import __version__
from ferd.config import Config
from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.errors import FerdError, SourceError
from ferd.extras import Environment, how_to_install
from ferd.models.bundle import Bundle
from ferd.models.registry import find_bundle
from ferd.types import Frame
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.factory import make_detector

MIN_PYTHON = (3, 11)
TIMED_CALLS = 20
SLOW_MS = 200.0
"""Five frames per second: below that, changes of expression are missed."""


def software() -> Iterator[Finding]:
    """Check Python and the libraries."""
    python = platform.python_version()
    yield ok("ferd", f"{__version__} on Python {python}, {platform.machine()}, {_system()}")
    if sys.version_info < MIN_PYTHON:
        yield error("python", f"{python} is too old", "ferd needs Python 3.11 or newer")
    if platform.machine() == "armv7l":
        yield warning("system", "a 32-bit system", "few wheels exist for it: install 64-bit Raspberry Pi OS")
    yield from opencv()
    yield from numpy_and_picamera2()


def opencv() -> Iterator[Finding]:
    """Check that OpenCV is installed and has the Haar cascades."""
    version = _version("opencv-python-headless") or _version("opencv-python") or _version("opencv-contrib-python")
    if find_spec("cv2") is None:
        yield error("opencv", "is not installed", how_to_install("opencv-python-headless<5"))
        return
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        yield warning(
            "opencv",
            f"{cv2.__version__} has no cascades",
            f"only haar needs them: {how_to_install('opencv-python-headless<5')}",
        )
    else:
        yield ok("opencv", f"{cv2.__version__}{'' if version else ' (of the system)'}")


def numpy_and_picamera2() -> Iterator[Finding]:
    """Check that both load together: picamera2 of Debian 12 is compiled against numpy 1 and fails with numpy 2."""
    if find_spec("picamera2") is None:
        yield ok("numpy", np.__version__)
        yield note("picamera2", "is not installed; only the Pi camera needs it", Environment.here().add_picamera2)
        return
    from ferd.sources.picamera2 import picamera2

    try:
        picamera2()
    except SourceError as problem:
        yield error("picamera2", str(problem))
        return
    yield ok("numpy", f"{np.__version__}, and picamera2 loads with it")


def models(config: Config) -> Iterator[Finding]:
    """Load the configured models, run them and report how long a call takes on this machine."""
    yield from _expression(config)
    yield from _detector(config)


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of TIMED_CALLS calls, after one to warm up."""
    call()
    times = []
    for _ in range(TIMED_CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _expression(config: Config) -> Iterator[Finding]:
    try:
        bundle = find_bundle(config.expression.model)
        classifier = Classifier(bundle)
    except FerdError as problem:
        yield error("model", str(problem), "set expression.model to one of `ferd model list`")
        return
    shape = (classifier.input.height, classifier.input.width)
    image = np.zeros(shape if classifier.input.colour == "gray" else (*shape, 3), np.uint8)
    took_ms = milliseconds(lambda: classifier(image))
    yield _timed("model", f"{bundle.name}, {len(bundle.labels)} labels, {classifier.network.runtime}", took_ms)
    yield from _checksum(bundle)


def _detector(config: Config) -> Iterator[Finding]:
    try:
        detector = make_detector(config.detector)
    except FerdError as problem:
        yield error("detector", str(problem))
        return
    frame = Frame(0.0, np.zeros((480, 640, 3), np.uint8))
    yield _timed("detector", detector.name, milliseconds(lambda: detector(frame)))


def _checksum(bundle: Bundle) -> Iterator[Finding]:
    if bundle.card and not bundle.checksum_ok:
        yield warning("model", f"{bundle.path} is not the file that its card describes", "copy both files again")


def _timed(about: str, what: str, took_ms: float) -> Finding:
    found = f"{what}, {took_ms:.1f} ms a call"
    if took_ms > SLOW_MS:
        return warning(about, found, "too slow for this board: use a smaller model, or fewer frames per second")
    return ok(about, found)


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
