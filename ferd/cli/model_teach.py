"""ferd model teach: new classes, or a correction for one's own face, learned on this device."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.errors import FerdError

if TYPE_CHECKING:
    from rich.progress import Progress

    from ferd.config import CameraConfig, Config
    from ferd.models.finetune.adapt import Adapted
    from ferd.models.finetune.collect import SampleCollector
    from ferd.models.finetune.features import FeatureNet
    from ferd.models.finetune.keep import SavedDataset
    from ferd.models.finetune.samples import Collected, Verdict
    from ferd.models.finetune.train import Report
    from ferd.sources.base import Source

HELP = "teach new classes on this device, from the camera or from folders of pictures"
MORE = """
  ferd model teach mood --class happy --class tired --class "wink left"   records each from the camera
  ferd model teach mood --from DIR      one folder of pictures a class
  ferd model teach mood --class sad     one class more (or anew): the others were kept
  ferd model teach --adapt              corrects the shipped model for your face: a minute of neutral and smiling
  ferd model try mood                   watch it work

Pictures are looked at and forgotten; their features stay in the state directory, so that a class can be added later.
--keep-samples keeps the cut faces as well.
"""
COUNTDOWN_S = 3
PATIENCE_S = 20.0
"""With no usable face for so long, recording a class ends."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", nargs="?", help="its name on the shelf (with --adapt: mine)")
    add("--class", dest="classes", action="append", default=[], metavar="LABEL", help="a class to record; repeat")
    add("--from", dest="folder", type=Path, metavar="DIR", help="pictures instead of the camera, one folder a class")
    add("--samples", type=int, default=60, metavar="N", help="of each class, from the camera (default: 60)")
    add("--adapt", action="store_true", help="correct the shipped model for one's own face")
    add("--keep-samples", action="store_true", help="keep the cut faces as pictures in the state directory")
    add("--fresh", action="store_true", help="forget what was taught under this name before")
    add("--config", type=Path, metavar="F", help="settings of this file (camera, detector)")
    add("--source", metavar="S", help='"auto", "usb", "picamera2", a file, an address …')
    parser.set_defaults(do=run)


def run(args: argparse.Namespace) -> int:
    from ferd.config import load_config
    from ferd.models.finetune.features import FeatureNet
    from ferd.models.registry import find_bundle
    from ferd.models.store import check_name

    name = args.name or ("mine" if args.adapt else None)
    if name is None:
        raise FerdError("name the model: ferd model teach mood --class happy --class tired")
    check_name(name, replace=True)
    config = load_config(args.config, os.environ)
    net = FeatureNet(find_bundle("expression"))
    with _progress() as progress:
        collected = _collect(args, config, net, progress)
        for warning in (warning for one in collected for warning in one.warnings()):
            progress.console.print(f"[yellow]{warning}[/]")
        if args.adapt:
            _tell_adapted(_adapt(name, collected, net))
        else:
            _tell_taught(_teach(args, name, collected, net, progress))
    return 0


def _collect(args: argparse.Namespace, config: Config, net: FeatureNet, progress: Progress) -> list[Collected]:
    from ferd.models.finetune.adapt import LABELS
    from ferd.models.finetune.collect import SampleCollector, class_folders
    from ferd.vision.detectors.base import make_detector

    gatherer = SampleCollector(net.bundle, make_detector(config.detector))
    if args.folder is not None:
        folders = class_folders(args.folder.expanduser())
        return [
            _read(gatherer, folder, progress) for folder in folders if not args.classes or folder.name in args.classes
        ]
    classes = args.classes or (list(LABELS) if args.adapt else [])
    if not classes:
        raise FerdError("name the classes: --class happy --class tired (or --from DIR, one folder a class)")
    with open_camera(args.source, config) as (_, source):
        return [_record(gatherer, label, source, args.samples, progress) for label in classes]


def _teach(
    args: argparse.Namespace, name: str, collected: Sequence[Collected], net: FeatureNet, progress: Progress
) -> Report:
    from ferd.models.bundle import sha256_of
    from ferd.models.finetune import keep
    from ferd.models.finetune import train as session
    from ferd.models.finetune.samples import flips_allowed

    base = sha256_of(net.bundle.path)
    before = [] if args.fresh else keep.load(name, base)
    kept = [lesson for lesson in before if lesson.label not in [one.label for one in collected]]
    if kept:
        progress.console.print("kept from before: " + ", ".join(f"{k.label} ({len(k.names)})" for k in kept))
    labels = [*(k.label for k in kept), *(one.label for one in collected)]
    session.check(labels, [*(len(k.names) for k in kept), *(len(one.crops) for one in collected)])
    flip = flips_allowed(labels)
    if not flip:
        progress.console.print("a class speaks of a side: no mirror images are used")
    lessons: list[SavedDataset] = [*kept, *(session.to_features(net, one, flip=flip) for one in collected)]
    bar = progress.add_task("training", total=1.0)
    report = session.teach(name, lessons, net, replace=True, tick=lambda done: progress.update(bar, completed=done))
    progress.update(bar, completed=1.0)
    keep.save(name, base, lessons)
    if args.keep_samples:
        progress.console.print(f"pictures kept in {keep.save_pictures(name, collected)}")
    return report


