"""ferd model: what is on the model shelf."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ferd.cli import model_eval

if TYPE_CHECKING:
    from ferd.model.bundle import Bundle
    from ferd.model.classify import Classifier

HELP = "the models on the shelf: list, show, eval"
MORE = """
  ferd model list                  what is there
  ferd model show expression       labels, input, figures, data, licence; the file is loaded and run once
  ferd model show ./my.tflite      the same for a file with labels.txt beside it (Teachable Machine)
  ferd model eval expression DATA  how good it is; see `ferd model eval --help`
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="list|show|eval", required=True)
    listing = what.add_parser("list", help="the models on the shelf")
    listing.set_defaults(do=lambda _args: _list())
    show = what.add_parser("show", help="everything about one model")
    show.add_argument("name", help="a name on the shelf, or a path to a .tflite file or a bundle's folder")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(do=lambda args: _show(args.name, args.json))
    judge = what.add_parser(
        "eval",
        help=model_eval.HELP,
        description=model_eval.HELP,
        epilog=model_eval.MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_eval.add_arguments(judge)
    judge.set_defaults(do=model_eval.run)


def run(args: argparse.Namespace) -> int:
    code: int = args.do(args)
    return code


def _list() -> int:
    from rich.console import Console
    from rich.table import Table

    from ferd.model.shelf import list_bundles

    table = Table(box=None, pad_edge=False)
    for column in ("name", "labels", "size", "accuracy", "file"):
        table.add_column(column, overflow="fold")
    for bundle in list_bundles():
        accuracy = bundle.card.get("figures", {}).get("accuracy")
        table.add_row(
            bundle.name,
            ", ".join(bundle.labels),
            f"{bundle.path.stat().st_size / 1000:.0f} KB",
            "" if accuracy is None else f"{_percent(accuracy)}",
            str(bundle.path),
        )
    Console().print(table)
    return 0


def _show(name: str, as_json: bool) -> int:
    from ferd.model.classify import Classifier
    from ferd.model.shelf import find_bundle

    bundle = find_bundle(name)
    classifier = Classifier(bundle)
    if as_json:
        print(json.dumps(_facts(bundle, classifier), indent=2, ensure_ascii=False))
        return 0
    _print_facts(_facts(bundle, classifier))
    return 0


def _facts(bundle: Bundle, classifier: Classifier) -> dict[str, Any]:
    """What the loaded file says, with the card's own keys after it."""
    network, spec = classifier.network, classifier.input
    known = {"name", "labels", "input", "output", "temperature", "sha256"}
    return {
        "name": bundle.name,
        "file": str(bundle.path),
        "bytes": bundle.path.stat().st_size,
        "labels": list(bundle.labels),
        "input": f"{spec.width}x{spec.height} {spec.colour} {network.input.dtype}",
        "output": f"{bundle.output} {network.outputs[0].dtype}, temperature {bundle.temperature:g}",
        "runtime": network.runtime,
        "intact": bundle.vouched_for if bundle.card else None,
    } | {key: value for key, value in bundle.card.items() if key not in known}


def _print_facts(facts: dict[str, Any], indent: str = "") -> None:
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


def _percent(share: float) -> str:
    return f"{100 * share if share <= 1 else share:.1f} %"
