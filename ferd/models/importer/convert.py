"""Convert Keras, SavedModel and TensorFlow.js exports to full int8 TFLite, and measure what that changed.

TensorFlow comes with the extra `convert` only. It runs in a process of its own (to_int8.py), so that its output, memory
and crashes stay there.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.extras import how_to_add
from ferd.models.importer.export import Export
from ferd.models.importer.samples import Samples
from ferd.models.preprocess import InputSpec
from ferd.vision.images import to_input_colour

MIN_IMAGES = 10
TIMEOUT_S = 1800
LEAST_AGREEMENT = 0.9
"""Share of pictures with the same label before and after quantisation; below it, the conversion is not trustworthy."""
FLAT = 4.0
"""Mean difference of the colour channels, in levels, below which a picture is gray."""


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
    """Convert an export to a file. `difference` and `warning` are set afterwards."""

    def __init__(self, samples: Samples, source: Path, *, trust: bool = False) -> None:
        """Take pictures to quantise with, like those that the model will see.

        Args:
            trust: convert a model that runs code of its author.
        """
        self._samples, self._source, self._trust = samples, source, trust
        self.difference: Difference | None = None
        self.warning: str | None = None

    def to_float(self, export: Export, folder: Path) -> Path:
        """Write the model unchanged as float TFLite.

        Raises ModelError when there are too few pictures, when TensorFlow is missing or refuses the model, and when
        it would run code of its author.
        """
        if missing := [name for name in ("tensorflow", "tf_keras") if importlib.util.find_spec(name) is None]:
            raise ModelError(
                f"{self._source}: is a {export.kind} export; converting it needs {' and '.join(missing)}: "
                f"{how_to_add('convert')} (about 2 GB, on a PC rather than on a Pi). "
                'Or export "Tensorflow Lite", "Quantized", which needs nothing'
            )
        if (count := len(self._samples.items)) < MIN_IMAGES:
            raise ModelError(
                f"{self._source}: {count} images are too few to quantise with; give a folder with at least "
                f"{MIN_IMAGES} like those it will see (--pictures DIR)"
            )
        target = folder / "float.tflite"
        answer = self._run({
            "step": "float", "kind": export.kind, "model": str(export.model), "target": str(target),
            "saved": str(folder / "saved"), "trust": self._trust,
        })  # fmt: skip
        if code := answer.get("code"):
            raise ModelError(
                f"{self._source}: holds {code}: converting it would run code of its author, with your rights. "
                "If you made it or trust them, add --trust. Without: export it again without that layer"
            )
        return target

    def to_int8(self, spec: InputSpec, folder: Path) -> Path:
        """Quantise what `to_float` wrote into the folder and compare the two on the pictures. Raises ModelError."""
        crops, _ = self._samples.crops(spec.of, spec.size)
        if len(crops) < MIN_IMAGES:
            raise ModelError(
                f"{self._source}: a face was found on {len(crops)} of {len(self._samples.items)} pictures; at least "
                f"{MIN_IMAGES} are needed. Does the model see whole pictures? Then add --input frame"
            )
        target = folder / "converted.tflite"
        pictures = np.stack([to_input_colour(crop, spec) for crop in crops])
        order = {"step": "int8", "saved": str(folder / "saved"), "target": str(target)}
        order |= {"float": str(folder / "float.tflite")}
        answer = self._run(order | {"spec": spec.to_card(), "shape": pictures.shape}, pictures.tobytes())
        self.difference = compare(np.array(answer["before"]), np.array(answer["after"]))
        gray = spec.colour != "gray" and all(np.ptp(crop.astype(int), axis=2).mean() < FLAT for crop in crops)
        self.warning = warning(self.difference, gray=gray)
        return target

    def _run(self, order: Mapping[str, Any], pictures: bytes = b"") -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "ferd.models.importer.to_int8", json.dumps(order)]
        try:
            child = subprocess.run(command, input=pictures, capture_output=True, timeout=TIMEOUT_S, check=False)
            answer: dict[str, Any] = json.loads(child.stdout)
        except subprocess.TimeoutExpired:
            raise ModelError(f"{self._source}: converting took longer than {TIMEOUT_S // 60} minutes") from None
        except json.JSONDecodeError:
            last = (child.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise ModelError(f"{self._source}: converting failed: {last}") from None
        if error := answer.get("error"):
            raise ModelError(f"{self._source}: TensorFlow refuses this model ({error}). Export it again")
        return answer


def compare(before: NDArray[np.floating], after: NDArray[np.floating]) -> Difference:
    """Compare the scores of both models, (images, labels) each."""
    apart = np.abs(before - after)
    if before.shape[1] == 1:  # one score, for the second of two labels
        middle = 0.5 if before.min() >= 0 and before.max() <= 1 else 0.0
        before, after = (np.concatenate([middle - scores, scores - middle], axis=1) for scores in (before, after))
    same = before.argmax(axis=1) == after.argmax(axis=1)
    return Difference(len(before), float(same.mean()), float(apart.mean()), float(apart.max()))


def warning(difference: Difference, *, gray: bool) -> str | None:
    """Return what to do when the int8 model answers too often otherwise than the original; None when it is faithful.

    `gray`: all pictures are gray, and the model takes colours.
    """
    if difference.agree >= LEAST_AGREEMENT:
        return None
    remedy = (
        "the pictures are gray and the model takes colours: give colour pictures"
        if gray
        else "give more pictures, of each class, in the light and from the camera that it will see"
    )
    return (
        f"the int8 model gives the label of the original on {100 * difference.agree:.0f} % of the pictures only, "
        f"where {100 * LEAST_AGREEMENT:.0f} % can be expected: {remedy} (--pictures DIR, --replace)"
    )
