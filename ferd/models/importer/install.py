"""Import an export: unpack, recognise, try in the sandbox, write the card. Nothing is stored unless all succeeds.

Nothing is guessed in silence: how the model sees its input comes from the user, from the file or its metadata, or from
a trial on pictures, and the card says which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from ferd.errors import ModelError
from ferd.models import sandbox
from ferd.models.bundle import Bundle, Output, sha256_of
from ferd.models.importer import input_trial
from ferd.models.importer.export import TEACHABLE_MACHINE_SIDE, Export, labels_of, normalisation, recognise_export
from ferd.models.importer.samples import Samples, demo_samples, with_labels
from ferd.models.importer.unpack import unpack
from ferd.models.labels import check_labels, check_publishable, encoding_of, label_doubts
from ferd.models.preprocess import SCALES, Channels, Colour, InputSpec, View, scale_by_range, spec_of
from ferd.models.registry import check_name, store
from ferd.scratch import scratch_folder

MIN_SIDE, MAX_SIDE = 16, 1024
FACES = 24
"""Pictures that the model must run on before it is stored, as it will be used."""
SCALE_NUMBERS = re.compile(r"([-\d.,e]+)/([-\d.,e]+)")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options that the user gives beside the file; None: found out.

    Attributes:
        scale: of the pixels, a key of SCALES or "MEAN/STD", each one number or three with commas.
        channels: order of a colour model's channels.
        output: which of several outputs counts, from 1.
        rename: old label -> new label.
        samples: pictures like those that the model will see; without them the demo scene's faces decide the scale.
        trust: convert models that run code of their authors.
    """

    name: str
    view: View | None = None
    labels: Path | None = None
    scale: str | None = None
    channels: Literal["rgb", "bgr"] | None = None
    output: int | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    samples: Samples | None = None
    trust: bool = False
    replace: bool = False


class Converter(Protocol):
    """Converts Keras, TensorFlow.js and SavedModel exports."""

    def to_float(self, export: Export, folder: Path) -> Path:
        """Write the model unchanged as float TFLite into the folder and return the file. Raises ModelError."""

    def to_int8(self, spec: InputSpec, folder: Path) -> Path:
        """Quantise what `to_float` wrote, for this input, and return the file. Raises ModelError."""


