"""Take one picture from a source and report what it shows; cameras.py runs this as a child process."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferd.config import CameraConfig

FRAMES = 5
"""Frames to read before one is judged: the first frames of a camera are often black."""


def main(text: str) -> None:
    """Write the answer of `take`, or {"error": …}, as JSON to stdout. `text`: a CameraConfig as JSON."""
    from ferd.config import CameraConfig
    from ferd.errors import FerdError

    answer: dict[str, Any]
    try:
        answer = take(CameraConfig.model_validate_json(text))
    except FerdError as problem:
        answer = {"error": str(problem)}
    except Exception as problem:  # noqa: BLE001  # any failure is the answer of this process
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    json.dump(answer, sys.stdout)


def take(config: CameraConfig) -> dict[str, Any]:
    """Open the source, read some frames and describe the last one. Raises FerdError."""
    from ferd.config import DetectorConfig
    from ferd.errors import SourceEnded
    from ferd.sources.factory import open_source
    from ferd.vision.detectors.factory import make_detector

    start = time.monotonic()
    source = open_source(config, live=False)
    source.open()
    try:
        frame = source.read()
        first_s = time.monotonic() - start
        for _ in range(FRAMES - 1):
            try:
                frame = source.read()
            except SourceEnded:
                break
        return {
            "source": source.name,
            "width": frame.width,
            "height": frame.height,
            "light": float(frame.image.mean()),
            "faces": len(make_detector(DetectorConfig())(frame)),
            "first_s": first_s,
        }
    finally:
        source.close()


if __name__ == "__main__":
    main(sys.stdin.read())
