"""Takes one picture from a source and says what it shows; run as a child process by cameras.py."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

FRAMES = 5
"""Read and counted before one is judged: a camera's first pictures are often black."""


def main(text: str) -> None:
    from ferd.errors import FerdError

    answer: dict[str, Any]
    try:
        answer = take(text)
    except FerdError as problem:
        answer = {"error": str(problem)}
    except Exception as problem:  # noqa: BLE001  # whatever it is, it is the answer of this process
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    json.dump(answer, sys.stdout)


def take(text: str) -> dict[str, Any]:
    from ferd.config import CameraConfig, DetectorConfig
    from ferd.errors import SourceEnded
    from ferd.sources.factory import open_source
    from ferd.vision.detectors.base import make_detector

    begun = time.monotonic()
    source = open_source(CameraConfig(source=text), live=False)
    source.open()
    try:
        frame = source.read()
        first_s = time.monotonic() - begun
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
    main(sys.argv[1])
