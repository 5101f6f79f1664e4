"""ferd model try: a model of the shelf before the camera, with live bars."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ferd.types import FaceReading, Reading

HELP = "watch a model work: live bars of what it sees"
MORE = """
  ferd model try mood                 the configured camera
  ferd model try mood --source usb:1  another one
"""
BAR = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a name on the shelf, or a path")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file (camera, detector)")
    parser.add_argument("--source", metavar="S", help='"auto", "usb", "picamera2", a file, "demo" …')
    parser.add_argument("--frames", type=int, metavar="N", help="end after so many frames")
    parser.set_defaults(do=run)


def run(args: argparse.Namespace) -> int:
    from rich.live import Live

    from ferd.cli.model_teach import open_camera
    from ferd.config import ExpressionConfig, load_config
    from ferd.vision.pipeline import Models

    config = load_config(args.config, os.environ)
    config = config.model_copy(update={"expression": ExpressionConfig(model=args.name)})
    parts = Models(config)
    reading: Reading | None = None
    with open_camera(args.source, config) as (camera, source):
        pipeline = parts.pipeline(camera)
        with Live(refresh_per_second=8, transient=True) as live:
            count = 0
            while args.frames is None or count < args.frames:
                reading = pipeline.step(source.read())
                live.update(draw(reading, parts.classifier.labels))
                count += 1
    if reading is not None:
        from rich.console import Console

        Console().print(draw(reading, parts.classifier.labels))
    return 0


def draw(reading: Reading, labels: tuple[str, ...]) -> RenderableType:
    """A bar a label: how probable now (light) and after the time filter (full); the held one is marked."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("", "", "now", "smooth"):
        table.add_column(column, justify="right" if column else "left")
    face = reading.main_face
    for label in labels:
        now, smooth = _of(face, label)
        full, light = round(BAR * smooth), max(0, round(BAR * now) - round(BAR * smooth))
        held = face is not None and face.expression == label
        bar = Text("█" * full, style="bold green" if held else "cyan") + Text("░" * light)
        table.add_row(Text(f"{'▸ ' if held else '  '}{label}", style="bold" if held else ""), bar,
                      f"{100 * now:3.0f} %", f"{100 * smooth:3.0f} %")  # fmt: skip
    if face is None:
        table.add_row(Text("no face", style="yellow"))
    return table


def _of(face: FaceReading | None, label: str) -> tuple[float, float]:
    """This frame's score and the smoothed one, 0 where there is none."""
    return (0.0, 0.0) if face is None else (face.scores.get(label, 0.0), face.smooth.get(label, 0.0))
