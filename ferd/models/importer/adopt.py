"""Takes an export in: unpack, recognise, try, write the card. Nothing is stored before all of it went well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ferd.errors import ModelError
from ferd.models import sandbox as trial
from ferd.models.bundle import Bundle, InputSpec, View, sha256_of
from ferd.models.importer.labels import labels_of
from ferd.models.importer.normalisation import normalisation
from ferd.models.importer.recognise import Export, recognise_export
from ferd.models.importer.unpack import unpack
from ferd.models.store import store

LEAST_SIDE, MOST_SIDE = 16, 1024
RANGES = {"-1..1": (0.5, 0.5), "0..1": (0.0, 1.0), "0..255": (0.0, 1 / 255)}
"""What a float model wants its pixels to be -> (mean, std) of (value / 255 - mean) / std."""

SLACK = 0.02
"""Share of a range by which a quantised input may miss it: 255 steps cannot hold -1, 0 and 1 exactly."""

Convert = Callable[[Export, Path], None]
"""Writes a full int8 .tflite file for an export that is none."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user may say beside the file. `values`: a key of RANGES, for float models; None: what the file says."""

    name: str
    view: View = "face"
    labels: Path | None = None
    values: str | None = None
    replace: bool = False


def adopt(source: Path, wishes: Wishes, convert: Convert | None = None) -> Bundle:
    """The stored bundle. Raises ModelError with the remedy; then nothing was stored.

    `convert` is called for Keras, TensorFlow.js and SavedModel exports; without it they are refused.
    """
    with TemporaryDirectory(prefix="ferd-add-") as folder, _named(source, folder):
        export = recognise_export(source, unpack(source, Path(folder) / "export"))
        labels = labels_of(export, source, wishes.labels)
        file = export.model
        if export.kind != "tflite":
            if convert is None:
                raise ModelError(
                    f"{source}: is a {export.kind} export and has to be converted to int8, by pictures like those it "
                    "will see: add --pictures DIR (and see `ferd model add --help`). "
                    'Or export "Tensorflow Lite", "Quantized", which needs neither'
                )
            file = Path(folder) / "converted.tflite"
            convert(export, file)
        facts = trial.examine(file)
        check(source, facts, labels)
        card = {
            "name": wishes.name,
            "kind": "expression",
            "version": 1,
            "labels": list(labels),
            "input": input_spec(file, facts, wishes, converted=export.kind != "tflite").to_card(),
            "output": "probabilities" if _are_probabilities(facts.scores) else "logits",
            "temperature": 1.0,
            "trained_on": [{"name": "yours", "what": f"imported from {source.name}", "licence": "as you say"}],
            "licence": "yours",
            "sha256": sha256_of(file),
            "created": datetime.now(UTC).date().isoformat(),
        }
        return store(file, card, replace=wishes.replace)


@contextmanager
def _named(source: Path, folder: str) -> Iterator[None]:
    """Errors name what the user gave, not where it was unpacked: that is gone when they are read."""
    try:
        yield
    except ModelError as error:
        raise ModelError(str(error).replace(f"{folder}/export/", f"{source}: ").replace(folder, str(source))) from None


def check(source: Path, facts: trial.Facts, labels: tuple[str, ...]) -> None:
    """Raises ModelError when this is no classifier of pictures, or not one with these labels."""
    shape, outputs = facts.input_shape, facts.output_shapes
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ModelError(
            f"{source}: takes {'x'.join(map(str, shape))} numbers, no picture: a model of sounds, poses or sensors. "
            "ferd takes picture classifiers: an image project in Teachable Machine"
        )
    if len(outputs) > 1:
        raise ModelError(
            f"{source}: gives {len(outputs)} outputs: a model that finds objects, not one that says which class a "
            "picture is of. Train a classifier"
        )
    if sum(side > 1 for side in outputs[0]) > 1:
        raise ModelError(f"{source}: gives a map of {'x'.join(map(str, outputs[0]))}, not one score a class")
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in shape[1:3]):
        raise ModelError(f"{source}: its input is {shape[2]}x{shape[1]} pixels; {LEAST_SIDE} to {MOST_SIDE} are usual")
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
            "labels.txt must hold one line a class, in the order of the training"
        )


def input_spec(file: Path, facts: trial.Facts, wishes: Wishes, *, converted: bool) -> InputSpec:
    """The input with its scale, by the first that says it: the user, the input's own range, the file's metadata.

    Teachable Machine's -1 to 1 otherwise. A converted file was made with the scale of `wishes.values`, and its range is
    that of the pictures it was quantised by.
    """
    _, height, width, channels = facts.input_shape
    scale = RANGES.get(wishes.values or "")
    if scale is None and not converted:
        scale = _by_range(facts.input_range) or normalisation(file.read_bytes())
    mean, std = scale or RANGES["-1..1"]
    return InputSpec(width, height, "gray" if channels == 1 else "rgb", mean, std, wishes.view)


def _by_range(limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """A quantised input that holds just one of the usual ranges takes pixels as they are: 0 is its least value.

    Other ranges are those of some pictures that it was quantised by, and say nothing.
    """
    if limits is None:
        return None
    low, high = limits
    for mean, std in RANGES.values():
        darkest, brightest = -mean / std, (1 - mean) / std
        if max(abs(low - darkest), abs(high - brightest)) < SLACK * (brightest - darkest):
            return -low / (high - low), 1 / (high - low)
    return None


def _are_probabilities(scores: tuple[tuple[float, ...], ...]) -> bool:
    """Softmax, give or take the steps of int8, which add up over many classes."""
    return all(min(row) >= -1e-3 and abs(sum(row) - 1) < 0.02 + 0.002 * len(row) for row in scores)
