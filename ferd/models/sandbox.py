"""Try a model file in a child process, where a crash, a hang or a flood of memory cannot harm the daemon.

tflite-runtime segfaults on many truncated or bit-flipped files (measured: 40 of 60) and hung on one. A file can also
hang on purpose: TFLite has loops whose end depends on the input. So the child runs the model on images of many kinds,
faces among them, with limits on time, processor time, memory and output.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ferd.models.preprocess import InputSpec

Scale = tuple[Any, Any]
"""(mean, std) of (value / 255 - mean) / std, numbers or lists of one for each channel."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limit a trial.

    Attributes:
        timeout_s: wall time of the whole trial. A Pi Zero 2 W under load needs many seconds to import numpy and a
            runtime.
        cpu_s: processor time of the whole trial; a model that fits a Pi needs a few seconds.
        run_s: wall time of a single run.
        slowest_s: a model that takes longer in every run is refused: with each frame the loop would stand still for
            that long.
        memory_bytes: writable memory of the child, of which Python, numpy and the runtime take 50 MB; less where the
            board or the service has less.
        output_bytes: what the child may write: its answer, and the messages of the runtime.
    """

    timeout_s: float = 60.0
    cpu_s: int = 40
    run_s: float = 10.0
    slowest_s: float = 2.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 16 << 20


LIMITS = Limits()
SLACK = 4
"""Many runs may take this many times the processor time of the fastest one, and twice that by the clock."""
MIN_MEMORY_BYTES = 128 << 20
"""Less than this is not enough for any model."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Describe what a file turned out to be.

    Attributes:
        input_range: the real values of the smallest and the largest number that a quantised input can hold; None for
            other inputs.
        scores: real values of each output on images of noise, faces and others, (outputs, images, values).
        run_s: wall time of the fastest run.
        memory_bytes: memory that loading and running the model took at most.
    """

    input_shape: tuple[int, ...]
    input_dtype: str
    input_range: tuple[float, float] | None
    output_shapes: tuple[tuple[int, ...], ...]
    half_floats: bool
    scores: tuple[tuple[tuple[float, ...], ...], ...]
    run_s: float = 0.0
    memory_bytes: int = 0


def probe(path: Path, scale: Scale | None = None) -> str | None:
    """Load and run the file in a child process. Returns None when that went well, else the reason.

    Args:
        scale: (mean, std) of the input, (value / 255 - mean) / std; None tries the usual ones.
    """
    answer = _run_child(path, {"scale": scale})
    return answer if isinstance(answer, str) else None


def probe_yunet(path: Path) -> str | None:
    """Let OpenCV load and run a YuNet file in a child process. Returns None when that went well, else the reason."""
    answer = _run_child(path, {"yunet": True})
    return answer if isinstance(answer, str) else None


def examine(path: Path) -> Facts:
    """Load and run the file in a child process. Raises ModelError when that fails."""
    answer = _answer(path, _run_child(path, {"scale": None}))
    return Facts(
        input_shape=tuple(answer["input_shape"]),
        input_dtype=answer["input_dtype"],
        input_range=tuple(answer["input_range"]) if answer["input_range"] else None,
        output_shapes=tuple(tuple(shape) for shape in answer["output_shapes"]),
        half_floats=answer["half_floats"],
        scores=tuple(tuple(map(tuple, rows)) for rows in answer["scores"]),
        run_s=float(answer["run_s"]),
        memory_bytes=int(answer["memory_bytes"]),
    )


def score(
    path: Path, images: Sequence[NDArray[np.uint8]], specs: Sequence[InputSpec], head: int = 0, run_s: float = 0.0
) -> list[list[list[float]]]:
    """Run the file in a child process on images, once for each way to read them.

    Args:
        images: of the input's size, gray or BGR as a camera gives them.
        run_s: time of one run as `examine` measured it; the limits of time grow with it.

    Returns:
        Real values of the output, (specs, images, values).

    Raises:
        ModelError: the child failed.
    """
    import numpy as np

    stack = np.stack(images)
    order = {"shape": stack.shape, "specs": [spec.to_card() for spec in specs], "head": head}
    expected_s = run_s * len(images) * len(specs)
    limits = replace(
        LIMITS,
        cpu_s=LIMITS.cpu_s + math.ceil(SLACK * expected_s),
        timeout_s=LIMITS.timeout_s + 2 * SLACK * expected_s,
    )
    scores: list[list[list[float]]] = _answer(path, _run_child(path, order, stack.tobytes(), limits))["scores"]
    return scores


def _answer(path: Path, answer: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(answer, str):
        raise ModelError(f"{path}: {answer.removeprefix(f'{path}: ')}")
    return answer


def memory_limit(most: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes a trial may use: at most what the board and this process's control group have left.

    Beyond that the kernel would kill a process, and systemd then stops the whole service.
    """
    left = [most]
    with suppress(OSError, ValueError, LookupError):
        fields = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        left.append(1024 * int(fields["MemAvailable"].split()[0]))
    with suppress(OSError, ValueError, LookupError, StopIteration):
        lines = (proc / "self/cgroup").read_text().splitlines()
        folder = cgroups / next(line for line in lines if line.startswith("0::")).removeprefix("0::").lstrip("/")
        limit = int((folder / "memory.max").read_text())  # raises ValueError for "max": no limit
        used = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        left.append(limit - int(used["anon"]))
    return max(min(left), MIN_MEMORY_BYTES)


