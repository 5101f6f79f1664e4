"""Keras, SavedModel and TensorFlow.js exports become full int8 TFLite, measured against what they were.

TensorFlow comes with the extra `convert` only. It runs in a process of its own (to_int8.py), so that what it prints,
takes or breaks is not ours.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import InputSpec
from ferd.models.importer.adopt import RANGES
from ferd.models.importer.recognise import Export
from ferd.models.importer.to_int8 import SIDE
from ferd.types import Image
from ferd.vision.align import middle_square
from ferd.vision.classifier import to_input_colour

LEAST_PICTURES = 10
MOST_PICTURES = 200
TIMEOUT_S = 1800
_RGB = InputSpec(SIDE, SIDE, "rgb")


@dataclass(frozen=True, slots=True)
class Difference:
    """What quantising changed, over the pictures it was done by. `agree`: share with the same label on top."""

    pictures: int
    agree: float
    mean: float
    worst: float


class Int8Converter:
    """Called with an export and the file to write. `difference` is there afterwards."""

    def __init__(self, pictures: Sequence[Image], values: str | None, source: Path) -> None:
        """`pictures`: gray or BGR uint8, of any size: like those that the model will see."""
        if len(pictures) < LEAST_PICTURES:
            raise ModelError(
                f"{source}: {len(pictures)} pictures are too few to quantise by; give a folder with at least "
                f"{LEAST_PICTURES} like those it will see (--pictures DIR)"
            )
        self._pictures = pictures[:MOST_PICTURES]
        self._values, self._source = values, source
        self.difference: Difference | None = None

    def __call__(self, export: Export, target: Path) -> None:
        """Raises ModelError when the extra is missing or TensorFlow does not take the model."""
        if missing := [name for name in ("tensorflow", "tf_keras") if importlib.util.find_spec(name) is None]:
            raise ModelError(
                f"{self._source}: is a {export.kind} export; converting it needs {' and '.join(missing)}: "
                "pip install 'ferd[convert]' (about 2 GB, on a PC rather than on a Pi). "
                'Or export "Tensorflow Lite", "Quantized", which needs nothing'
            )
        answer = self._run(export, target)
        self.difference = compare(np.array(answer["before"]), np.array(answer["after"]))

    def _run(self, export: Export, target: Path) -> dict[str, Any]:
        mean, std = RANGES[self._values or "-1..1"]
        module = [sys.executable, "-P", "-m", "ferd.models.importer.to_int8"]
        command = [*module, export.kind, str(export.model), str(target), str(mean), str(std)]
        squares = b"".join(_as_square(picture) for picture in self._pictures)
        try:
            child = subprocess.run(command, input=squares, capture_output=True, timeout=TIMEOUT_S, check=False)
            answer: dict[str, Any] = json.loads(child.stdout)
        except subprocess.TimeoutExpired:
            raise ModelError(f"{self._source}: converting took longer than {TIMEOUT_S // 60} minutes") from None
        except json.JSONDecodeError:
            last = (child.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise ModelError(f"{self._source}: converting failed: {last}") from None
        if error := answer.get("error"):
            raise ModelError(f"{self._source}: TensorFlow does not take this model ({error}). Export it again")
        return answer


def _as_square(picture: Image) -> bytes:
    return np.ascontiguousarray(to_input_colour(middle_square(picture, (SIDE, SIDE)), _RGB)).tobytes()


def compare(before: NDArray[np.floating], after: NDArray[np.floating]) -> Difference:
    apart = np.abs(before - after)
    same = before.argmax(axis=1) == after.argmax(axis=1)
    return Difference(len(before), float(same.mean()), float(apart.mean()), float(apart.max()))


Read = Callable[[Path], Image | None]


def read_pictures(folder: Path, read: Read, suffixes: frozenset[str]) -> list[Image]:
    """Pictures in the folder and below, evenly chosen when there are many."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in suffixes and f.is_file())
    step = max(1, len(files) // MOST_PICTURES)
    return [picture for file in files[::step] if (picture := read(file)) is not None]
