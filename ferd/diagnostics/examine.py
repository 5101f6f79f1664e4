"""Run all checks of the doctor, one after the other. A check that fails is a finding; the others still run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ferd.config import Config
from ferd.diagnostics.board import board, gpio
from ferd.diagnostics.broker import broker
from ferd.diagnostics.cameras import cameras
from ferd.diagnostics.finding import Finding, error
from ferd.diagnostics.software import models, software

Check = Callable[[Config], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "software": lambda _config: software(),
    "models": models,
    "cameras": cameras,
    "gpio": gpio,
    "broker": broker,
    "board": lambda _config: board(),
}
"""The checks by the name that `ferd doctor --only` takes, in the order in which they run."""


def examine(config: Config, checks: dict[str, Check] | None = None) -> Iterator[Finding]:
    """Yield findings as they come. A running ferd is not disturbed.

    Args:
        config: The configuration to check against.
        checks: The checks to run; None: all.
    """
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            yield from check(config)
        except Exception as problem:  # noqa: BLE001  # the other checks must still run
            yield error(name, f"the check failed: {type(problem).__name__}: {problem}", "please report this")
