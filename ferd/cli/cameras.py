"""ferd cameras: what can be opened here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

HELP = "list the cameras that can be opened here, and why the others cannot"
MORE = """
The first column is what to write into the configuration:

  [cameras.desk]
  source = "/dev/v4l/by-id/usb-…"

Nothing is opened for it, so a running ferd is not disturbed. Exit code 1 when there is no usable camera.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    from ferd.sources.discovery import find_cameras

    found = find_cameras()
    if args.json:
        print(json.dumps([asdict(camera) for camera in found], indent=2, default=str, ensure_ascii=False))
    elif not found:
        print("no camera found. Plug in a webcam, or connect a Pi camera and: sudo apt install python3-picamera2")
        print("Without one: `ferd run --source demo`, a video file, or an address (rtsp://…, http://…)")
    for camera in [] if args.json else found:
        print(f"{camera.source}\n    {camera.name}: {camera.reason or 'can be opened'}")
    return 0 if any(camera.usable for camera in found) else 1
