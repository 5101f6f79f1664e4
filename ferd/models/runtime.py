"""The seam to the TFLite runtime: `ai_edge_litert` where it is installed, else `tflite_runtime`.

Needs numpy and one of the two, nothing else of ferd: the trial load (trial.py) runs this in a bare child process.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
FORCE_ENV = "FERD_TFLITE_RUNTIME"
"""Environment variable that picks one runtime by its package name, for comparing them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output of a model file. `scale` is 0 when the tensor is not quantised."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def quantised(self) -> bool:
        return self.scale > 0 and self.dtype in (np.int8, np.uint8)

    @property
    def limits(self) -> tuple[float, float] | None:
        """The least and the largest real value that a quantised tensor can hold."""
        if not self.quantised:
            return None
        info = np.iinfo(self.dtype)
        return (info.min - self.zero_point) * self.scale, (info.max - self.zero_point) * self.scale

    def quantise(self, values: NDArray[np.floating]) -> NDArray[Any]:
        """Real values to what the tensor holds."""
        if not self.quantised:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        steps = np.rint(values / self.scale + self.zero_point)
        stored: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(self.dtype)
        return stored

    def dequantise(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """What the tensor holds to real values."""
        if not self.quantised:
            return stored.astype(np.float32)
        return ((stored.astype(np.float32) - self.zero_point) * np.float32(self.scale)).astype(np.float32)


class Network:
    """A loaded model file with one input. Not safe for use from two threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when there is no runtime, or it does not accept the file.

        tflite-runtime can crash on a broken file: let trial.py go first for files that nobody vouched for.
        """
        module = find_runtime()
        self.runtime = module.__name__.partition(".")[0]
        try:
            # One thread: for these small networks a second one costs more than it brings.
            self._interpreter = module.Interpreter(model_path=str(path), num_threads=1)
            self._interpreter.allocate_tensors()
            inputs = [_tensor(d) for d in self._interpreter.get_input_details()]
            self.outputs = tuple(_tensor(d) for d in self._interpreter.get_output_details())
        except (ValueError, RuntimeError, TypeError, OSError) as error:
            raise ModelError(f"{path}: {self.runtime} does not accept this file: {_first_line(error)}") from None
        if len(inputs) != 1 or not self.outputs:
            raise ModelError(f"{path}: has {len(inputs)} inputs and {len(self.outputs)} outputs; one picture goes in")
        self.input = inputs[0]

    def invoke(self, stored: NDArray[Any]) -> NDArray[Any]:
        """One run: the input as the file stores it (see Tensor.quantise), and the first output likewise."""
        self._interpreter.set_tensor(self.input.index, stored)
        self._interpreter.invoke()
        output: NDArray[Any] = self._interpreter.get_tensor(self.outputs[0].index)
        return output

    @property
    def half_floats(self) -> bool:
        """True when weights are stored as float16: a fine size, but no gain in time on a Pi's processor."""
        return any(np.dtype(details["dtype"]) == np.float16 for details in self._interpreter.get_tensor_details())

    def __repr__(self) -> str:
        return f"<Network {self.runtime} {self.input.shape} -> {self.outputs[0].shape} {self.input.dtype}>"


def find_runtime() -> Any:
    """The interpreter module of the runtime in use. Raises ModelError with the remedy when there is none."""
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
        f"no TFLite runtime ({'; '.join(reasons) or f'{FORCE_ENV}={forced} is none of ours'}). "
        "pip install ai-edge-litert (or tflite-runtime with numpy<2 on Python 3.11)"
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
