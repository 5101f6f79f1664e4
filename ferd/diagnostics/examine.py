"""All examinations, one after the other. One that fails is a finding, not the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ferd.config import Config
from ferd.diagnostics.board import board
from ferd.diagnostics.broker import broker
from ferd.diagnostics.cameras import cameras
from ferd.diagnostics.finding import Finding, error
from ferd.diagnostics.gpio import gpio
from ferd.diagnostics.models import models
from ferd.diagnostics.software import software

Examination = Callable[[Config], Iterable[Finding]]

EXAMINATIONS: dict[str, Examination] = {
    "software": lambda _config: software(),
    "models": models,
    "cameras": cameras,
    "gpio": gpio,
    "broker": broker,
    "board": lambda _config: board(),
}


def examine(config: Config, examinations: dict[str, Examination] | None = None) -> Iterator[Finding]:
    """Findings as they come. Touches nothing that a running ferd needs."""
    for name, examination in (EXAMINATIONS if examinations is None else examinations).items():
        try:
            yield from examination(config)
        except Exception as problem:  # noqa: BLE001  # the other examinations are worth as much
            yield error(name, f"could not be examined: {type(problem).__name__}: {problem}", "please report this")
