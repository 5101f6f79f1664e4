"""ferd model eval: how good a model is, on pictures that somebody labelled."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferd.config import load_config

if TYPE_CHECKING:
    from ferd.evaluate.judge import Verdict
    from ferd.evaluate.samples import Sample, Samples

HELP = "how good a model is: accuracy, recall, calibration, and what another lamp does to it"
MORE = """
  ferd model eval expression faces/                  faces/happiness/…, faces/anger/…: pictures of faces
  ferd model eval expression photos/ --detect        whole pictures: the largest face is found and cut out first
  ferd model eval expression ferplus.npz             FER2013 with FER+ votes, majority protocol
  ferd model eval ./mine.tflite faces/ --stress      the same under other light, blur, size and tilt
  ferd model eval expression faces/ --plot eval.png  confusion matrix and reliability diagram

A label that the model lacks counts as wrong. What cannot be read is told by name and passed over; exit code 1 when
nothing was left.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name on the shelf, or a path to a .tflite file or a bundle's folder")
    parser.add_argument("data", type=Path, help="a folder with one folder a label, or ferplus.npz")
    parser.add_argument("--detect", action="store_true", help="find the face first, as the daemon does")
    parser.add_argument("--stress", action="store_true", help="also under other light, blur, size and tilt")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw confusion matrix and reliability diagram")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    from ferd.evaluate.run import detected, evaluate, whole
    from ferd.evaluate.samples import read_samples
    from ferd.evaluate.stress import STRESSES
    from ferd.face.detect import make_detector
    from ferd.model.classify import Classifier
    from ferd.model.shelf import find_bundle

    classifier = Classifier(find_bundle(args.name))
    samples = read_samples(args.data)
    if args.detect:
        cutter = detected(classifier, make_detector(load_config(None, os.environ).detector))
    else:
        cutter = whole(classifier)
    stresses = tuple(STRESSES) if args.stress else ("as it is",)
    verdicts = evaluate(classifier, samples, cutter, stresses, lambda given: _with_progress(given, samples.total))
    plain = verdicts["as it is"]
    for problem in samples.problems:
        print(f"ferd: passed over: {problem}", file=sys.stderr)
    _tell(plain, verdicts, samples, args)
    if args.plot:
        from ferd.evaluate.plot import draw

        draw(plain, f"{classifier.bundle.name} on {args.data.name}", args.plot)
    return 0


def _with_progress(samples: Iterable[Sample], total: int) -> Iterator[Sample]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(track(samples, "judging", total=total, console=console, transient=True))


def _tell(plain: Verdict, verdicts: dict[str, Verdict], samples: Samples, args: argparse.Namespace) -> None:
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
