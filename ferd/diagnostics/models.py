"""The models: really loaded, really run, and how long a call takes here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from ferd.config import Config
from ferd.diagnostics.finding import Finding, error, ok, warning
from ferd.errors import FerdError
from ferd.models.bundle import Bundle
from ferd.models.registry import find_bundle
from ferd.types import Frame
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.base import make_detector

CALLS = 20
SLOW_MS = 200.0
"""Five frames a second: below, changes of expression are missed."""


def models(config: Config) -> Iterator[Finding]:
    yield from _expression(config)
    yield from _detector(config)


def _expression(config: Config) -> Iterator[Finding]:
    try:
        bundle = find_bundle(config.expression.model)
        classifier = Classifier(bundle)
    except FerdError as problem:
        yield error("model", str(problem), "set expression.model to one of `ferd model list`")
        return
    shape = (classifier.input.height, classifier.input.width)
    picture = np.zeros(shape if classifier.input.colour == "gray" else (*shape, 3), np.uint8)
    took = milliseconds(lambda: classifier(picture))
    yield _timed("model", f"{bundle.name}, {len(bundle.labels)} labels, {classifier.network.runtime}", took)
    yield from _intact(bundle)


def _detector(config: Config) -> Iterator[Finding]:
    try:
        detector = make_detector(config.detector)
    except FerdError as problem:
        yield error("detector", str(problem))
        return
    frame = Frame(0.0, np.zeros((480, 640, 3), np.uint8))
    yield _timed("detector", detector.name, milliseconds(lambda: detector(frame)))


def _intact(bundle: Bundle) -> Iterator[Finding]:
    if bundle.card and not bundle.checksum_ok:
        yield warning("model", f"{bundle.path} is not the file that its card was written for", "copy both files again")


def _timed(about: str, what: str, took_ms: float) -> Finding:
    found = f"{what}, {took_ms:.1f} ms a call"
    if took_ms > SLOW_MS:
        return warning(about, found, "too slow for this board: take a smaller model, or fewer frames a second")
    return ok(about, found)


def milliseconds(call: Callable[[], object]) -> float:
    """The median of some calls, after one to warm up."""
    call()
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)
