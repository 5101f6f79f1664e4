"""ferd model list, ferd model show: what is on the shelf, and everything about one model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferd.models.bundle import Bundle, InputSpec
    from ferd.models.runtime import Network

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


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: one object a model")
    parser.set_defaults(do=lambda args: _list(args.json))


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name on the shelf, or a path to a .tflite file or a bundle's folder")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(do=lambda args: _show(args.name, args.json))


def _list(as_json: bool) -> int:
    from ferd.models.registry import list_bundles, state_dir

    bundles = list(list_bundles())
    if as_json:
        print(json.dumps([_row(bundle) for bundle in bundles], indent=2, ensure_ascii=False))
        return 0
    for bundle in bundles:
        print(f"{bundle.name}")
        for key, value in _row(bundle).items():
            if value and key != "name":
                print(f"  {key + ':':<12}{value}")
    print(f"\nYour own models go into {state_dir() / 'models'}; `ferd model show NAME` tells more")
    return 0


def _row(bundle: Bundle) -> dict[str, Any]:
    """One model in a few words; from its card, nothing is loaded."""
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


def _show(name: str, as_json: bool) -> int:
    from ferd.models.registry import find_bundle

    facts = _facts(find_bundle(name))
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print_facts(facts)
    return 0


def print_facts(bundle: Bundle) -> None:
    """The card of a loaded model, for reading."""
    _print_facts(_facts(bundle))


def _facts(bundle: Bundle) -> dict[str, Any]:
    """What the loaded file says, with the card's own keys after it. Raises ModelError when it is broken."""
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
    from ferd.vision.points import PointModel

    if bundle.kind in ("face", "points") and bundle.input is not None:
        # Both check that file and card belong together.
        FerdDetector(bundle, min_face_px=0) if bundle.kind == "face" else PointModel(bundle)
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
