"""`ferd model`: the installed models. This module lists, shows, adds and removes them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.cli import model_eval, model_teach
from ferd.cli.common import Command, add_commands, add_json_option
from ferd.errors import FerdError

if TYPE_CHECKING:
    from ferd.models.bundle import Bundle
    from ferd.models.importer.convert import Int8Converter
    from ferd.models.importer.samples import Samples
    from ferd.models.preprocess import InputSpec
    from ferd.models.runtime import Network

DETAILS = """
Examples:
  ferd model list                  what is installed
  ferd model show expression       labels, input, figures, data, licence; the file is loaded and run once
  ferd model show ./my.tflite      the same for a file with labels.txt beside it (Teachable Machine)
  ferd model add export.zip        install a Teachable Machine export as downloaded
  ferd model remove my-model       remove a model of your own
  ferd model teach mood --class happy --class tired     train new classes on this device
  ferd model try mood              live bars
  ferd model eval expression DATA  how good it is; see `ferd model eval --help`
"""
ADD_DETAILS = """
Examples:
  ferd model add converted_tflite_quantized.zip --name mood
  ferd model add ./my-export/                        a folder
  ferd model add model.tflite --labels labels.txt    a bare file
  ferd model add mug.zip --input frame               a model for whole pictures, not for faces
  ferd model add fer.tflite --scale 0..1             pixels from 0 to 1; without --scale a trial on faces finds out
  ferd model add fer.tflite --pictures DIR           the trial on your own pictures, best in one folder for each class
  ferd model add mood.zip --rename "None=nobody"     another name for a class
  ferd model add converted_keras.zip --pictures DIR  Keras, SavedModel and TensorFlow.js exports are converted to int8;
                                                     DIR holds pictures like those that the model will see
                                                     (needs TensorFlow, about 2 GB, on a PC)

Scales: 0..1, -1..1 (write --scale=-1..1), 0..255, imagenet, caffe, or MEAN/STD of (value / 255 - MEAN) / STD with one
number each, or three with commas in the order of the channels.
"""
HEADLINES = {
    "accuracy": "right",
    "accuracy_photos": "right on press photos",
    "recall": "found",
    "infrared": "right in infrared",
    "colour": "right in colour",
    "mouths": "right on mouths",
    "point_error": "point error",
    "ece": "calibration error",
}
"""Figures of a card that `list` shows, with their words. All are shares, 0 to 1."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(
        parser,
        (
            Command("list", "list the installed models", "", add_json_option, _list, "reads"),
            Command("show", "show everything about one model", "", _add_show_arguments, _show, "reads"),
            Command(
                "add",
                "install a model of your own: a Teachable Machine export as downloaded, or any TFLite classifier",
                ADD_DETAILS,
                _add_add_arguments,
                _add,
                "writes",
            ),
            Command("remove", "remove a model of your own", "", _add_remove_arguments, _remove, "writes"),
            model_teach.TEACH,
            model_teach.TRY,
            model_eval.EVAL,
        ),
    )


def _add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the name of an installed model, or a path to a .tflite file or bundle folder")
    add_json_option(parser)


def _add_add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, help="the zip as downloaded, a folder, or a .tflite file with labels.txt beside it")
    add("--name", help="the name of the model (default: made from the name of the file)")
    add("--input", choices=["face", "frame"], help="what it sees: faces, or whole pictures (default: found out)")
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="the classes, in the order of the model's outputs: one a line, or JSON",
    )
    add("--rename", action="append", default=[], metavar="OLD=NEW", help="another name for a class; repeat it")
    add("--scale", metavar="SCALE", help="the scale of the pixels, see below (default: what the file says, or a trial)")
    add("--channels", choices=["rgb", "bgr"], help="the order of the colours (default: the usual one, or a trial)")
    add("--output", type=int, metavar="N", help="which of several outputs counts, from 1")
    add(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="pictures like those that it will see: for the trial, and conversion",
    )
    add("--trust", action="store_true", help="convert a Keras model that runs code of its author")
    add("--replace", action="store_true", help="replace a model of the same name")