def _adapt(name: str, collected: Sequence[Collected], net: FeatureNet) -> Adapted:
    from ferd.models.finetune import adapt
    from ferd.models.finetune import train as session

    session.check([one.label for one in collected], [len(one.crops) for one in collected])
    if {one.label for one in collected} != set(adapt.LABELS):
        raise FerdError(f"--adapt wants exactly {' and '.join(adapt.LABELS)}")
    lessons = [session.to_features(net, one, flip=True) for one in collected]
    return adapt.adapt(name, lessons, net, replace=True)


def _read(gatherer: SampleCollector, folder: Path, progress: Progress) -> Collected:
    bar = progress.add_task(folder.name, total=sum(1 for _ in folder.iterdir()))
    return gatherer.from_folder(folder, lambda _one, _verdict: progress.advance(bar))


def _record(gatherer: SampleCollector, label: str, source: Source, wanted: int, progress: Progress) -> Collected:
    """One class from the camera: a countdown, then samples with a live count and what is wrong with the picture."""
    bar = progress.add_task(label, total=wanted)
    for left in range(COUNTDOWN_S, 0, -1):
        progress.update(bar, description=f"{label}: in {left} …")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            source.read()  # what a camera has queued up meanwhile is not of this class
    last_good = time.monotonic()

    def tell(one: Collected, verdict: Verdict) -> None:
        nonlocal last_good
        last_good = time.monotonic() if verdict == "good" else last_good
        problem = "" if verdict == "good" else f" [yellow]{verdict}[/]"
        progress.update(bar, completed=len(one.crops), description=f"{label}{problem}")

    from ferd.models.finetune.collect import live

    frames = live(source, lambda: time.monotonic() - last_good > PATIENCE_S)
    collected = gatherer.from_camera(label, frames, wanted, tell)
    progress.update(bar, description=label)
    return collected


@contextmanager
def open_camera(source: str | None, config: Config) -> Iterator[tuple[CameraConfig, Source]]:
    """The first configured camera, or `source` in its place, opened; closed again at the end."""
    from ferd.config.source import check_source
    from ferd.sources.factory import open_source

    camera = next(iter(config.cameras.values()))
    if source is not None:
        try:
            camera = camera.model_copy(update={"source": check_source(source)})
        except ValueError as error:
            raise FerdError(f"--source: {error}") from None
    opened = open_source(camera, live=True)
    opened.open()
    try:
        yield camera, opened
    finally:
        opened.close()


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns) as progress:
        yield progress


def _tell_taught(report: Report) -> None:
    labels = report.bundle.labels
    print(f"\n{100 * report.accuracy:.0f} % of {report.held_out} samples that it was not taught with are right")
    width = max(len(label) for label in labels) + 2
    print("\n" + " " * width + "said " + "  ".join(f"{label}" for label in labels))
    for label, row in zip(labels, report.confusion.tolist(), strict=True):
        print(f"{label:<{width}}     " + "  ".join(f"{n:>{len(said)}}" for n, said in zip(row, labels, strict=True)))
    if report.confusing:
        print("\nThese confuse it (held-out samples, the surest mistakes first):")
        for one in report.confusing:
            print(f"  {one.name}: {one.label}, taken for {one.said} ({one.probability:.2f})")
    print(f"\non your shelf: {report.bundle.path}")
    print(
        f'watch it work: ferd model try {report.bundle.name}\nuse it: model = "{report.bundle.name}" under [expression]'
    )


def _tell_adapted(adapted: Adapted) -> None:
    moved = ", ".join(f"{label} {value:+.2f}" for label, value in adapted.shift.items() if abs(value) >= 0.05)
    print(
        f"\nof {adapted.held_out} held-out samples {100 * adapted.before:.0f} % were right before, "
        f"{100 * adapted.after:.0f} % are now\nshifted, in logits: {moved or 'nothing, it reads you well already'}"
    )
    print(f'on your shelf: {adapted.bundle.path}\nuse it: model = "{adapted.bundle.name}" under [expression]')
