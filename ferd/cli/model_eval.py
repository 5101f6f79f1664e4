"""ferd model eval: how good a model is, on pictures that somebody labelled."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ferd.config import DetectorConfig, load_config
from ferd.errors import FerdError

if TYPE_CHECKING:
    from ferd.evaluation.faces import FaceVerdict
    from ferd.evaluation.judge import Verdict
    from ferd.evaluation.samples import Samples
    from ferd.models.bundle import Bundle

HELP = "how good a model is: accuracy, recall, calibration, and what another lamp does to it"
MORE = """
A classifier of faces:
  ferd model eval expression faces/                  faces/happiness/…, faces/anger/…: pictures of faces
  ferd model eval expression photos/ --detect        whole pictures: the largest face is found and cut out first
  ferd model eval expression ferplus.npz             FER2013 with FER+ votes, majority protocol
  ferd model eval ./mine.tflite faces/ --stress      the same under other light, blur, size and tilt
  ferd model eval expression faces/ --plot eval.png  confusion matrix and reliability diagram
A face detector (face, yunet, haar):
  ferd model eval face faces.jsonl                   pictures with known faces: recall, error of the points
  ferd model eval face rooms/                        pictures without faces: false alarms
Eyes, or with --mouth the mouth:
  ferd model eval eyes crops.npz                     images and open; or a folder with open/ and closed/
  ferd model eval eyes faces_eye_state.jsonl         whole photographs: the face is looked for from all sides first
                                                     (first sight: with one look, as the daemon does it)

A label that the model lacks counts as wrong, and so does a face that is not found. What cannot be read is told by
name and passed over; exit code 1 when nothing was left.
"""

LEAST_FACE = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name on the shelf, yunet, haar, or a path to a .tflite file or bundle folder")
    parser.add_argument("data", type=Path, help="what to judge by, see below")
    parser.add_argument("--detect", action="store_true", help="find the face first, as the daemon does")
    parser.add_argument("--stress", action="store_true", help="also under other light, blur, size and tilt")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw confusion matrix and reliability diagram")
    parser.add_argument("--mouth", action="store_true", help="judge the mouth (wide open or not) instead of the eyes")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(do=run)


def run(args: argparse.Namespace) -> int:
    from ferd.models.registry import find_bundle

    # Recall counts faces from 40 pixels on; a detector may see such a face a little smaller.
    config = load_config(None, os.environ).detector.model_copy(update={"min_face_px": LEAST_FACE})
    if args.name in ("haar", "yunet"):
        return _detector(config.model_copy(update={"kind": args.name}), args)
    bundle = find_bundle(args.name)
    kind = bundle.card.get("kind")
    if kind == "face":
        return _own_detector(bundle, config, args)
    if kind == "eyes":
        return _eyes(bundle, config, args)
    if kind == "points":
        raise FerdError("points is judged with the detector that it belongs to: ferd model eval face faces.jsonl")
    return _classifier(bundle, config, args)


def _detector(config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.faces import evaluate_detector
    from ferd.vision.detectors.base import make_detector

    _refuse(args, "a face detector", "detect", "stress", "plot", "mouth")
    return _tell_figures(evaluate_detector(make_detector(config), args.data, _seen), args)


def _own_detector(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.faces import evaluate_detector
    from ferd.vision.detectors.ferd import FerdDetector
    from ferd.vision.points import with_points

    _refuse(args, "a face detector", "detect", "stress", "plot", "mouth")
    detector = with_points(FerdDetector(bundle, config.min_face_px))
    return _tell_figures(evaluate_detector(detector, args.data, _seen), args)


def _eyes(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.eyes import evaluate_eyes, needs_points
    from ferd.evaluation.photograph import LEAST
    from ferd.vision.detectors.base import make_detector
    from ferd.vision.eyes import EyeReader

    _refuse(args, "the eyes model", "detect", "stress")
    detector, thorough = make_detector(config), make_detector(config, LEAST)
    if args.data.suffix == ".jsonl":
        needs_points(detector)
    what: Literal["eye", "mouth"] = "mouth" if args.mouth else "eye"
    verdict = evaluate_eyes(EyeReader(bundle), detector, thorough, args.data, what=what, seen=_seen)
    code = _tell_figures(verdict, args)
    if args.plot and verdict.verdict:
        from ferd.evaluation.plot import draw

        draw(verdict.verdict, f"{bundle.name} on {args.data.name}", args.plot)
    return code


def _tell_figures(verdict: FaceVerdict, args: argparse.Namespace) -> int:
    _tell_problems(verdict.problems)
    figures = {key: _without_nan(value) for key, value in verdict.figures.items()}
    if args.json:
        print(json.dumps(figures | {"problems": verdict.problems}, indent=2, ensure_ascii=False))
        return 0
    for key, value in figures.items():
        if isinstance(value, dict):
            value = ", ".join(f"{label.replace('_', ' ')} {_percent(share)}" for label, share in value.items())  # noqa: PLW2901
        elif isinstance(value, float) and not key.endswith("_per_picture"):
            value = f"{100 * value:.1f} %"  # noqa: PLW2901
        elif value is None:
            value = "nothing to count"  # noqa: PLW2901
        print(f"{key.replace('_', ' '):<26}{value}")
    return 0


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _without_nan(value: Any) -> Any:
    """JSON knows no nan."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _refuse(args: argparse.Namespace, kind: str, *options: str) -> None:
    """Raises FerdError where an option was given that means nothing for this kind of model."""
    for option in options:
        if getattr(args, option):
            raise FerdError(f"--{option} means nothing for {kind}: leave it away (ferd model eval --help)")