def _add_remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the name of a model of your own")


def _list(args: argparse.Namespace) -> int:
    from ferd.fs import state_dir
    from ferd.models.registry import list_bundles

    bundles = list(list_bundles())
    if args.json:
        print(json.dumps([_row(bundle) for bundle in bundles], indent=2, ensure_ascii=False))
        return 0
    for bundle in bundles:
        print(f"{bundle.name}")
        for key, value in _row(bundle).items():
            if value and key != "name":
                print(f"  {key + ':':<12}{value}")
    print(f"\nYour own models are kept in {state_dir() / 'models'}; `ferd model show NAME` shows more")
    return 0


def _row(bundle: Bundle) -> dict[str, Any]:
    """Summarise one model from its card, without loading it."""
    card = bundle.card
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "labels": ", ".join(bundle.labels),
        "input": "" if bundle.input is None else f"{bundle.input.width}x{bundle.input.height} {bundle.input.colour}",
        "size": _size(bundle),
        "figures": ", ".join(_headlines(card.get("figures", {}))),
        "licence": str(card.get("licence", "")),
        "data": "; ".join(str(source.get("name", source)) for source in card.get("trained_on", [])),
        "file": str(bundle.path),
    }


def _size(bundle: Bundle) -> str:
    size = f"{bundle.path.stat().st_size / 1000:.0f} KB"
    macs = bundle.card.get("macs")
    return f"{size}, {macs / 1e6:.1f} million multiply-adds" if macs else size


def _headlines(figures: Mapping[str, Any]) -> Iterator[str]:
    for key, words in HEADLINES.items():
        value = figures.get(key)
        if isinstance(value, Mapping):
            value = value.get("accuracy")
        if isinstance(value, int | float):
            yield f"{100 * value:.1f} % {words}"


def _show(args: argparse.Namespace) -> int:
    from ferd.models.registry import find_bundle

    facts = _facts(find_bundle(args.name))
    if args.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print_facts(facts)
    return 0


def _facts(bundle: Bundle) -> dict[str, Any]:
    """What the loaded file says, followed by the other keys of the card. Raises ModelError for a broken file."""
    network, spec = _loaded(bundle)
    known = {"name", "kind", "labels", "input", "output", "temperature", "sha256"}
    return {
        "name": bundle.name,
        "kind": bundle.kind,
        "file": str(bundle.path),
        "bytes": bundle.path.stat().st_size,
        "labels": list(bundle.labels),
        "input": f"{spec.width}x{spec.height} {spec.colour} {network.input.dtype}",
        "output": f"{bundle.output} {network.outputs[0].dtype}, temperature {bundle.temperature:g}",
        "runtime": network.runtime,
        "intact": bundle.checksum_ok if bundle.card else None,
    } | {key: value for key, value in bundle.card.items() if key not in known}


def _loaded(bundle: Bundle) -> tuple[Network, InputSpec]:
    from ferd.models.runtime import Network
    from ferd.vision.classifier import Classifier
    from ferd.vision.detectors.ferd import FerdDetector
    from ferd.vision.landmarks import LandmarkModel

    if bundle.kind in ("face", "landmarks") and bundle.input is not None:
        # Both constructors check that file and card fit together.
        FerdDetector(bundle, min_face_px=0) if bundle.kind == "face" else LandmarkModel(bundle)
        return Network(bundle.path), bundle.input
    classifier = Classifier(bundle)
    return classifier.network, classifier.input


def _print_facts(facts: Mapping[str, Any], indent: str = "") -> None:
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{indent}{key}:")
            _print_facts(value, indent + "  ")
        elif isinstance(value, list) and key == "trial":
            print("\n".join([f"{indent}{key}:", *(f"{indent}  {line}" for line in value)]))
        elif isinstance(value, list):
            print(f"{indent}{key}: {'; '.join(_flat(item) for item in value)}")
        else:
            print(f"{indent}{key}: {value}")


