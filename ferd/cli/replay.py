"""`ferd replay`: run the pipeline over a recording."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ferd.cli.common import Command, add_config_option
from ferd.config import CameraConfig, Config, load_config
from ferd.errors import ConfigError
from ferd.policy.gesture_rules import GestureName

DETAILS = """
Examples:
  ferd replay clip.mp4                       a summary: who showed what, when
  ferd replay clip.mp4 --jsonl > clip.jsonl  one JSON object for each frame (a trace)
  ferd replay clip.jsonl                     a trace again, without the video: to try other [smoothing] settings
  ferd replay pictures/ --fps 5              a folder, five pictures per second, in natural order
  ferd replay drive.mp4 --fatigue            watch the driver: measures once a second, and the alerts
  ferd replay clip.mp4 --gestures            winks, nods and other gestures, as they are completed
  ferd replay clip.mp4 --gestures --camera hall   with the thresholds that were tuned for camera "hall"
  ferd replay drive.mp4 --plot drive.png     the same as a plot: eyes, PERCLOS, awareness, levels

The same input gives the same bytes. t is in seconds of the source; box is [x, y, w, h] in its pixels. scores are this
frame's probabilities (empty where a tracked face was not seen); expression is the smoothed one (null while unsure).
eyes_closed and mouth_open go from 0 to 1 (null: not visible). state, events and alert are what would be published, with
wall time starting in 1970; fatigue is that of this very frame. --fatigue enables fatigue whatever the configuration
says; its limits come from [fatigue].
"""

Line = dict[str, Any]
"""One line of `--jsonl`."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help='a video file, a folder of pictures, a trace (.jsonl), or "demo"')
    parser.add_argument("--jsonl", action="store_true", help="print one JSON object for each analysed frame")
    parser.add_argument("--fatigue", action="store_true", help="watch the main face for drowsiness")
    parser.add_argument("--gestures", action="store_true", help="recognise gestures, and print them")
    parser.add_argument(
        "--camera", metavar="NAME", help="whose tuned thresholds --gestures uses (default: the first configured camera)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="plot the fatigue measures (needs matplotlib)")
    add_config_option(parser)
    parser.add_argument("--fps", type=float, default=10.0, help="pictures per second of a folder (default: 10)")


def _run(args: argparse.Namespace) -> int:
    from ferd.evaluation.plots import check_plots, plot_fatigue
    from ferd.replay import to_json

    config = load_config(args.config, os.environ)
    if args.fps <= 0:
        raise SystemExit("ferd: --fps must be above 0")
    if args.plot:
        check_plots()
    fatigue = args.fatigue or args.plot is not None
    if fatigue:
        config = config.model_copy(update={"fatigue": config.fatigue.model_copy(update={"enabled": True})})
    if args.gestures:
        config = config.model_copy(update={"gestures": config.gestures.model_copy(update={"enabled": True})})
    kept: list[Line] = []
    lines = _kept(_lines(config, args), kept if args.plot else None)
    if args.jsonl:
        for line in lines:
            print(to_json(line))
        sys.stdout.flush()
    elif args.gestures:
        for row in gesture_rows(_with_progress(lines, args.source)):
            print(row)
    elif fatigue:
        for row in fatigue_rows(_with_progress(lines, args.source)):
            print(row)
    else:
        _print_summary(_with_progress(lines, args.source))
    if args.plot:
        plot_fatigue(kept, config.fatigue, f"ferd replay {Path(args.source).name}", args.plot)
    return 0


def _kept(lines: Iterator[Line], kept: list[Line] | None) -> Iterator[Line]:
    """Pass the lines on, and collect them in `kept` where that is a list."""
    for line in lines:
        if kept is not None:
            kept.append(line)
        yield line


def _lines(config: Config, args: argparse.Namespace) -> Iterator[Line]:
    from ferd.config.source import is_address
    from ferd.errors import SourceError
    from ferd.event_builder import EventBuilder
    from ferd.fs import exists, expand
    from ferd.redaction import redact_value
    from ferd.replay import frames, lines, read_trace
    from ferd.sources.factory import open_source
    from ferd.vision.loader import Models, set_opencv_threads
    from ferd.vision.pipeline import Pipeline, run
    from ferd.vision.rules import smoothing_rules
    from ferd.vision.track_smoothing import ExpressionSmoother

    path = expand(args.source)
    if is_address(args.source):
        raise SourceError(
            f"{redact_value(args.source)}: replay reads recordings, not cameras. Make one first: "
            "`ffmpeg -i ADDRESS -t 60 clip.mp4`"
        )
    if not exists(path) and args.source != "demo":
        raise SourceError(f"{redact_value(args.source)}: no such file or folder. replay reads recordings, not cameras")
    models = Models(config, signals=args.jsonl)
    set_opencv_threads(models.detector)
    pipeline = Pipeline.of(models, config, CameraConfig(source=args.source))
    pipeline.tune_gestures(_thresholds(config, args.camera))
    builder = EventBuilder(config.node.name, "replay")
    if path.suffix == ".jsonl":
        smoother = ExpressionSmoother(models.classifier.labels, smoothing_rules(config))
        yield from lines(read_trace(path, models.classifier.labels, smoother, pipeline.watch), builder)
        return
    source = open_source(CameraConfig(source=args.source, fps=args.fps), live=False)
    source.open()
    try:
        yield from lines(run(pipeline, frames(source)), builder)
    finally:
        source.close()


def _thresholds(config: Config, camera: str | None) -> Mapping[GestureName, float]:
    """Return the thresholds that were tuned on the page for a camera, and say so on stderr."""
    from ferd.settings_store import SettingsStore

    if not config.gestures.enabled:
        return {}
    name = camera or next(iter(config.cameras))
    if name not in config.cameras:
        raise ConfigError(f"--camera {name}: there is no such camera; there are: {', '.join(config.cameras)}")
    tuned = SettingsStore.of(config.node.id).switches(name).gestures
    if tuned:
        values = ", ".join(f"{gesture} {value:g}" for gesture, value in tuned.items())
        print(f"thresholds tuned for camera {name}: {values}", file=sys.stderr)
    return tuned


def _with_progress(lines: Iterator[Line], name: str) -> Iterator[Line]:
    """Pass the lines on, and show a counter on stderr meanwhile."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name)
        for number, line in enumerate(lines, start=1):
            progress.update(task, description=f"{name}: frame {number}, {line['t']:.1f} s")
            yield line


def _print_summary(lines: Iterator[Line]) -> None:
    """Print one row for each period in which the published expression and the number of faces stayed the same."""
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


FATIGUE_COLUMNS = (
    ("closed", 6),
    ("aware", 5),
    ("PERCLOS", 7),
    ("seen", 5),
    ("blinks", 6),
    ("longest", 7),
    ("yawns", 5),
    ("yaw", 5),
    ("pitch", 5),
    ("judged", 15),
)
RANK = {"none": 0, "notice": 1, "warning": 2, "alarm": 3}


def fatigue_rows(lines: Iterable[Line]) -> Iterator[str]:
    """Yield text for people: the measures once a second, and the alerts as they begin and end."""
    yield "       t  " + "  ".join(f"{name:>{width}}" for name, width in FATIGUE_COLUMNS)
    next_second = 0.0
    shown: tuple[str, str | None, tuple[str, ...]] = ("none", None, ())
    rises = Counter[str]()
    for line in lines:
        if line["t"] >= next_second:
            next_second = line["t"] // 1 + 1
            yield _measures(line)
        alert = line["alert"] or {}
        now = alert.get("level", "none"), alert.get("reason"), tuple(alert.get("active", ()))
        if now != shown:
            yield _transition(line["t"], *now)
            rises[now[0]] += RANK[now[0]] > RANK[shown[0]]
            shown = now
    counts = (f"{rises[level]} {level}{'' if rises[level] == 1 else 's'}" for level in ("notice", "warning", "alarm"))
    yield "alerts: " + ", ".join(counts)


def gesture_rows(lines: Iterable[Line]) -> Iterator[str]:
    """Yield text for people: each gesture as it is completed, and how often each came."""
    counts = Counter[str]()
    end = 0.0
    for line in lines:
        end = line["t"]
        for event in line["events"]:
            if event["event_type"] == "gesture":
                counts[event["gesture"]] += 1
                yield f"{end:7.1f}s  {event['gesture']} (face {event['track']})"
    found = ", ".join(f"{name} {count}" for name, count in counts.items())
    yield f"gestures in {end:.1f} s: {found or 'none'}"


def _measures(line: Line) -> str:
    face: Line = next((face for face in line["faces"] if face["track"] == line["main"]), {})
    fatigue = line["fatigue"]
    values = (
        _number(face.get("eyes_closed"), 2),
        _number(fatigue["awareness"], 2),
        _number(fatigue["perclos"], 2),
        f"{100 * fatigue['observed']:.0f} %",
        _number(fatigue["blinks"], 0),
        f"{fatigue['longest_s']:.1f} s",
        str(fatigue["yawns"]),
        _number(face.get("yaw"), 0),
        _number(face.get("pitch"), 0),
        fatigue["unjudged"] or "yes",
    )
    cells = (f"{value:>{width}}" for value, (_, width) in zip(values, FATIGUE_COLUMNS, strict=True))
    return f"{line['t']:7.1f}s  " + "  ".join(cells)


def _transition(t: float, level: str, reason: str | None, active: tuple[str, ...]) -> str:
    return f"{t:7.1f}s  -- {level}: {reason} ({', '.join(active)})" if reason else f"{t:7.1f}s  -- over"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


REPLAY = Command(
    "replay",
    "analyse a video, a folder of pictures or a trace: no network, no clock, repeatable",
    DETAILS,
    _add_arguments,
    _run,
)
