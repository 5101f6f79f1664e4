"""Loads and runs a model file in a child process first, where a crash or a hang cannot take the daemon down.

tflite-runtime segfaults on many truncated or bit-flipped files (measured: 40 of 60) and hung on one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60  # a Pi Zero 2 W under load needs many seconds to import numpy and a runtime


def why_not(path: Path) -> str | None:
    """None when a child process could load and run the file; otherwise why not."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "ferd.model.trial", str(path)],
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
        answer = json.loads(child.stdout)
    except json.JSONDecodeError:
        return f"the trial load failed: {(child.stderr.strip().splitlines() or ['no output'])[-1]}"
    error: str | None = answer["error"]
    return error


def _main(path: Path) -> None:
    import numpy as np

    from ferd.errors import ModelError
    from ferd.model.runtime import Network

    error = None
    try:
        network = Network(path)
        network.invoke(np.zeros(network.input.shape, network.input.dtype))
    except ModelError as problem:
        error = str(problem)
    except Exception as problem:  # noqa: BLE001  # whatever it is, it is the answer of this process
        error = f"{path}: {problem}"
    json.dump({"error": error}, sys.stdout)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
