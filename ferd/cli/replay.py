"""ferd replay: the pipeline over a recording."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferd.config import CameraConfig, Config, load_config

HELP = "read a video, a folder of pictures or a trace: no network, no clock, repeatable"
MORE = """
  ferd replay clip.mp4                       a summary: who showed what, when
  ferd replay clip.mp4 --jsonl > clip.jsonl  one JSON object for each frame
  ferd replay clip.jsonl                     a trace again, with other [smoothing], without the video
  ferd replay pictures/ --fps 5              a folder, five pictures a second, in natural order
  ferd replay drive.mp4 --fatigue            watch the driver: measures once a second, and the alerts
  ferd replay drive.mp4 --plot drive.png     the same, drawn: eyes, PERCLOS, awareness, levels

The same input gives the same bytes. t is in seconds of the source, box in its pixels [x, y, w, h]; scores are this
frame's probabilities (empty when a tracked face was not seen), expression is the held one (null while unsure);
eyes_closed and mouth_open go from 0 to 1 (null: cannot be seen). state, events and alert are what would be published,
their wall time beginning in 1970; fatigue is that of this very frame. --fatigue switches it on whatever the
configuration says; its limits come from [fatigue].
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help='a video file, a folder of pictures, a trace (.jsonl), or "demo"')
    parser.add_argument("--jsonl", action="store_true", help="one JSON object for each analysed frame")
    parser.add_argument("--fatigue", action="store_true", help="watch the main face for tiredness")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the fatigue (needs matplotlib)")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")
    parser.add_argument("--fps", type=float, default=10.0, help="pictures a second of a folder (default: 10)")


def run(args: argparse.Namespace) -> int:
    from ferd.cli.replay_fatigue import rows
    from ferd.evaluation.fatigue_plot import draw
    from ferd.replay import to_json

    config = load_config(args.config, os.environ)
    if args.fps <= 0:
        raise SystemExit("ferd: --fps must be above 0")
    tired = args.fatigue or args.plot is not None
    if tired:
        config = config.model_copy(update={"fatigue": config.fatigue.model_copy(update={"enabled": True})})
    kept: list[dict[str, Any]] = []
    lines = _kept(_lines(config, args), kept if args.plot else None)
    if args.jsonl:
        for line in lines:
            print(to_json(line))
        sys.stdout.flush()
    elif tired:
        for row in rows(_with_progress(lines, args.source)):
            print(row)
    else:
        _summary(_with_progress(lines, args.source))
    if args.plot:
        draw(kept, config.fatigue, f"ferd replay {Path(args.source).name}", args.plot)
    return 0


def _kept(lines: Iterator[dict[str, Any]], kept: list[dict[str, Any]] | None) -> Iterator[dict[str, Any]]:
    """The same lines, also put into `kept` on their way."""
    for line in lines:
        if kept is not None:
            kept.append(line)
        yield line


def _lines(config: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from ferd.config.source import redact
    from ferd.errors import SourceError
    from ferd.event_builder import EventBuilder
    from ferd.fs import exists, expand
    from ferd.replay import frames, lines, read_trace
    from ferd.sources.factory import open_source
    from ferd.vision.pipeline import ExpressionSmoother, Models, run

    path = expand(args.source)
    if not exists(path) and args.source != "demo":
        raise SourceError(f"{redact(args.source)}: no such file or folder. replay reads recordings, not cameras")
    parts = Models(config, signals=args.jsonl)
    pipeline = parts.pipeline(CameraConfig(source=args.source))
    narrator = EventBuilder(config.node.name, "replay")
    if path.suffix == ".jsonl":
        mind = ExpressionSmoother(parts.classifier.labels, pipeline.rules)
        yield from lines(read_trace(path, parts.classifier.labels, mind, pipeline.watch), narrator)
        return
    source = open_source(CameraConfig(source=args.source, fps=args.fps), live=False)
    source.open()
    try:
        yield from lines(run(pipeline, frames(source)), narrator)
    finally:
        source.close()


def _with_progress(lines: Iterator[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """The same lines, with a counter on the terminal's error stream while they come."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name)
        for number, line in enumerate(lines, start=1):
            progress.update(task, description=f"{name}: frame {number}, {line['t']:.1f} s")
            yield line


def _summary(lines: Iterator[dict[str, Any]]) -> None:
    """One row for each stretch of time in which the told expression and the number of faces stayed the same."""
    rows: list[list[Any]] = []
    count, end = 0, 0.0
    for line in lines:
        count, end = count + 1, line["t"]
        state = line["state"]
        key = (None, 0) if state is None else (state["expression"], state["faces"])
        if not rows or rows[-1][2] != key:
            rows.append([line["t"], line["t"], key])
        rows[-1][1] = line["t"]
    print(f"{count} frames, {end:.1f} s")
    for begin, last, (expression, faces) in rows:
        what = "nobody" if not faces else (expression or "unsure")
        print(f"  {begin:8.1f} - {last:6.1f} s  {what}{f' ({faces} people)' if faces > 1 else ''}")
