"""Try a model file in a child process, where a crash, a hang or a flood of memory cannot harm the daemon.

tflite-runtime segfaults on many truncated or bit-flipped files (measured: 40 of 60) and hung on one. A file can also
hang on purpose: TFLite has loops whose end depends on the input. So the child runs the model on images of many kinds,
faces among them, with limits on time, processor time, memory and output.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ferd.models.preprocess import InputSpec
    from ferd.models.runtime import Network

Scale = tuple[Any, Any]
"""(mean, std) of (value / 255 - mean) / std, numbers or lists of one for each channel."""

NOISE_IMAGES = 4
MAX_SCORES = 10_000
SCALES = ((0.5, 0.5), (0.0, 1.0), (0.0, 1 / 255))
"""(mean, std) of the usual input ranges -1..1, 0..1 and 0..255, for files without a card."""


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
    command = [sys.executable, "-P", "-m", "ferd.models.sandbox", str(path)]
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
        return _too_large(step, limits)
    return f"crashed the runtime ({signal.Signals(number).name}) in {step}; the file is broken or truncated"


def _too_large(step: str, limits: Limits, needed_bytes: int = 0) -> str:
    needed = f"at least {needed_bytes >> 20} MB" if needed_bytes else f"more than {limits.memory_bytes >> 20} MB"
    return f"needs {needed} of memory for {step}; {limits.memory_bytes >> 20} MB are free here. Use a smaller model"


def _last_step(out: bytes) -> str:
    """Name the last step that the child began."""
    for line in reversed(out.splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(line)["step"])
    return "its start"


# What follows runs in the child.


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
        answer = {"error": _too_large("a run", limits)}
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
    raise ModelError(_too_large("one of its tensors", limits, needed))


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
    for name, values in _inputs(entry.shape, (scale,) if scale else SCALES, entry.limits):
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
        for name, image in _images(240, 320):
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


def _inputs(
    shape: tuple[int, ...], scales: Sequence[Scale], limits: tuple[float, float] | None
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (name, real values of the input's shape): noise first, then flat values, then images of faces and others.

    Images go through each of the ``scales``; a quantised input also gets them stretched over all that it can hold.
    """
    import numpy as np

    from ferd.models.preprocess import spec_of

    rng = np.random.default_rng(0)
    for _ in range(NOISE_IMAGES):
        yield "noise", rng.uniform(-1, 1, shape).astype(np.float32)
    for name, value in (("zeros", 0.0), ("ones", 1.0), ("minus ones", -1.0)):
        yield name, np.full(shape, value, np.float32)
    spec = spec_of(shape)
    if spec is None:
        return  # not an image classifier: the importer says so
    channels = 1 if spec.colour == "gray" else 3
    for name, image in _images(spec.height, spec.width):
        whole = np.broadcast_to(image[:, :, None], (spec.height, spec.width, channels)).astype(np.float32)
        ways = [(whole / 255 - np.asarray(mean)) / np.asarray(std) for mean, std in scales]
        if limits is not None:
            low, high = limits
            ways.append(low + whole / 255 * (high - low))
        for way in ways:
            ordered = np.moveaxis(way, -1, 0) if spec.layout == "nchw" else way
            yield name, ordered.reshape(shape).astype(np.float32)


def _images(height: int, width: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (name, gray values 0 to 255): faces in several lights and sizes, and what else a camera may show."""
    import numpy as np

    rng = np.random.default_rng(1)
    lights = ((200, 40, 120), (120, 20, 60), (90, 30, 210), (235, 190, 250), (60, 40, 20))
    faces = [_Face(*light) for light in lights]
    faces += [_Face(180, 60, 100, size=1.6), _Face(180, 60, 100, size=0.6)]
    for face in faces:
        yield "a drawn face", face.draw(height, width)
    grain = rng.normal(0, 12, (height, width))
    yield "a drawn face in poor light", np.clip(_Face(50, 20, 35).draw(height, width) + grain, 0, 255)
    ramp = np.linspace(0, 255, width)[None, :].repeat(height, axis=0)
    yield "a gradient", ramp.astype(np.float32)
    yield "a gradient", ramp[:, ::-1].astype(np.float32)
    tiles = np.indices((height, width)) // max(1, min(height, width) // 8)
    yield "a checkerboard", (255 * (tiles.sum(axis=0) % 2)).astype(np.float32)
    for level in (0, 64, 128, 192, 255):
        yield f"a flat image of gray {level}", np.full((height, width), level, np.float32)


@dataclass(frozen=True, slots=True)
class _Face:
    """A face to draw: gray values of skin, hair and room. Size 1: as large as in the crops that classifiers get."""

    skin: float
    hair: float
    room: float
    size: float = 1.0

    def draw(self, height: int, width: int) -> NDArray[np.float32]:
        """Draw head, hair, brows, eyes, nose and mouth by soft ellipses, lit from one side: (height, width)."""
        import numpy as np

        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] / self.size
        image = np.full(x.shape, float(self.room))
        for cx, cy, rx, ry, value in self._ellipses():
            inside = np.clip((1 - np.hypot((x - cx) / rx, (y - cy) / ry)) * 6 + 0.5, 0, 1)
            image += inside * (value - image)
        lit: NDArray[np.float32] = np.clip(image * (1 + 0.15 * x), 0, 255).astype(np.float32)
        return lit

    def _ellipses(self) -> Iterator[tuple[float, float, float, float, float]]:
        """Yield centre x and y, radius x and y, gray value; the head reaches from -1 to 1."""
        skin, hair = self.skin, self.hair
        yield 0, -0.15, 0.85, 0.95, hair
        yield 0, 0.1, 0.7, 0.9, skin
        for side in (-0.3, 0.3):
            yield side, -0.32, 0.2, 0.05, hair
            yield side, -0.15, 0.15, 0.08, min(255.0, skin + 40)
            yield side, -0.15, 0.07, 0.08, 0.2 * skin
        yield 0, 0.2, 0.12, 0.06, 0.7 * skin
        yield 0, 0.52, 0.3, 0.09, 0.5 * skin


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