def _classifier(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.run import detected, evaluate, whole
    from ferd.evaluation.samples import read_samples
    from ferd.evaluation.stress import STRESSES
    from ferd.vision.classifier import Classifier
    from ferd.vision.detectors.base import make_detector

    _refuse(args, "a classifier", "mouth")
    classifier = Classifier(bundle)
    samples = read_samples(args.data)
    cutter = detected(classifier, make_detector(config)) if args.detect else whole(classifier)
    stresses = tuple(STRESSES) if args.stress else ("as it is",)
    verdicts = evaluate(classifier, samples, cutter, stresses, lambda given: _seen(given, samples.total))
    plain = verdicts["as it is"]
    _tell_problems(samples.problems)
    _tell_verdicts(plain, verdicts, samples, args)
    if args.plot:
        from ferd.evaluation.plot import draw

        draw(plain, f"{bundle.name} on {args.data.name}", args.plot)
    return 0


def _tell_problems(problems: list[str]) -> None:
    for problem in problems:
        print(f"ferd: passed over: {problem}", file=sys.stderr)


def _seen(items: Iterable[Any], total: int) -> Iterator[Any]:
    """The same items, with a progress bar on the terminal's error stream while they come."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(track(items, "judging", total=total, console=console, transient=True))


def _tell_verdicts(plain: Verdict, verdicts: dict[str, Verdict], samples: Samples, args: argparse.Namespace) -> None:
    if args.json:
        stress = {name: verdict.to_dict() for name, verdict in verdicts.items()} if args.stress else None
        figures: dict[str, Any] = plain.to_dict() | {"problems": samples.problems}
        print(json.dumps(figures | ({"stress": stress} if stress else {}), indent=2, ensure_ascii=False))
        return
    _print_verdict(plain)
    if args.stress:
        _print_stress(verdicts)


def _print_verdict(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    facts = verdict.to_dict()
    console.print(
        f"{facts['n']} pictures   accuracy {100 * facts['accuracy']:.1f} %   "
        f"mean recall {100 * facts['mean_recall']:.1f} %   calibration error {100 * facts['ece']:.1f} %"
    )
    table = Table(box=None, pad_edge=False, title="pictures by true label (row) and told label (column)")
    table.add_column("")
    for label in verdict.labels[: verdict.known]:
        table.add_column(label[:9], justify="right")
    table.add_column("recall", justify="right", style="bold")
    for label, row in zip(verdict.labels, verdict.confusion(), strict=True):
        if row.sum():
            table.add_row(label, *map(str, row), f"{100 * facts['recall'][label]:.1f} %")
    console.print(table)


def _print_stress(verdicts: dict[str, Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="under stress")
    for column in ("", "accuracy", "lost", "mean recall"):
        table.add_column(column, justify="left" if not column else "right")
    plain = verdicts["as it is"].accuracy
    for name, verdict in verdicts.items():
        lost = 100 * (plain - verdict.accuracy)
        recall = 100 * verdict.to_dict()["mean_recall"]
        table.add_row(name, f"{100 * verdict.accuracy:.1f} %", f"{lost:.1f}", f"{recall:.1f} %")
    Console().print(table)
