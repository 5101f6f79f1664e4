"""Measure what one frame costs, step by step, beside its floor: the bare detector and model calls of the same frame.

Chain and floor alternate in one run, so that their ratio is valid on a noisy machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ferd.config import CameraConfig, Config
from ferd.errors import FerdError
from ferd.event_builder import EventBuilder
from ferd.types import Frame, Image
from ferd.vision.detectors.landmarked import LandmarkedDetector
from ferd.vision.landmarks import crop_of_box, cut
from ferd.vision.loader import Models, set_opencv_threads
from ferd.vision.pipeline import Pipeline, StepTimings

P = ParamSpec("P")
R = TypeVar("R")

STAGES = ("prepare", "follow", "detect", "track", "crop", "classify", "smooth", "tell")
"""Keys of `ferd bench --json`. "tell" is the building of events."""
FPS = 15.0
WARM_UP = 15
"""Frames before the measurement: the track must be confirmed, caches must be warm."""


@dataclass(slots=True)
class Stage:
    """Collect wall and CPU seconds of each call. CPU is that of the whole process, so helper threads count."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function, and record how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = function(*args, **kwargs)
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return result

    def summary(self) -> dict[str, float]:
        """Return median and 95th percentile in milliseconds."""
        wall, cpu = np.array(self.wall) * 1e3, np.array(self.cpu) * 1e3
        return {
            "ms": round(float(np.median(wall)), 4),
            "p95_ms": round(float(np.percentile(wall, 95)), 4),
            "cpu_ms": round(float(np.median(cpu)), 4),
            "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 4),
        }


class StageTimings(StepTimings):
    """Record every call of a pipeline's steps, with its CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, Stage] = {name: Stage() for name in STAGES}

    def call(self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        stage = self.stages.get(step)
        return function(*args, **kwargs) if stage is None else stage.call(function, *args, **kwargs)


def measure(config: Config, image: Image, frames: int) -> dict[str, Any]:
    """Return the figures of `ferd bench --json`. Raises FerdError when there is not exactly one face in the image."""
    models = Models(config)
    set_opencv_threads(models.detector)
    pipeline, searching, timed = (Pipeline.of(models, config, CameraConfig()) for _ in range(3))
    searching.follow, searching.detect = None, models.detector
    builder, search_builder, timed_builder = (EventBuilder(config.node.name, "bench") for _ in range(3))
    whole, search, floor = Stage(), Stage(), _Floor(models, searching, image)

    def chain(t: float) -> None:
        builder.update(pipeline.step(Frame(t, image)), t)

    def search_chain(t: float) -> None:
        search_builder.update(searching.step(Frame(t, image)), t)

    for i in range(WARM_UP):
        chain(i / FPS)
        search_chain(i / FPS)
        timed.step(Frame(i / FPS, image))
    floor.find_face()
    timings = timed.timings = StageTimings()
    for i in range(WARM_UP, WARM_UP + frames):
        whole.call(chain, i / FPS)
        search.call(search_chain, i / FPS)
        floor.run()
        reading = timed.step(Frame(i / FPS, image))
        timings.call("tell", timed_builder.update, reading, i / FPS)
    chain_figures, search_figures, floor_figures = whole.summary(), search.summary(), floor.stage.summary()
    return {
        "frames": frames,
        "picture": f"{image.shape[1]}x{image.shape[0]}",
        "detector": models.detector.name,
        "model": models.classifier.bundle.name,
        "runtime": models.classifier.network.runtime,
        "frame_ms": chain_figures["ms"],
        "frame_p95_ms": chain_figures["p95_ms"],
        "frame_cpu_ms": chain_figures["cpu_ms"],
        "frame_cpu_p95_ms": chain_figures["cpu_p95_ms"],
        "search_cpu_ms": search_figures["cpu_ms"],
        "floor_cpu_ms": floor_figures["cpu_ms"],
        "chain_to_floor": round(search_figures["cpu_ms"] / floor_figures["cpu_ms"], 3),
        "stages": {name: stage.summary() for name, stage in timings.stages.items()},
        "floor": floor_figures,
        "rss_mb": round(resident_mb(), 1),
        "start_s": round(start_seconds(), 3),
    }


class _Floor:
    """Make the calls of one frame that no program can avoid: the detector's search and the models' runs."""

    def __init__(self, models: Models, pipeline: Pipeline, image: Image) -> None:
        self.stage = Stage()
        self._models, self._pipeline = models, pipeline
        self._frame = pipeline.prepare(Frame(0.0, image))
        self._searched = models.detector.prepare(self._frame)
        self._read_landmarks: Callable[[Image], object] | None = None

    def find_face(self) -> None:
        """Prepare the inputs of the models, outside of what is measured."""
        faces = self._pipeline.detect(self._frame)
        if len(faces) != 1:
            raise FerdError(f"the picture must show one face, the detector finds {len(faces)}; give another --image")
        crop = self._pipeline.crop(self._frame.image, faces[0])
        self._input = self._models.classifier.prepare(crop)
        detector = self._models.detector
        if isinstance(detector, LandmarkedDetector):
            self._face = cut(self._frame.image, crop_of_box(faces[0].box))
            self._read_landmarks = detector.landmarks.values

    def run(self) -> None:
        """Make the calls of one frame, and record how long they took."""
        self.stage.call(self._bare_calls)

    def _bare_calls(self) -> None:
        self._models.detector.search(self._searched)
        if self._read_landmarks is not None:
            self._read_landmarks(self._face)
        self._models.classifier.network.invoke(self._input)


def resident_mb() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes), 0 without /proc. See proc(5)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


def start_seconds() -> float:
    """Return the wall seconds from starting a fresh process to its first reading of a 640x480 frame."""
    code = (
        "import numpy, ferd.vision.loader as l, ferd.vision.pipeline as p, ferd.config as c, ferd.types as d;"
        "m = c.Config();"
        "q = p.Pipeline.of(l.Models(m), m, c.CameraConfig());"
        "q.step(d.Frame(0.0, numpy.zeros((480, 640), numpy.uint8)))"
    )
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - begin