def _run_child(
    path: Path, order: Mapping[str, Any], images: bytes = b"", limits: Limits | None = None
) -> str | dict[str, Any]:
    """Return the child's answer, or the reason why there is none. `images` go to its standard input, not to disk.

    The child reports each step on a line of its own before it begins it, so that the reason can name the step. It
    writes into files, whose size the system limits; a pipe would be read without end.
    """
    limits = limits or LIMITS
    limits = replace(limits, memory_bytes=memory_limit(limits.memory_bytes))
    command = [sys.executable, "-P", "-m", "ferd.models.trial", str(path)]
    command += [json.dumps({"limits": asdict(limits), **order})]
    # One thread each: the stacks and buffers of more would count as memory of the model.
    environ = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as written, tempfile.TemporaryFile() as complaints:
        timed_out = False
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=written, stderr=complaints, env=environ) as child:
            try:
                child.communicate(images, timeout=limits.timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                timed_out = True
            except BaseException:  # Ctrl-C, SIGTERM: without this, `with` waits for the child
                child.kill()
                raise
        written.seek(0)
        complaints.seek(0)
        out, errors = written.read(limits.output_bytes), complaints.read(limits.output_bytes).decode(errors="replace")
    if max(len(out), len(errors)) >= limits.output_bytes:
        return f"wrote more than {limits.output_bytes >> 20} MB of messages; the file is broken"
    if timed_out:
        return f"did not finish {_last_step(out)} within {limits.timeout_s:g} s; the file is broken or far too slow"
    if child.returncode < 0:
        return _why_killed(-child.returncode, out, errors, limits)
    try:
        answer: dict[str, Any] = json.loads(out.splitlines()[-1])
        answer["step"]
    except (ValueError, IndexError, KeyError, TypeError):
        return f"the trial run failed: {(errors.strip().splitlines() or ['no output'])[-1][:500]}"
    return str(answer["error"]) if answer.get("error") else answer


def _why_killed(number: int, out: bytes, errors: str, limits: Limits) -> str:
    step = _last_step(out)
    if number == signal.SIGALRM:
        return f"did not finish {step} within {limits.run_s:g} s; the file is broken, or made to hang"
    if number == signal.SIGXCPU:
        return f"used more than {limits.cpu_s} s of processor time by {step}; the file is broken or too slow"
    if "bad_alloc" in errors or number == signal.SIGKILL:
        return too_large(step, limits)
    return f"crashed the runtime ({signal.Signals(number).name}) in {step}; the file is broken or truncated"


def too_large(step: str, limits: Limits, needed_bytes: int = 0) -> str:
    """Say that a step needs more memory than there is."""
    needed = f"at least {needed_bytes >> 20} MB" if needed_bytes else f"more than {limits.memory_bytes >> 20} MB"
    return f"needs {needed} of memory for {step}; {limits.memory_bytes >> 20} MB are free here. Use a smaller model"


def _last_step(out: bytes) -> str:
    """Name the last step that the child began."""
    for line in reversed(out.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["step"])
    return "its start"
