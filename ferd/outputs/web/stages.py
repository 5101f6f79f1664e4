"""How long each step of the chain takes: a running mean, at the cost of two looks at the clock a step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ferd.vision.pipeline import Pipeline

P = ParamSpec("P")
R = TypeVar("R")

SHARE = 0.05
"""Weight of the newest call."""
STAGES = {
    "prepare": "prepare",
    "detect": "detect",
    "track": "track",
    "crop": "crop",
    "classify": "classify",
    "read_eyes": "eyes",
    "mind": "smooth",
}
"""The pipeline's step, and how the page calls it."""


class Stopwatches:
    def __init__(self) -> None:
        self._ms: dict[str, float] = {}

    def put_on(self, pipeline: Pipeline) -> None:
        """Replaces the pipeline's steps by timed ones."""
        for step, name in STAGES.items():
            call = getattr(pipeline, step)
            if call is not None:
                setattr(pipeline, step, self._timed(name, call))

    def means(self) -> dict[str, float]:
        """Milliseconds by stage. May be called from any thread."""
        return {name: round(self._ms[name], 3) for name in STAGES.values() if name in self._ms}

    def _timed(self, name: str, call: Callable[P, R]) -> Callable[P, R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            began = time.perf_counter()
            result = call(*args, **kwargs)
            took = (time.perf_counter() - began) * 1000
            before = self._ms.get(name, took)
            self._ms[name] = before + SHARE * (took - before)
            return result

        return run