def _flat(item: Any) -> str:
    return ", ".join(f"{v}" for v in item.values()) if isinstance(item, dict) else str(item)


def _add(args: argparse.Namespace) -> int:
    from ferd.fs import expand
    from ferd.models.importer.install import ImportOptions, import_model
    from ferd.models.importer.samples import name_files
    from ferd.models.registry import check_name, name_from

    source = expand(args.file)
    name = args.name or name_from(source)
    check_name(name, replace=args.replace)
    samples = _samples(args.pictures)
    options = ImportOptions(
        name=name,
        view=args.input,
        labels=args.labels,
        scale=args.scale,
        channels=args.channels,
        output=args.output,
        rename=dict(_renamed(pair) for pair in args.rename),
        samples=samples,
        trust=args.trust,
        replace=args.replace,
    )
    converter = _converter(samples, source, trust=args.trust)
    bundle = import_model(source, options, converter)
    _print_facts(_facts(bundle))
    if samples is not None and samples.left_out:
        print(f"\n{len(samples.items)} pictures were read{name_files(samples.left_out)}")
    if converter is not None and (difference := converter.difference):
        print(
            f"\nconverted to int8: over {difference.images} pictures the label is the same in "
            f"{100 * difference.agree:.0f} %, scores differ by {difference.mean:.3f} on average, "
            f"{difference.worst:.3f} at worst"
        )
    print(f"\ninstalled: {bundle.path}")
    print(f'use it: model = "{bundle.name}" under [expression] in ferd.toml, or FERD_EXPRESSION__MODEL={bundle.name}')
    if converter is not None and converter.warning:
        print(f"\nWarning: {converter.warning}", file=sys.stderr)
    for doubt in bundle.card.get("imported", {}).get("labels_unsure", []):
        print(f"\nWarning: {doubt}", file=sys.stderr)
    for doubt in bundle.card.get("imported", {}).get("unsure", []):
        print(
            f"\nNot sure how it reads its pixels: {doubt}. Give pictures like those it was trained on, one folder for "
            "each class (--pictures DIR), or say it (--scale, --channels, --labels); then add --replace.",
            file=sys.stderr,
        )
    _warn_about_input(bundle)
    return 0


def _renamed(pair: str) -> tuple[str, str]:
    old, equals, new = pair.partition("=")
    if not equals:
        raise FerdError(f'--rename {pair}: write OLD=NEW, such as --rename "None=nobody"')
    return old, new


def _samples(pictures: Path | None) -> Samples | None:
    if pictures is None:
        return None
    from ferd.fs import expand, is_dir
    from ferd.models.importer.samples import read_samples

    folder = expand(pictures)
    if not is_dir(folder):
        raise FerdError(f"--pictures {folder}: is not a folder. Give one with pictures like those of the camera")
    return read_samples(folder)


def _converter(samples: Samples | None, source: Path, *, trust: bool) -> Int8Converter | None:
    """None without pictures, or where nothing is converted: the importer refuses an export that must be, if so."""
    if samples is None or source.suffix.lower() == ".tflite":
        return None
    from ferd.models.importer.convert import Int8Converter

    return Int8Converter(samples, source, trust=trust)


def _warn_about_input(bundle: Bundle) -> None:
    sees = str(bundle.card.get("imported", {}).get("sees"))
    if "by Teachable Machine" in sees:
        print("\nIt is a Teachable Machine export, so it will see whole pictures. For cropped faces: --input face.")
    by_default = "by the default" in sees
    if by_default and bundle.input is not None and bundle.input.colour != "gray":
        print(
            "\nIt will see the faces that ferd crops. Was it trained on whole webcam pictures, as Teachable Machine "
            "records them? Then add it with --input frame.",
            file=sys.stderr,
        )


def _remove(args: argparse.Namespace) -> int:
    from ferd.models.registry import remove

    for path in remove(args.name):
        print(f"removed {path}")
    return 0


MODEL = Command(
    "model",
    "list, show, add, remove, teach, try or evaluate models",
    DETAILS,
    _add_arguments,
)
