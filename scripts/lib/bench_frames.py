"""Take frames of the demo picture through ferd's chain and exit: what scripts/bench-arm64 counts the instructions of.

    python bench_frames.py WAY FRAMES

WAY: "follow" (a gray frame with one followed face), "search" (the same with the detector in every frame), "wire" and
"wire-search" (the same from the bytes of a JPEG), "decode" (the JPEG to gray alone), "floor" (the bare calls of
detector and models in "search").
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ferd.config import CameraConfig, Config
from ferd.evaluation.bench import FPS, WARM_UP, Floor, searching_pipeline
from ferd.evaluation.bench_wire import WirePart
from ferd.event_builder import EventBuilder
from ferd.sources.demo import picture
from ferd.types import Frame, Image
from ferd.vision.images import to_gray
from ferd.vision.loader import Models, set_opencv_threads
from ferd.vision.pipeline import Pipeline

WAYS = ("follow", "search", "wire", "wire-search", "decode", "floor")


def step_of(way: str) -> Callable[[int], object]:
    """Return what is done for frame number i."""
    config = Config()
    models = Models(config)
    set_opencv_threads(models.detector)
    image = picture()
    gray, part = to_gray(image), WirePart(image)
    searches = way in ("search", "wire-search", "floor")
    pipeline = searching_pipeline(models, config) if searches else Pipeline.of(models, config, CameraConfig())
    builder = EventBuilder("bench", "bench")
    if way == "decode":
        return lambda i: to_gray_of(part.frame(i / FPS))
    if way == "floor":
        floor = Floor(models, pipeline, gray)
        floor.find_faces(1)
        return lambda _i: floor.run()

    def step(i: int) -> None:
        t = i / FPS
        frame = part.frame(t) if way.startswith("wire") else Frame(t, gray)
        builder.update(pipeline.step(frame), t)

    return step


def to_gray_of(frame: Frame) -> Image:
    """Decode a frame to gray: only reading the image does it."""
    gray = frame.as_gray()
    return to_gray(frame.image) if gray is None else gray.image


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in WAYS:
        print(f"usage: bench_frames.py {'|'.join(WAYS)} FRAMES", file=sys.stderr)
        return 2
    step = step_of(sys.argv[1])
    for i in range(WARM_UP + int(sys.argv[2])):
        step(i)
    return 0


if __name__ == "__main__":
    sys.exit(main())