@dataclass(frozen=True, slots=True)
class _Input:
    """The input of a model and, for the card, where each part of it comes from."""

    spec: InputSpec
    scale_from: str
    channels_from: str
    view_from: str
    trial: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def import_model(source: Path, options: ImportOptions, converter: Converter | None = None) -> Bundle:
    """Import an export and return the installed bundle. Its card's `imported` says how each choice was made.

    Args:
        converter: for Keras, TensorFlow.js and SavedModel exports; without it they are refused.

    Raises:
        ModelError: with the remedy; nothing was stored.
    """
    check_name(options.name, replace=options.replace)
    options = replace(options, samples=options.samples or demo_samples())
    with scratch_folder("add") as folder, _errors_name(source, str(folder)):
        export = recognise_export(source, unpack(source, folder / "export"))
        file = export.model
        if export.kind != "tflite":
            labels_of(export, source, options.labels)  # refuses at once what would fail after minutes
            if converter is None:
                raise ModelError(
                    f"{source}: is a {export.kind} export and must be converted to int8 with images like those it "
                    "will see: add --pictures DIR (see `ferd model add --help`). "
                    'Or export "Tensorflow Lite", "Quantized", which needs neither'
                )
            file = converter.to_float(export, folder)
        facts = sandbox.examine(file)
        spec = check_image(source, facts)
        labels, labels_from, labels_doubts = _labels(export, source, options, facts)
        head = choose_output(source, facts, labels, options.output)
        kind = output_kind(source, facts, head, labels)
        model = input_trial.Model(file, labels, kind, facts.run_s, head)
        found = find_input(model, spec, facts.input_range, export, options)
        if export.kind != "tflite" and converter is not None:
            file = converter.to_int8(found.spec, folder)
            facts = sandbox.examine(file)
        if options.samples and (crops := options.samples.crops(found.spec.of, found.spec.size)[0]):
            # The trial so far knew drawn faces only; a file can be made to hang on real ones.
            pictures = input_trial.as_taken(crops[:FACES], found.spec)
            sandbox.score(file, pictures, [found.spec], head, facts.run_s)
        card = {
            "name": options.name,
            "kind": "expression",
            "version": 1,
            "labels": list(labels),
            "input": found.spec.to_card(),
            "output": kind,
            **({"head": head} if head else {}),
            "temperature": 1.0,
            **({"memory_bytes": facts.memory_bytes} if facts.memory_bytes else {}),
            "imported": _provenance(found, labels_from) | ({"labels_unsure": labels_doubts} if labels_doubts else {}),
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


def check_image(source: Path, facts: sandbox.Facts) -> InputSpec:
    """Return the input by its shape and range. Raises ModelError when the model takes no image, or an unfit one."""
    shape = facts.input_shape
    spec = spec_of(shape, facts.input_range)
    if spec is None:
        raise ModelError(
            f"{source}: takes {'x'.join(map(str, shape))} numbers, not an image: a model of sounds, poses or sensors. "
            "ferd takes image classifiers: an image project in Teachable Machine"
        )
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in spec.size):
        raise ModelError(
            f"{source}: its input is {spec.width}x{spec.height} pixels; {MIN_SIDE} to {MAX_SIDE} are supported"
        )
    if facts.half_floats or facts.input_dtype == "float16":
        raise ModelError(
            f"{source}: is stored in float16, which a Pi's processor is slow at. Export it as int8 "
            '("Quantized" in Teachable Machine) or float32'
        )
    if facts.input_dtype not in ("int8", "uint8", "float32"):
        raise ModelError(f"{source}: its input type is {facts.input_dtype}; export it as int8, uint8 or float32")
    return spec


def _labels(
    export: Export, source: Path, options: ImportOptions, facts: sandbox.Facts
) -> tuple[tuple[str, ...], str, list[str]]:
    """Return the labels, renamed as the user wants, where they come from, and what is doubtful about them."""
    sizes = {max(shape, default=1) for shape in facts.output_shapes}
    labels, where = labels_of(export, source, options.labels, sizes.pop() if len(sizes) == 1 else None)
    if unknown := [old for old in options.rename if old not in labels]:
        raise ModelError(f'{source}: --rename: there is no class "{unknown[0]}", only {", ".join(labels[:8])}')
    labels = check_labels([options.rename.get(label, label) for label in labels], source)
    check_publishable(labels, source)
    file = options.labels or (export.labels[0] if export.labels else None)
    if file is not None and (encoding := encoding_of(file)) is not None:
        where = f"{where}, read as {encoding}"
    return labels, where, label_doubts(labels, file)


def choose_output(source: Path, facts: sandbox.Facts, labels: Sequence[str], wanted: int | None) -> int:
    """Return the number of the output that counts, from 0. Raises ModelError when that is not clear."""
    shapes = facts.output_shapes
    if wanted is not None:
        if not 1 <= wanted <= len(shapes):
            raise ModelError(f"{source}: has {len(shapes)} outputs; --output {wanted} is none of them")
        return wanted - 1
    if len(shapes) == 1:
        return 0
    fitting = [n for n, shape in enumerate(shapes) if _classes(shape) == len(labels)]
    sizes = ", ".join("x".join(map(str, shape)) for shape in shapes)
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        raise ModelError(
            f"{source}: has {len(fitting)} outputs with {len(labels)} scores each, and these labels can belong to one "
            f"of them only. Name it: --output {fitting[0] + 1} or --output {fitting[-1] + 1}"
        )
    raise ModelError(
        f"{source}: gives {len(shapes)} outputs ({sizes}), none with a score for each of {len(labels)} labels: "
        "a model that finds objects, not one that names the class of an image. Train a classifier"
    )


