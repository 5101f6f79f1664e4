"""`ferd model eval`: measure how good a model is, on labelled pictures."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ferd.cli.common import Command, add_json_option
from ferd.config import DetectorConfig, load_config
from ferd.errors import FerdError

if TYPE_CHECKING:
    from ferd.evaluation.data import Samples
    from ferd.evaluation.detector import Evaluation
    from ferd.evaluation.metrics import Verdict
    from ferd.models.bundle import Bundle

DETAILS = """
A classifier of faces:
  ferd model eval expression faces/                  faces/happiness/…, faces/anger/…: pictures of faces
  ferd model eval expression photos/ --detect        whole pictures: the largest face is detected and cropped first
  ferd model eval expression ferplus.npz             FER2013 with FER+ votes, majority protocol
  ferd model eval ./mine.tflite faces/ --stress      the same under other light, blur, size and tilt
  ferd model eval expression faces/ --plot eval.png  confusion matrix and reliability diagram
A face detector (face, yunet, haar):
  ferd model eval face faces.jsonl                   pictures with known faces: recall, error of the landmarks
  ferd model eval face rooms/                        pictures without faces: false alarms
Eyes, or with --mouth the mouth:
  ferd model eval eyes crops.npz                     images and open; or a folder with open/ and closed/
  ferd model eval eyes faces_eye_state.jsonl         whole photographs: the face is searched for from all sides first
                                                     (first sight: with one detection, as the daemon does it)

A label that the model lacks counts as wrong, and so does a face that is not detected. Files that cannot be read are
skipped and listed; exit code 1 if none is left.
"""

MIN_FACE_PX = 32
"""Recall counts faces from 40 pixels on; a detector may report such a face a little smaller."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="an installed model, yunet, haar, or a path to a .tflite file or bundle folder")
    parser.add_argument("data", type=Path, help="the labelled data, see below")
    parser.add_argument("--detect", action="store_true", help="detect the face first, as the daemon does")
    parser.add_argument("--stress", action="store_true", help="also under other light, blur, size and tilt")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="plot confusion matrix and reliability diagram")
    parser.add_argument("--mouth", action="store_true", help="evaluate the mouth (wide open or not), not the eyes")
    add_json_option(parser)


def _run(args: argparse.Namespace) -> int:
    from ferd.evaluation.plots import check_plots
    from ferd.models.registry import find_bundle

    if args.plot:
        check_plots()
    config = load_config(None, os.environ).detector.model_copy(update={"min_face_px": MIN_FACE_PX})
    if args.name in ("haar", "yunet"):
        return _detector(config.model_copy(update={"kind": args.name}), args)
    bundle = find_bundle(args.name)
    kind = bundle.card.get("kind")
    if kind == "face":
        return _ferd_detector(bundle, config, args)
    if kind == "eyes":
        return _eyes(bundle, config, args)
    if kind == "landmarks":
        raise FerdError("landmarks is evaluated with the detector that it belongs to: ferd model eval face faces.jsonl")
    return _classifier(bundle, config, args)


def _detector(config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.detector import evaluate_detector
    from ferd.vision.detectors.factory import make_detector

    _refuse(args, "a face detector", "detect", "stress", "plot", "mouth")
    return _print_figures(evaluate_detector(make_detector(config), args.data, _with_progress), args)


def _ferd_detector(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.detector import evaluate_detector
    from ferd.vision.detectors.ferd import FerdDetector
    from ferd.vision.detectors.landmarked import with_landmarks

    _refuse(args, "a face detector", "detect", "stress", "plot", "mouth")
    detector = with_landmarks(FerdDetector(bundle, config.min_face_px))
    return _print_figures(evaluate_detector(detector, args.data, _with_progress), args)


def _eyes(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.eyes import PHOTOGRAPH_THRESHOLD, evaluate_eyes, require_landmarks
    from ferd.vision.detectors.factory import make_detector
    from ferd.vision.eyes import EyeReader

    _refuse(args, "the eyes model", "detect", "stress")
    detector, thorough = make_detector(config), make_detector(config, PHOTOGRAPH_THRESHOLD)
    if args.data.suffix == ".jsonl":
        require_landmarks(detector)
    what: Literal["eye", "mouth"] = "mouth" if args.mouth else "eye"
    verdict = evaluate_eyes(EyeReader(bundle), detector, thorough, args.data, what=what, seen=_with_progress)
    code = _print_figures(verdict, args)
    if args.plot and verdict.verdict:
        from ferd.evaluation.plots import plot_classifier

        plot_classifier(verdict.verdict, f"{bundle.name} on {args.data.name}", args.plot)
    return code


def _print_figures(verdict: Evaluation, args: argparse.Namespace) -> int:
    _print_problems(verdict.problems)
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
    """Replace nan, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _refuse(args: argparse.Namespace, kind: str, *options: str) -> None:
    """Raise FerdError for options that have no meaning for this kind of model."""
    for option in options:
        if getattr(args, option):
            raise FerdError(f"--{option} means nothing for {kind}: leave it out (ferd model eval --help)")


def _classifier(bundle: Bundle, config: DetectorConfig, args: argparse.Namespace) -> int:
    from ferd.evaluation.classifier import STRESSES, detected_face, evaluate, whole_image
    from ferd.evaluation.data import read_samples
    from ferd.vision.classifier import Classifier
    from ferd.vision.detectors.factory import make_detector

    _refuse(args, "a classifier", "mouth")
    classifier = Classifier(bundle)
    samples = read_samples(args.data)
    cutter = detected_face(classifier, make_detector(config)) if args.detect else whole_image(classifier)
    stresses = tuple(STRESSES) if args.stress else ("as it is",)
    verdicts = evaluate(classifier, samples, cutter, stresses, lambda given: _with_progress(given, samples.total))
    plain = verdicts["as it is"]
    _print_problems(samples.problems)
    _print_verdicts(plain, verdicts, samples, args)
    if args.plot:
        from ferd.evaluation.plots import plot_classifier

        plot_classifier(plain, f"{bundle.name} on {args.data.name}", args.plot)
    return 0


def _print_problems(problems: list[str]) -> None:
    for problem in problems:
        print(f"ferd: skipped: {problem}", file=sys.stderr)


def _with_progress(items: Iterable[Any], total: int) -> Iterator[Any]:
    """Pass the items on, and show a progress bar on stderr meanwhile."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(track(items, "evaluating", total=total, console=console, transient=True))


def _print_verdicts(plain: Verdict, verdicts: dict[str, Verdict], samples: Samples, args: argparse.Namespace) -> None:
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
    table = Table(box=None, pad_edge=False, title="pictures by true label (row) and predicted label (column)")
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


EVAL = Command(
    "eval",
    "measure how good a model is: accuracy, recall, calibration, robustness to light",
    DETAILS,
    _add_arguments,
    _run,
)
