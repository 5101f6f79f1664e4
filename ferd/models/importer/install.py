"""Import an export: unpack, recognise, try in the sandbox, write the card. Nothing is stored unless all succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ferd.errors import ModelError
from ferd.models import sandbox
from ferd.models.bundle import Bundle, sha256_of
from ferd.models.importer.export import Export, labels_of, normalisation, recognise_export
from ferd.models.importer.unpack import unpack
from ferd.models.preprocess import InputSpec, View
from ferd.models.registry import store

MIN_SIDE, MAX_SIDE = 16, 1024
RANGES = {"-1..1": (0.5, 0.5), "0..1": (0.0, 1.0), "0..255": (0.0, 1 / 255)}
"""Range of a float model's input values -> (mean, std) of (value / 255 - mean) / std."""

TOLERANCE = 0.02
"""Share of a range by which a quantised input may deviate: 255 steps cannot hold -1, 0 and 1 exactly."""

Convert = Callable[[Export, Path], None]
"""Writes a full int8 .tflite file for an export in another format."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options that the user gives beside the file.

    Attributes:
        values: input range of a float model, a key of RANGES; None: as the file states it.
    """

    name: str
    view: View = "face"
    labels: Path | None = None
    values: str | None = None
    replace: bool = False


def import_model(source: Path, options: ImportOptions, convert: Convert | None = None) -> Bundle:
    """Import an export and return the installed bundle.

    Args:
        convert: called for Keras, TensorFlow.js and SavedModel exports; without it they are refused.

    Raises:
        ModelError: with the remedy; nothing was stored.
    """
    with TemporaryDirectory(prefix="ferd-add-") as folder, _errors_name(source, folder):
        export = recognise_export(source, unpack(source, Path(folder) / "export"))
        labels = labels_of(export, source, options.labels)
        file = export.model
        if export.kind != "tflite":
            if convert is None:
                raise ModelError(
                    f"{source}: is a {export.kind} export and must be converted to int8 with images like those it "
                    "will see: add --pictures DIR (see `ferd model add --help`). "
                    'Or export "Tensorflow Lite", "Quantized", which needs neither'
                )
            file = Path(folder) / "converted.tflite"
            convert(export, file)
        facts = sandbox.examine(file)
        check(source, facts, labels)
        card = {
            "name": options.name,
            "kind": "expression",
            "version": 1,
            "labels": list(labels),
            "input": input_spec(file, facts, options, converted=export.kind != "tflite").to_card(),
            "output": "probabilities" if _are_probabilities(facts.scores) else "logits",
            "temperature": 1.0,
            "trained_on": [{"name": "yours", "what": f"imported from {source.name}", "licence": "as you say"}],
            "licence": "yours",
            "sha256": sha256_of(file),
            "created": datetime.now(UTC).date().isoformat(),
        }
        return store(file, card, replace=options.replace)


@contextmanager
def _errors_name(source: Path, folder: str) -> Iterator[None]:
    """Let errors name the user's file instead of the temporary folder, which is gone when they are read."""
    try:
        yield
    except ModelError as error:
        raise ModelError(str(error).replace(f"{folder}/export/", f"{source}: ").replace(folder, str(source))) from None


def check(source: Path, facts: sandbox.Facts, labels: tuple[str, ...]) -> None:
    """Raise ModelError when this is not an image classifier, or not one with these labels."""
    shape, outputs = facts.input_shape, facts.output_shapes
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ModelError(
            f"{source}: takes {'x'.join(map(str, shape))} numbers, not an image: a model of sounds, poses or sensors. "
            "ferd takes image classifiers: an image project in Teachable Machine"
        )
    if len(outputs) > 1:
        raise ModelError(
            f"{source}: gives {len(outputs)} outputs: a model that finds objects, not one that names the class of an "
            "image. Train a classifier"
        )
    if sum(side > 1 for side in outputs[0]) > 1:
        raise ModelError(f"{source}: gives a map of {'x'.join(map(str, outputs[0]))}, not one score per class")
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in shape[1:3]):
        raise ModelError(f"{source}: its input is {shape[2]}x{shape[1]} pixels; {MIN_SIDE} to {MAX_SIDE} are supported")
    if facts.half_floats or facts.input_dtype == "float16":
        raise ModelError(
            f"{source}: is stored in float16, which a Pi's processor is slow at. Export it as int8 "
            '("Quantized" in Teachable Machine) or float32'
        )
    if facts.input_dtype not in ("int8", "uint8", "float32"):
        raise ModelError(f"{source}: its input type is {facts.input_dtype}; export it as int8, uint8 or float32")
    classes = max(outputs[0], default=1)
    if classes != len(labels):
        raise ModelError(
            f"{source}: gives {classes} scores, but there are {len(labels)} labels ({', '.join(labels[:8])}). "
            "labels.txt must hold one line per class, in the order of the training"
        )


def input_spec(file: Path, facts: sandbox.Facts, options: ImportOptions, *, converted: bool) -> InputSpec:
    """Return the input with its scale, by the first of: the user, the input's own range, the file's metadata, -1 to 1.

    -1 to 1 is Teachable Machine's. A converted file was made with the scale of `options.values`; its own range is that
    of the images used for quantisation, and says nothing.
    """
    _, height, width, channels = facts.input_shape
    scale = RANGES.get(options.values or "")
    if scale is None and not converted:
        scale = _by_range(facts.input_range) or normalisation(file.read_bytes())
    mean, std = scale or RANGES["-1..1"]
    return InputSpec(width, height, "gray" if channels == 1 else "rgb", mean, std, options.view)


def _by_range(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Return the scale that maps pixels 0 to 255 onto a quantised input, when its limits are one of the usual ranges.

    Other limits come from the images used for quantisation, and say nothing.
    """
    if limits is None:
        return None
    low, high = limits
    for mean, std in RANGES.values():
        darkest, brightest = -mean / std, (1 - mean) / std
        if max(abs(low - darkest), abs(high - brightest)) < TOLERANCE * (brightest - darkest):
            return -low / (high - low), 1 / (high - low)
    return None


def _are_probabilities(scores: tuple[tuple[float, ...], ...]) -> bool:
    """Whether each row sums to 1, within the rounding of int8, which adds up over many classes."""
    return all(min(row) >= -1e-3 and abs(sum(row) - 1) < 0.02 + 0.002 * len(row) for row in scores)