def _classes(shape: Sequence[int]) -> int:
    """Return the number of scores of an output; 0 when it is a map of them."""
    return 0 if sum(side > 1 for side in shape) > 1 else max(shape, default=1)


def output_kind(source: Path, facts: sandbox.Facts, head: int, labels: Sequence[str]) -> Output:
    """Return what the output means. Raises ModelError when it does not fit the labels."""
    shape, scores = facts.output_shapes[head], facts.scores[head]
    classes = _classes(shape)
    if classes == 0:
        raise ModelError(f"{source}: gives a map of {'x'.join(map(str, shape))}, not one score per class")
    within = all(-1e-3 <= value <= 1.001 for row in scores for value in row)
    if len(labels) == 1:
        raise ModelError(
            f'{source}: knows one class, "{labels[0]}", and so gives the same answer for every picture. '
            "Train it with a second one, such as everything else"
        )
    if classes == 1 and len(labels) == 2:
        return "probability" if within else "logit"
    if classes != len(labels):
        raise ModelError(
            f"{source}: gives {classes} scores, but there are {len(labels)} labels ({', '.join(labels[:8])}). "
            "labels.txt must hold one line per class, in the order of the training"
        )
    # Sigmoids need not sum to 1; as logits, values between 0 and 1 would make all classes about equally likely.
    return "probabilities" if within else "logits"


def find_input(
    model: input_trial.Model,
    spec: InputSpec,
    limits: tuple[float, float] | None,
    export: Export,
    options: ImportOptions,
) -> _Input:
    """Find scale, channel order and view: by the user, the file, its metadata, its maker, or else by a trial.

    Args:
        spec: size, colour and layout.
        limits: real values that a quantised input can hold.
    """
    teachable = export.from_teachable_machine and spec.size == (TEACHABLE_MACHINE_SIDE, TEACHABLE_MACHINE_SIDE)
    view, view_from = options.view or "face", "you" if options.view else "the default"
    if teachable and options.view is None:
        view, view_from = "frame", "Teachable Machine, which records whole pictures"
    spec = replace(spec, of=view)
    colour: Colour | None = "gray" if spec.colour == "gray" else options.channels
    scale, scale_from = _known_scale(model.file, limits, spec, options, teachable=teachable)
    channels_from = "you" if options.channels else "the shape"
    if colour is None and scale is not None:
        colour = "bgr" if options.scale == "caffe" else "rgb"
        channels_from = "the scale caffe" if colour == "bgr" else "the usual order"
    samples = options.samples and with_labels(options.samples, model.labels)
    open_view = view_from == "the default" and samples is not None and samples.own
    if scale is not None and colour is not None:
        mean, std = scale
        known = replace(spec, colour=colour, mean=mean, std=std)
        if not open_view:
            return _Input(known, scale_from, channels_from, view_from)
    ways = input_trial.possible_ways(spec, scale, colour)
    views: tuple[View, ...] = ("face", "frame") if open_view else (view,)
    trials = [made for one in views if samples and (made := _trial(model, ways, samples, one))]
    if samples is None or not trials:
        doubts = () if scale is not None else ("there are no pictures to try it on; --pictures DIR names some",)
        why = "a guess"
        return _Input(ways[0].spec, scale_from or why, channels_from if colour else why, view_from, doubts=doubts)
    count, finding = trials[0]
    if len(trials) > 1:
        faces, frames = (found.way for _, found in trials)
        if faces.right is not None and frames.right is not None:
            if frames.sure > input_trial.CLEAR * faces.sure:
                count, finding = trials[1]
            shares = f"{100 * faces.right:.0f} % right on faces, {100 * frames.right:.0f} % on whole pictures"
            view_from = f"a trial on {samples.source}: {shares}"
    trial = f"a trial on {count} {samples.source}"
    why = f"{trial}: {finding.reason}" if finding.reason else f"a guess, which {trial} does not decide"
    return _Input(
        finding.way.spec,
        scale_from if scale is not None else why,
        channels_from if colour is not None else why,
        view_from,
        trial=tuple(("* " if way is finding.way else "  ") + str(way) for way in finding.ways) if scale is None else (),
        doubts=(finding.doubt,) if finding.doubt and scale is None else (),
    )


