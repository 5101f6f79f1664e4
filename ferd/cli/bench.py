"""ferd bench: what a frame costs on this machine."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ferd.config import load_config
from ferd.errors import FerdError
from ferd.fs import is_file

HELP = "measure time and memory: each stage, the whole chain, and its floor"
MORE = """
Runs the chain on one fixed 640x480 picture with one face, without a camera or a broker. The floor is what the bare
detector and model calls of that picture cost; chain and floor take turns, so their ratio holds on a busy machine.

  ferd bench                     a table
  ferd bench --json              keys frame_ms, frame_cpu_ms, floor_cpu_ms, stages, rss_mb, start_s …
  ferd bench --image me.jpg      another picture with one face (needed where the demo extra is not installed)

cpu is the time of all cores together, p95 the slowest frame but one in twenty, start_s the time from starting
Python to the first reading, rss_mb the resident memory of this process (10^6 bytes).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--frames", type=int, default=150, metavar="N", help="frames to measure (default: 150)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture with one face instead of the demo's")
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")


def run(args: argparse.Namespace) -> int:
    from ferd.evaluation.bench import measure

    config = load_config(args.config, os.environ)
    if args.frames < 1:
        raise FerdError("--frames must be at least 1")
    figures = measure(config, _picture(args.image), args.frames)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)
    return 0


def _picture(file: Path | None) -> Any:
    import cv2

    if file is None:
        from ferd.sources.demo import picture

        return picture()
    image = cv2.imread(str(file)) if is_file(file) else None
    if image is None:
        raise FerdError(f"{file}: is not a picture that OpenCV can read")
    return cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)


def _print(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("stage", "ms", "p95", "cpu ms", "cpu p95"):
        table.add_column(column, justify="left" if column == "stage" else "right")

    def row(name: str, values: dict[str, float], style: str = "") -> None:
        keys = ("ms", "p95_ms", "cpu_ms", "cpu_p95_ms")
        table.add_row(name, *(f"{values[key]:.2f}" for key in keys), style=style)

    for name, values in figures["stages"].items():
        row(name, values)
    whole = {key: figures[f"frame_{key}"] for key in ("ms", "p95_ms", "cpu_ms", "cpu_p95_ms")}
    row("whole chain", whole, "bold")
    row("floor", figures["floor"], "dim")
    console = Console()
    console.print(f"{figures['frames']} frames of {figures['picture']}, {figures['detector']}, {figures['runtime']}")
    console.print(table)
    console.print(
        f"chain / floor {figures['chain_to_floor']:.2f}   memory {figures['rss_mb']:.0f} MB   "
        f"start to first reading {figures['start_s']:.2f} s"
    )
