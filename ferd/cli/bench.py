"""`ferd bench`: measure what a frame costs on this machine."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ferd.cli.common import Command, add_config_option, add_json_option
from ferd.config import load_config
from ferd.errors import FerdError

DETAILS = """
Runs the whole pipeline on one fixed 640x480 picture with one face, without a camera or a broker. The floor is the cost
of the bare detector and model calls for that picture. Pipeline and floor are measured alternately, so their ratio is
valid on a busy machine too.

Examples:
  ferd bench                     a table
  ferd bench --json              keys frame_ms, frame_cpu_ms, floor_cpu_ms, stages, rss_mb, start_s …
  ferd bench --faces 10          the same face ten times
  ferd bench --source clip.mp4   the frames of a video, from its bytes to the reading
  ferd bench --image me.jpg      another picture with one face

wire_cpu_ms is the CPU time from the bytes of a JPEG (or of the file) to the reading while a face is followed,
wire_search_cpu_ms the same with the detector in every frame; colour_decode_cpu_ms is what decoding to colour would add.
frame_cpu_ms is the median of frames in colour while a face is followed, frame_mean_cpu_ms their mean, in which the
detector's search twice a second counts; gray_frame_cpu_ms is the median of frames in gray, as every camera delivers
them. cpu is the time of all cores together. p95 is the 95th percentile. start_s is the time from the start of Python to
the first reading. rss_mb is the resident memory of this process (10^6 bytes).
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json_option(parser)
    parser.add_argument("--frames", type=int, default=150, metavar="N", help="frames to measure (default: 150)")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture with one face, not the demo's")
    parser.add_argument("--faces", type=int, default=1, metavar="N", help="show the face N times (1 to 20)")
    parser.add_argument("--source", metavar="FILE", help="a video: measure from its bytes to the reading")
    add_config_option(parser)


def _run(args: argparse.Namespace) -> int:
    from ferd.evaluation.bench import measure

    config = load_config(args.config, os.environ)
    if args.frames < 1:
        raise FerdError("--frames must be at least 1")
    figures = measure(config, _image(args.image), args.frames, faces=args.faces, source=args.source)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)
    return 0


def _image(file: Path | None) -> Any:
    import cv2

    if file is None:
        from ferd.sources.demo import picture

        return picture()
    from ferd.pictures import read_picture

    image = read_picture(file)
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
    row("whole pipeline", whole, "bold")
    row("floor", figures["floor"], "dim")
    console = Console()
    console.print(f"{figures['frames']} frames of {figures['picture']}, {figures['detector']}, {figures['runtime']}")
    console.print(table)
    console.print(
        f"from bytes to reading: {figures['wire_cpu_ms']:.2f} ms cpu, "
        f"with the detector in every frame {figures['wire_search_cpu_ms']:.2f} ms"
    )
    console.print(
        f"pipeline / floor {figures['chain_to_floor']:.2f}   memory {figures['rss_mb']:.0f} MB   "
        f"start to first reading {figures['start_s']:.2f} s"
    )


BENCH = Command(
    "bench",
    "measure time and memory: each stage, the whole pipeline, and its floor",
    DETAILS,
    _add_arguments,
    _run,
)
