"""Loads and runs a model file in a child process first, where a crash or a hang cannot take the daemon down.

tflite-runtime segfaults on many truncated or bit-flipped files (measured: 40 of 60) and hung on one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferd.errors import ModelError

PICTURES = 4
MOST_SCORES = 10_000
TIMEOUT_S = 60  # a Pi Zero 2 W under load needs many seconds to import numpy and a runtime


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file turned out to be. `scores`: what a few pictures of noise gave, real values, (pictures, outputs).

    `input_range`: the real values of the least and the largest value that a quantised input can hold; None for others.
    """

    input_shape: tuple[int, ...]
    input_dtype: str
    input_range: tuple[float, float] | None
    output_shapes: tuple[tuple[int, ...], ...]
    half_floats: bool
    scores: tuple[tuple[float, ...], ...]


def probe(path: Path) -> str | None:
    """None when a child process could load and run the file; otherwise why not."""
    answer = _try(path)
    return answer if isinstance(answer, str) else None


def examine(path: Path) -> Facts:
    """Loads and runs the file in a child process. Raises ModelError when that fails."""
    answer = _try(path)
    if isinstance(answer, str):
        raise ModelError(f"{path}: {answer.removeprefix(f'{path}: ')}")
    return Facts(
        input_shape=tuple(answer["input_shape"]),
        input_dtype=answer["input_dtype"],
        input_range=tuple(answer["input_range"]) if answer["input_range"] else None,
        output_shapes=tuple(tuple(shape) for shape in answer["output_shapes"]),
        half_floats=answer["half_floats"],
        scores=tuple(tuple(row) for row in answer["scores"]),
    )


def _try(path: Path) -> str | dict[str, Any]:
    """What the child found, or the reason why it could not."""
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "ferd.models.sandbox", str(path)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not finish one run in {TIMEOUT_S} s; the file is broken"
    if child.returncode < 0:
        return f"crashed the runtime ({signal.Signals(-child.returncode).name}); the file is broken or truncated"
    try:
        answer: dict[str, Any] = json.loads(child.stdout)
    except json.JSONDecodeError:
        return f"the trial load failed: {(child.stderr.strip().splitlines() or ['no output'])[-1]}"
    return str(answer["error"]) if answer.get("error") else answer


def _main(path: Path) -> None:
    try:
        answer = _look(path)
    except ModelError as problem:
        answer = {"error": str(problem)}
    except Exception as problem:  # noqa: BLE001  # whatever it is, it is the answer of this process
        answer = {"error": f"{path}: {problem}"}
    json.dump(answer, sys.stdout)


def _look(path: Path) -> dict[str, Any]:
    import numpy as np

    from ferd.models.runtime import Network

    network = Network(path)
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(PICTURES):
        stored = network.input.quantise(rng.uniform(-1, 1, network.input.shape).astype(np.float32))
        output = network.outputs[0].dequantise(network.invoke(stored)).reshape(-1)[:MOST_SCORES]
        scores.append([float(value) if np.isfinite(value) else 0.0 for value in output])
    return {
        "input_shape": network.input.shape,
        "input_dtype": str(network.input.dtype),
        "input_range": network.input.limits,
        "output_shapes": [output.shape for output in network.outputs],
        "half_floats": network.half_floats,
        "scores": scores,
    }


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
