"""ferd model add, ferd model remove: the user's own models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.errors import FerdError

if TYPE_CHECKING:
    from ferd.models.bundle import Bundle
    from ferd.models.importer.convert import Int8Converter

HELP = "put a model of your own on the shelf: a Teachable Machine export as downloaded, or any TFLite classifier"
MORE = """
  ferd model add converted_tflite_quantized.zip --name mood
  ferd model add ./my-export/                        a folder
  ferd model add model.tflite --labels labels.txt    a bare file
  ferd model add mug.zip --input frame               it looks at the whole picture, not at a face
  ferd model add converted_keras.zip --pictures DIR  Keras, SavedModel and TensorFlow.js exports are converted to
                                                     int8; DIR holds pictures like those it will see
                                                     (needs the extra: pip install 'ferd[convert]')
"""


def add_add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, help="the zip as downloaded, a folder, or a .tflite file with labels.txt beside it")
    add("--name", help="its name on the shelf (default: made from the file's)")
    add(
        "--input",
        choices=["face", "frame"],
        default="face",
        help="what it sees: faces (default), or whole pictures",
    )
    add("--labels", type=Path, metavar="FILE", help="one class a line, where the export has none")
    add("--values", choices=["-1..1", "0..1", "0..255"],
        help="what a float model wants its pixels to be (default: what the file says, else -1..1)")  # fmt: skip
    add("--pictures", type=Path, metavar="DIR", help="pictures to quantise by, for exports that are converted")
    add("--replace", action="store_true", help="in place of a model of the same name")
    parser.set_defaults(do=_add)


def add_remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name on your own shelf")
    parser.set_defaults(do=_remove)


def _add(args: argparse.Namespace) -> int:
    from ferd.cli.model_show import print_facts
    from ferd.fs import expand
    from ferd.models.importer.adopt import Wishes, adopt
    from ferd.models.store import check_name, name_from

    source = expand(args.file)
    wishes = Wishes(args.name or name_from(source), args.input, args.labels, args.values, args.replace)
    check_name(wishes.name, replace=wishes.replace)
    converter = _converter(args.pictures, args.values, source)
    bundle = adopt(source, wishes, converter)
    print_facts(bundle)
    if converter is not None and (difference := converter.difference):
        print(
            f"\nconverted to int8: over {difference.pictures} pictures the label is the same in "
            f"{100 * difference.agree:.0f} %, scores differ by {difference.mean:.3f} on average, "
            f"{difference.worst:.3f} at worst"
        )
    print(f"\non your shelf: {bundle.path}")
    print(f'use it: model = "{bundle.name}" under [expression] in ferd.toml, or FERD_EXPRESSION__MODEL={bundle.name}')
    _warn(bundle)
    return 0


def _converter(pictures: Path | None, values: str | None, source: Path) -> Int8Converter | None:
    """None without pictures: an export that has to be converted is then refused, with the remedy."""
    if pictures is None:
        return None
    from ferd.evaluation.samples import PICTURES, read_picture
    from ferd.fs import expand, is_dir
    from ferd.models.importer.convert import Int8Converter, read_pictures

    folder = expand(pictures)
    if not is_dir(folder):
        raise FerdError(f"--pictures {folder}: is no folder. Give one with pictures like those the model will see")
    return Int8Converter(read_pictures(folder, read_picture, PICTURES), values, source)


def _warn(bundle: Bundle) -> None:
    if bundle.input is not None and bundle.input.of == "face" and bundle.input.colour == "rgb":
        print(
            "\nIt will see faces that ferd cuts out. Was it trained on whole webcam pictures, as Teachable Machine "
            "records them? Then add it with --input frame.",
            file=sys.stderr,
        )


def _remove(args: argparse.Namespace) -> int:
    from ferd.models.store import remove

    for path in remove(args.name):
        print(f"removed {path}")
    return 0