def _trial(
    model: input_trial.Model, ways: Sequence[input_trial.Way], samples: Samples, view: View
) -> tuple[int, input_trial.Finding] | None:
    """Try the ways on what a model of this view sees; return the number of pictures and the choice."""
    seen = [replace(way, spec=replace(way.spec, of=view)) for way in ways]
    crops, truths = samples.crops(view, seen[0].spec.size)
    if not crops:
        return None
    tried = input_trial.try_ways(model, seen, crops, truths)
    return len(crops), input_trial.choose(tried, tried[0], len(model.labels), own=samples.own)


def _known_scale(
    file: Path, limits: tuple[float, float] | None, spec: InputSpec, options: ImportOptions, *, teachable: bool
) -> tuple[tuple[Channels, Channels] | None, str]:
    """Return the scale that needs no trial, or None, and where it comes from."""
    if options.scale is not None:
        colour: Colour = "gray" if spec.colour == "gray" else options.channels or "rgb"
        if options.channels is None and options.scale == "caffe" and colour == "rgb":
            colour = "bgr"
        return read_scale(options.scale, colour), "you"
    if found := scale_by_range(limits):
        return found, "the range of its input"
    if stated := normalisation(file.read_bytes()):
        if spec.colour == "gray" and any(isinstance(part, tuple) for part in stated):
            return None, ""
        return stated, "its metadata"
    return (SCALES["-1..1"], "Teachable Machine") if teachable else (None, "")


def read_scale(text: str, colour: Colour) -> tuple[Channels, Channels]:
    """Read --scale: a name of SCALES, or MEAN/STD. Raises ModelError."""
    if text in SCALES:
        return input_trial.named_scale(text, colour)
    found = SCALE_NUMBERS.fullmatch(text)
    try:
        mean, std = (_numbers(part) for part in found.groups()) if found else ((), ())
    except ValueError:
        mean, std = (), ()
    if not mean or not std or min(std) <= 0 or (colour == "gray" and max(len(mean), len(std)) > 1):
        raise ModelError(
            f"--scale {text}: is none of {', '.join(SCALES)} and not MEAN/STD of (value / 255 - MEAN) / STD, "
            "one number each, or three with commas for a model with colours: 0.485,0.456,0.406/0.229,0.224,0.225"
        )
    return _channels(mean), _channels(std)


def _numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(part) for part in text.split(","))
    return numbers if len(numbers) in (1, 3) and all(map(math.isfinite, numbers)) else ()


def _channels(numbers: tuple[float, ...]) -> Channels:
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1], numbers[2])


def _provenance(found: _Input, labels_from: str) -> dict[str, Any]:
    """Describe for the card and the user how the input is read, where that comes from, and how to set it."""
    spec = found.spec
    parts: dict[str, Any] = {"scale": f"{scale_name(spec)}, by {found.scale_from} (--scale)"}
    if spec.colour != "gray":
        parts["channels"] = f"{spec.colour.upper()}, by {found.channels_from} (--channels)"
    what = "the face that ferd cuts out" if spec.of == "face" else "the middle square of the whole picture"
    parts["sees"] = f"{what}, by {found.view_from} (--input)"
    parts["labels"] = f"from {labels_from} (--labels)"
    if found.trial:
        parts["trial"] = list(found.trial)
    if found.doubts:
        parts["unsure"] = list(found.doubts)
    return parts


def scale_name(spec: InputSpec) -> str:
    """Return the name of a scale, or its numbers."""
    for name in SCALES:
        if input_trial.named_scale(name, spec.colour) == (spec.mean, spec.std):
            return name
    if isinstance(spec.mean, tuple) or isinstance(spec.std, tuple):
        return f"mean {spec.mean}, deviation {spec.std}"
    return f"{-spec.mean / spec.std:.3g}..{(1 - spec.mean) / spec.std:.3g}"
