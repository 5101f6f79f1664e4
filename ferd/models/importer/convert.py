"""Convert Keras, SavedModel and TensorFlow.js exports to full int8 TFLite, and measure what that changed.

TensorFlow comes with the extra `convert` only. It runs in a process of its own (to_int8.py), so that its output, memory
and crashes stay there.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.importer.export import Export
from ferd.models.importer.install import RANGES
from ferd.models.importer.to_int8 import SIDE
from ferd.models.preprocess import InputSpec
from ferd.types import Image
from ferd.vision.align import middle_square
from ferd.vision.images import IMAGE_SUFFIXES, read_image, to_input_colour

MIN_IMAGES = 10
MAX_IMAGES = 200
TIMEOUT_S = 1800
_RGB = InputSpec(SIDE, SIDE, "rgb")


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between the outputs before and after quantisation, over the images used for it.

    Attributes:
        agree: share of images with the same most likely label.
        mean, worst: absolute difference of a score.
    """

    images: int
    agree: float
    mean: float
    worst: float


class Int8Converter:
    """Convert an export to a file. `difference` is set afterwards."""

    def __init__(self, images: Sequence[Image], values: str | None, source: Path) -> None:
        """Take the images to quantise with: gray or BGR uint8, of any size, like those that the model will see.

        Raises ModelError when there are too few.
        """
        if len(images) < MIN_IMAGES:
            raise ModelError(
                f"{source}: {len(images)} images are too few to quantise with; give a folder with at least "
                f"{MIN_IMAGES} like those it will see (--pictures DIR)"
            )
        self._images = images[:MAX_IMAGES]
        self._values, self._source = values, source
        self.difference: Difference | None = None

    def __call__(self, export: Export, target: Path) -> None:
        """Convert `export` to the file `target`. Raises ModelError when TensorFlow is missing or refuses the model."""
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
        squares = b"".join(_as_square(image) for image in self._images)
        try:
            child = subprocess.run(command, input=squares, capture_output=True, timeout=TIMEOUT_S, check=False)
            answer: dict[str, Any] = json.loads(child.stdout)
        except subprocess.TimeoutExpired:
            raise ModelError(f"{self._source}: converting took longer than {TIMEOUT_S // 60} minutes") from None
        except json.JSONDecodeError:
            last = (child.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise ModelError(f"{self._source}: converting failed: {last}") from None
        if error := answer.get("error"):
            raise ModelError(f"{self._source}: TensorFlow refuses this model ({error}). Export it again")
        return answer


def _as_square(image: Image) -> bytes:
    return np.ascontiguousarray(to_input_colour(middle_square(image, (SIDE, SIDE)), _RGB)).tobytes()


def compare(before: NDArray[np.floating], after: NDArray[np.floating]) -> Difference:
    """Compare the scores of both models, (images, labels) each."""
    apart = np.abs(before - after)
    same = before.argmax(axis=1) == after.argmax(axis=1)
    return Difference(len(before), float(same.mean()), float(apart.mean()), float(apart.max()))


def read_images(folder: Path) -> list[Image]:
    """Read the images in the folder and below; evenly chosen when there are more than MAX_IMAGES."""
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES and f.is_file())
    step = max(1, len(files) // MAX_IMAGES)
    return [image for file in files[::step] if (image := read_image(file)) is not None]
