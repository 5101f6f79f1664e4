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
  ferd model add converted_keras.zip --pictures DIR  Keras, SavedModel and TensorFlow.js exports are converted to int8;
                                                     DIR holds pictures like those that the model will see
                                                     (needs the extra: pip install 'ferd[convert]')
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
            Command("list", "list the installed models", "", add_json_option, _list),
            Command("show", "show everything about one model", "", _add_show_arguments, _show),
            Command(
                "add",
                "install a model of your own: a Teachable Machine export as downloaded, or any TFLite classifier",
                ADD_DETAILS,
                _add_add_arguments,
                _add,
            ),
            Command("remove", "remove a model of your own", "", _add_remove_arguments, _remove),
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
    add("--input", choices=["face", "frame"], default="face", help="what it sees: faces (default) or whole pictures")
    add("--labels", type=Path, metavar="FILE", help="one class per line, where the export has none")
    add(
        "--values",
        choices=["-1..1", "0..1", "0..255"],
        help="the range of pixels that a float model expects (default: what the file says, else -1..1)",
    )
    add("--pictures", type=Path, metavar="DIR", help="pictures for the quantisation of exports that are converted")
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
        elif isinstance(value, list):
            print(f"{indent}{key}: {'; '.join(_flat(item) for item in value)}")
        else:
            print(f"{indent}{key}: {value}")


def _flat(item: Any) -> str:
    return ", ".join(f"{v}" for v in item.values()) if isinstance(item, dict) else str(item)


def _add(args: argparse.Namespace) -> int:
    from ferd.fs import expand
    from ferd.models.importer.install import ImportOptions, import_model
    from ferd.models.registry import check_name, name_from

    source = expand(args.file)
    wishes = ImportOptions(args.name or name_from(source), args.input, args.labels, args.values, args.replace)
    check_name(wishes.name, replace=wishes.replace)
    converter = _converter(args.pictures, args.values, source)
    bundle = import_model(source, wishes, converter)
    _print_facts(_facts(bundle))
    if converter is not None and (difference := converter.difference):
        print(
            f"\nconverted to int8: over {difference.images} pictures the label is the same in "
            f"{100 * difference.agree:.0f} %, scores differ by {difference.mean:.3f} on average, "
            f"{difference.worst:.3f} at worst"
        )
    print(f"\ninstalled: {bundle.path}")
    print(f'use it: model = "{bundle.name}" under [expression] in ferd.toml, or FERD_EXPRESSION__MODEL={bundle.name}')
    _warn_about_input(bundle)
    return 0


def _converter(pictures: Path | None, values: str | None, source: Path) -> Int8Converter | None:
    """None without pictures: the importer then refuses an export that must be converted, with the remedy."""
    if pictures is None:
        return None
    from ferd.fs import expand, is_dir
    from ferd.models.importer.convert import Int8Converter, read_images

    folder = expand(pictures)
    if not is_dir(folder):
        raise FerdError(f"--pictures {folder}: is not a folder. Give one with pictures like those of the camera")
    return Int8Converter(read_images(folder), values, source)


def _warn_about_input(bundle: Bundle) -> None:
    if bundle.input is not None and bundle.input.of == "face" and bundle.input.colour == "rgb":
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
