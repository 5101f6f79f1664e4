"""`ferd model teach` trains a model on this device; `ferd model try` shows a model at work."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.cli.common import Command, add_config_option
from ferd.errors import FerdError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

    from ferd.config import CameraConfig, Config
    from ferd.models.finetune.adapt import Adapted
    from ferd.models.finetune.collect import Collected, SampleCollector, Verdict
    from ferd.models.finetune.dataset import FeatureNet, SavedDataset
    from ferd.models.finetune.train import Report
    from ferd.sources.base import Source
    from ferd.types import FaceReading, Reading

TEACH_DETAILS = """
Examples:
  ferd model teach mood --class happy --class tired --class "wink left"   record each class from the camera
  ferd model teach mood --from DIR      a folder of pictures for each class
  ferd model teach mood --class sad     add or record again one class: the others are kept
  ferd model teach --adapt              correct the shipped model for your face: a minute of neutral and smiling
  ferd model try mood                   watch it work

Pictures are not stored. Their features stay in the state directory, so that a class can be added later. --keep-samples
stores the cropped faces as well.
"""
TRY_DETAILS = """
Examples:
  ferd model try mood                 the configured camera
  ferd model try mood --source usb:1  another one
"""
BAR_WIDTH = 40
COUNTDOWN_S = 3
PATIENCE_S = 20.0
"""The recording of a class ends after this long without a usable face."""


def _add_teach_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", nargs="?", help="the name of the model (with --adapt: mine)")
    add("--class", dest="classes", action="append", default=[], metavar="LABEL", help="a class to record; repeat it")
    add("--from", dest="folder", type=Path, metavar="DIR", help="pictures, not the camera: one folder for each class")
    add("--samples", type=int, default=60, metavar="N", help="samples of each class from the camera (default: 60)")
    add("--adapt", action="store_true", help="correct the shipped model for your own face")
    add("--keep-samples", action="store_true", help="store the cropped faces as pictures in the state directory")
    add("--fresh", action="store_true", help="discard what was taught under this name before")
    add("--source", metavar="S", help='"auto", "usb", "picamera2", a file, an address …')
    add_config_option(parser)


def _add_try_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the name of an installed model, or a path")
    parser.add_argument("--source", metavar="S", help='"auto", "usb", "picamera2", a file, "demo" …')
    parser.add_argument("--frames", type=int, metavar="N", help="end after this many frames")
    add_config_option(parser)


def _run_teach(args: argparse.Namespace) -> int:
    from ferd.config import load_config
    from ferd.models.finetune.dataset import FeatureNet
    from ferd.models.finetune.train import check_names
    from ferd.models.registry import check_name, find_bundle

    name = args.name or ("mine" if args.adapt else None)
    if name is None:
        raise FerdError("name the model: ferd model teach mood --class happy --class tired")
    check_name(name, replace=True)
    check_names(args.classes)
    config = load_config(args.config, os.environ)
    net = FeatureNet(find_bundle("expression"))
    with _progress() as progress:
        collected = _collect(args, config, net, progress)
        for warning in (warning for one in collected for warning in one.warnings()):
            progress.console.print(f"[yellow]{warning}[/]")
        if args.adapt:
            _print_adapted(name, collected, net)
        else:
            _print_report(_teach(args, name, collected, net, progress))
    return 0


def _collect(args: argparse.Namespace, config: Config, net: FeatureNet, progress: Progress) -> list[Collected]:
    from ferd.models.finetune.adapt import LABELS
    from ferd.models.finetune.collect import SampleCollector, class_folders
    from ferd.models.finetune.train import check_names
    from ferd.vision.detectors.factory import make_detector

    collector = SampleCollector(net.bundle, make_detector(config.detector))
    if args.folder is not None:
        folders = class_folders(args.folder.expanduser())
        check_names([folder.name for folder in folders if not args.classes or folder.name in args.classes])
        return [
            _read(collector, folder, progress) for folder in folders if not args.classes or folder.name in args.classes
        ]
    classes = args.classes or (list(LABELS) if args.adapt else [])
    if not classes:
        raise FerdError("name the classes: --class happy --class tired (or --from DIR, one folder a class)")
    with open_camera(args.source, config) as (_, source):
        return [_record(collector, label, source, args.samples, progress) for label in classes]


def _teach(
    args: argparse.Namespace, name: str, collected: Sequence[Collected], net: FeatureNet, progress: Progress
) -> Report:
    from ferd.models.bundle import sha256_of
    from ferd.models.finetune import dataset as keep
    from ferd.models.finetune import train as session
    from ferd.models.finetune.collect import flips_allowed

    base = sha256_of(net.bundle.path)
    before = [] if args.fresh else keep.load(name, base)
    kept = [dataset for dataset in before if dataset.label not in [one.label for one in collected]]
    if kept:
        progress.console.print("kept: " + ", ".join(f"{k.label} ({len(k.names)})" for k in kept))
    labels = [*(k.label for k in kept), *(one.label for one in collected)]
    session.check(labels, [*(len(k.names) for k in kept), *(len(one.crops) for one in collected)])
    flip = flips_allowed(labels)
    if not flip:
        progress.console.print("the name of a class names a side: mirror images are not used")
    datasets: list[SavedDataset] = [*kept, *(keep.to_features(net, one, flip=flip) for one in collected)]
    bar = progress.add_task("training", total=1.0)
    report = session.train_model(
        name, datasets, net, replace=True, tick=lambda done: progress.update(bar, completed=done)
    )
    progress.update(bar, completed=1.0)
    keep.save(name, base, datasets)
    if args.keep_samples:
        progress.console.print(f"pictures kept in {keep.save_images(name, collected)}")
    return report


def _adapt(name: str, collected: Sequence[Collected], net: FeatureNet) -> Adapted:
    from ferd.models.finetune import adapt
    from ferd.models.finetune import dataset as keep
    from ferd.models.finetune import train as session

    session.check([one.label for one in collected], [len(one.crops) for one in collected])
    if {one.label for one in collected} != set(adapt.LABELS):
        raise FerdError(f"--adapt needs exactly {' and '.join(adapt.LABELS)}")
    datasets = [keep.to_features(net, one, flip=True) for one in collected]
    return adapt.adapt(name, datasets, net, replace=True)


def _read(collector: SampleCollector, folder: Path, progress: Progress) -> Collected:
    bar = progress.add_task(folder.name, total=sum(1 for _ in folder.iterdir()))
    return collector.from_folder(folder, lambda _one, _verdict: progress.advance(bar))


def _record(collector: SampleCollector, label: str, source: Source, wanted: int, progress: Progress) -> Collected:
    """Record one class: a countdown, then samples with a live count and the problem of a rejected picture."""
    bar = progress.add_task(label, total=wanted)
    for left in range(COUNTDOWN_S, 0, -1):
        progress.update(bar, description=f"{label}: in {left} …")
        until = time.monotonic() + 1
        while time.monotonic() < until:
            source.read()  # discard the frames that the camera queued before
    last_good = time.monotonic()

    def show(one: Collected, verdict: Verdict) -> None:
        nonlocal last_good
        last_good = time.monotonic() if verdict == "good" else last_good
        problem = "" if verdict == "good" else f" [yellow]{verdict}[/]"
        progress.update(bar, completed=len(one.crops), description=f"{label}{problem}")

    from ferd.models.finetune.collect import live

    frames = live(source, lambda: time.monotonic() - last_good > PATIENCE_S)
    collected = collector.from_camera(label, frames, wanted, show)
    progress.update(bar, description=label)
    return collected


@contextmanager
def open_camera(source: str | None, config: Config) -> Iterator[tuple[CameraConfig, Source]]:
    """Open the first configured camera, or `source` in its place, and close it at the end."""
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


def _print_report(report: Report) -> None:
    labels = report.bundle.labels
    print(f"\n{100 * report.accuracy:.0f} % of {report.held_out} held-out samples are right")
    width = max(len(label) for label in labels) + 2
    print("\n" + " " * width + "predicted " + "  ".join(f"{label}" for label in labels))
    for label, row in zip(labels, report.confusion.tolist(), strict=True):
        print(
            f"{label:<{width}}          " + "  ".join(f"{n:>{len(said)}}" for n, said in zip(row, labels, strict=True))
        )
    if report.confusing:
        print("\nMistakes (held-out samples, the most confident first):")
        for one in report.confusing:
            print(f"  {one.name}: {one.label}, predicted {one.said} ({one.probability:.2f})")
    print(f"\ninstalled: {report.bundle.path}")
    print(
        f'watch it work: ferd model try {report.bundle.name}\nuse it: model = "{report.bundle.name}" under [expression]'
    )


def _print_adapted(name: str, collected: Sequence[Collected], net: FeatureNet) -> None:
    from ferd.models.finetune.adapt import NotImprovedError

    try:
        adapted = _adapt(name, collected, net)
    except NotImprovedError as reason:
        print(f"\n{reason}")
        return
    moved = ", ".join(f"{label} {value:+.2f}" for label, value in adapted.shift.items() if abs(value) >= 0.05)
    print(
        f"\nof {adapted.held_out} held-out samples {100 * adapted.before:.0f} % were right before, "
        f"{100 * adapted.after:.0f} % are now\nshifted, in logits: {moved or 'nothing, it already reads you well'}"
    )
    print(f'installed: {adapted.bundle.path}\nuse it: model = "{adapted.bundle.name}" under [expression]')


def _run_try(args: argparse.Namespace) -> int:
    from rich.live import Live

    from ferd.config import ExpressionConfig, load_config
    from ferd.vision.loader import Models, set_opencv_threads
    from ferd.vision.pipeline import Pipeline

    config = load_config(args.config, os.environ)
    config = config.model_copy(update={"expression": ExpressionConfig(model=args.name)})
    models = Models(config)
    set_opencv_threads(models.detector)
    reading: Reading | None = None
    with open_camera(args.source, config) as (camera, source):
        pipeline = Pipeline.of(models, config, camera)
        with Live(refresh_per_second=8, transient=True) as live:
            count = 0
            while args.frames is None or count < args.frames:
                reading = pipeline.step(source.read())
                live.update(draw_bars(reading, models.classifier.labels))
                count += 1
    if reading is not None:
        from rich.console import Console

        Console().print(draw_bars(reading, models.classifier.labels))
    return 0


def draw_bars(reading: Reading, labels: tuple[str, ...]) -> RenderableType:
    """Draw a bar for each label: its probability now (light) and smoothed (full). The current label is marked."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("", "", "now", "smooth"):
        table.add_column(column, justify="right" if column else "left")
    face = reading.main_face
    for label in labels:
        now, smooth = _scores(face, label)
        full, light = round(BAR_WIDTH * smooth), max(0, round(BAR_WIDTH * now) - round(BAR_WIDTH * smooth))
        held = face is not None and face.expression == label
        bar = Text("█" * full, style="bold green" if held else "cyan") + Text("░" * light)
        table.add_row(Text(f"{'▸ ' if held else '  '}{label}", style="bold" if held else ""), bar,
                      f"{100 * now:3.0f} %", f"{100 * smooth:3.0f} %")  # fmt: skip
    if face is None:
        table.add_row(Text("no face", style="yellow"))
    return table


def _scores(face: FaceReading | None, label: str) -> tuple[float, float]:
    """The score of this frame and the smoothed one; 0 where there is none."""
    return (0.0, 0.0) if face is None else (face.scores.get(label, 0.0), face.smooth.get(label, 0.0))


TEACH = Command(
    "teach",
    "train new classes on this device, from the camera or from folders of pictures",
    TEACH_DETAILS,
    _add_teach_arguments,
    _run_teach,
    "writes",
)
TRY = Command("try", "show a model at work: live bars of what it sees", TRY_DETAILS, _add_try_arguments, _run_try)
