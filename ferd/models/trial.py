"""The child process of the sandbox: load a model file and run it, within limits, and report each step.

It answers on standard output with lines of JSON: each step before it begins, the result at the end.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.errors import ModelError
from ferd.models.sandbox import Limits, Scale, too_large
from ferd.models.trial_images import inputs, pictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ferd.models.runtime import Network

MAX_SCORES = 10_000
SCALES = ((0.5, 0.5), (0.0, 1.0), (0.0, 1 / 255))
"""(mean, std) of the usual input ranges -1..1, 0..1 and 0..255, for files without a card."""


def _main(path: Path, order: Mapping[str, Any]) -> None:
    limits = Limits(**order["limits"])
    _limit(limits)
    try:
        if "yunet" in order:
            answer = _try_yunet(path, limits)
        else:
            answer = _score(path, order, limits) if "shape" in order else _try(path, order["scale"], limits)
    except ModelError as problem:
        answer = {"error": str(problem)}
    except MemoryError:
        answer = {"error": too_large("a run", limits)}
    except Exception as problem:  # noqa: BLE001  # whatever it is, it is the answer of this process
        answer = {"error": f"{path}: {problem}"}
    _report({"step": "the end"} | answer)


def _limit(limits: Limits) -> None:
    """Limit this process. RLIMIT_DATA counts what is written to, not the libraries and files that are mapped."""
    for kind, limit in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(OSError, ValueError):  # a system call filter may forbid it; the time limits hold all the same
            resource.setrlimit(kind, (most, hard))


def _report(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _load(path: Path, head: int, limits: Limits) -> Network:
    """Load the file; refuse it first when one of its tensors alone is larger than the memory."""
    from ferd.models.runtime import Network, largest_tensor

    _report({"step": "loading"})
    try:
        with _alarm(limits.run_s):
            needed = max(largest_tensor(path), path.stat().st_size)
            if needed <= limits.memory_bytes:
                return Network(path, head)
    except ModelError as problem:
        if str(problem).endswith("RuntimeError"):  # all that LiteRT says when it gets no memory
            raise ModelError(f"{problem}, or it needs more than {limits.memory_bytes >> 20} MB of memory") from None
        raise
    raise ModelError(too_large("one of its tensors", limits, needed))


def _score(path: Path, order: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Run the images on standard input through each specification of the order."""
    import numpy as np

    from ferd.models.preprocess import InputEncoder, InputSpec

    network = _load(path, int(order["head"]), limits)
    images = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(order["shape"])
    scores = []
    for card in order["specs"]:
        spec = InputSpec.from_card(card)
        encode = InputEncoder(spec, network.input)
        rows = []
        for image in images:
            _report({"step": "a run on a picture"})
            with _alarm(limits.run_s):
                result = network.invoke(encode(image if spec.colour != "rgb" else image[..., ::-1]))
            rows.append(_values(network.outputs[0].dequantise(result)))
        scores.append(rows)
    return {"scores": scores}


def _values(output: NDArray[np.float32]) -> list[float]:
    """Return at most MAX_SCORES values of an output, finite and short."""
    return [
        float(f"{value:.6g}") if math.isfinite(value) else 0.0 for value in output.reshape(-1)[:MAX_SCORES].tolist()
    ]


def _try(path: Path, scale: Scale | None, limits: Limits) -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = _load(path, 0, limits)
    entry = network.input
    scores: list[list[list[float]]] = [[] for _ in network.outputs]
    room = MAX_SCORES
    fastest = math.inf
    for name, values in inputs(entry.shape, (scale,) if scale else SCALES, entry.limits):
        _report({"step": f"a run on {name}"})
        stored = entry.quantise(values)
        began = time.monotonic()
        with _alarm(limits.run_s):
            network.invoke(stored)
        fastest = min(fastest, time.monotonic() - began)
        if room > 0:
            for rows, output in zip(scores, network.outputs, strict=True):
                rows.append(_values(output.dequantise(network.read(output))))
                room -= len(rows[-1])
    if fastest > limits.slowest_s:
        raise ModelError(
            f"{path}: takes at least {fastest:.1f} s for an image on this board; "
            f"the limit is {limits.slowest_s:g} s. Use a smaller model"
        )
    return {
        "input_shape": entry.shape,
        "input_dtype": str(entry.dtype),
        "input_range": entry.limits,
        "output_shapes": [output.shape for output in network.outputs],
        "half_floats": network.half_floats,
        "scores": scores,
        "run_s": fastest,
        "memory_bytes": 1024 * max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before),
    }


def _try_yunet(path: Path, limits: Limits) -> dict[str, Any]:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    _report({"step": "loading"})
    try:
        with _alarm(limits.run_s):
            network = cv2.FaceDetectorYN.create(str(path), "", (320, 240))
        for name, image in pictures(240, 320):
            _report({"step": f"a run on {name}"})
            with _alarm(limits.run_s):
                network.detect(np.repeat(image.astype(np.uint8)[..., None], 3, axis=2))
    except cv2.error as problem:
        reason = (str(problem).strip().splitlines() or ["no message"])[0][:120]
        raise ModelError(f"{path}: OpenCV cannot use it as YuNet ({reason})") from None
    return {}


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Kill this process when the block takes longer: native code cannot be interrupted otherwise."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
