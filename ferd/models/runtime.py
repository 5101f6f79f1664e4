"""Run model files by the TFLite runtime: `ai_edge_litert` where it is installed, else `tflite_runtime`.

Needs numpy and one of the two, nothing else of ferd: the sandbox runs this in a bare child process.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.extras import how_to_install
from ferd.models.quiet import without_noise

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
FORCE_ENV = "FERD_TFLITE_RUNTIME"
"""Environment variable that selects one runtime by its package name, for comparing them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Describe an input or output of a model file. `scale` is 0 when the tensor is not quantised."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    _values: NDArray[np.float32] | None = field(init=False, repr=False, compare=False, default=None)
    """The real value of each byte that a quantised tensor stores, by the byte as an unsigned number."""

    def __post_init__(self) -> None:
        if self.quantised:
            stored = np.arange(256).astype(np.uint8).view(self.dtype).astype(np.float32)
            values = ((stored - self.zero_point) * np.float32(self.scale)).astype(np.float32)
            object.__setattr__(self, "_values", values)

    @property
    def quantised(self) -> bool:
        return self.scale > 0 and self.dtype in (np.int8, np.uint8)

    @property
    def limits(self) -> tuple[float, float] | None:
        """Smallest and largest real value that a quantised tensor can hold."""
        if not self.quantised:
            return None
        info = np.iinfo(self.dtype)
        return (info.min - self.zero_point) * self.scale, (info.max - self.zero_point) * self.scale

    def quantise(self, values: NDArray[np.floating]) -> NDArray[Any]:
        """Convert real values to what the tensor stores."""
        if not self.quantised:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(values / self.scale + self.zero_point)
        stored: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(self.dtype)
        return stored

    def dequantise(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Convert what the tensor stores to real values."""
        if self._values is None:
            return stored.astype(np.float32)
        return self._values.take(stored.view(np.uint8))  # less than half the time of arithmetic


class Network:
    """A loaded model file with one input. Not safe for use from two threads at once."""

    def __init__(self, path: Path, head: int = 0) -> None:
        """Load a file. Raises ModelError when there is no runtime, or it does not accept the file.

        `head`: which of several outputs counts; it becomes the first one of `outputs`.

        tflite-runtime can crash on a broken file: try files that are not trusted in the sandbox first.
        """
        module = find_runtime()
        self.runtime = module.__name__.partition(".")[0]
        try:
            # One thread: for these small networks a second one costs more than it saves.
            with without_noise():
                self._interpreter = module.Interpreter(model_path=str(path), num_threads=1)
                self._interpreter.allocate_tensors()
            inputs = [_tensor(d) for d in self._interpreter.get_input_details()]
            outputs = [_tensor(d) for d in self._interpreter.get_output_details()]
        except (ValueError, RuntimeError, TypeError, OSError) as error:
            raise ModelError(f"{path}: {self.runtime} does not accept this file: {_first_line(error)}") from None
        if len(inputs) != 1 or not outputs:
            raise ModelError(
                f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; ferd takes one image as input"
            )
        if not 0 <= head < len(outputs):
            raise ModelError(f"{path}: has {len(outputs)} outputs, its card names number {head + 1}")
        self.input = inputs[0]
        self.outputs = (outputs[head], *outputs[:head], *outputs[head + 1 :])

    def invoke(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Run once. The input is as the file stores it (see Tensor.quantise), and so is the returned first output."""
        self._interpreter.set_tensor(self.input.index, stored)
        self._interpreter.invoke()
        return self.read(self.outputs[0])

    def read(self, output: Tensor) -> NDArray[Any]:
        """Return one of `outputs` as the last run left it."""
        values: NDArray[Any] = self._interpreter.get_tensor(output.index)
        return values

    @property
    def half_floats(self) -> bool:
        """Whether weights are stored as float16: half the size, but not faster on a Pi's processor."""
        return any(np.dtype(details["dtype"]) == np.float16 for details in self._interpreter.get_tensor_details())

    def __repr__(self) -> str:
        return f"<Network {self.runtime} {self.input.shape} -> {self.outputs[0].shape} {self.input.dtype}>"


def largest_tensor(path: Path) -> int:
    """Return the bytes of the largest tensor that the file declares, before any memory is taken for it.

    0 when the runtime does not accept the file: loading it then says why.
    """
    module = find_runtime()
    try:
        details = module.Interpreter(model_path=str(path), num_threads=1).get_tensor_details()
        return max((_bytes_of(one) for one in details), default=0)
    except (ValueError, RuntimeError, TypeError, OSError):
        return 0


def _bytes_of(details: dict[str, Any]) -> int:
    count = 1
    for side in details["shape"]:
        count *= max(1, int(side))
    return count * int(np.dtype(details["dtype"]).itemsize)


def find_runtime() -> Any:
    """Return the interpreter module of the runtime. Raises ModelError with the remedy when there is none."""
    forced = os.environ.get(FORCE_ENV)
    reasons = []
    for name in RUNTIMES:
        if forced and name.partition(".")[0] != forced:
            continue
        try:
            return importlib.import_module(name)
        except ImportError as error:
            reasons.append(f"{name.partition('.')[0]}: {_first_line(error)}")
    raise ModelError(
        f"no TFLite runtime ({'; '.join(reasons) or f'{FORCE_ENV}={forced} is not a known runtime'}). "
        f"{how_to_install('ai-edge-litert')} (or tflite-runtime with numpy<2 on Python 3.11)"
    )


def _tensor(details: dict[str, Any]) -> Tensor:
    scale, zero_point = details["quantization"]
    return Tensor(
        index=int(details["index"]),
        shape=tuple(int(n) for n in details["shape"]),
        dtype=np.dtype(details["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
