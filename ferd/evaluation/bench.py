"""What one frame costs, stage by stage, beside its floor: the bare detector and model calls of the same frame.

Chain and floor take turns in one run, so that their ratio holds on a noisy machine.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ferd.config import CameraConfig, Config
from ferd.errors import FerdError
from ferd.event_builder import EventBuilder
from ferd.outputs.health import read_rss_mb
from ferd.types import Frame, Image
from ferd.vision.pipeline import Models, Pipeline
from ferd.vision.points import RefinedPoints

P = ParamSpec("P")
R = TypeVar("R")

STAGES = ("prepare", "detect", "track", "crop", "classify", "smooth", "tell")
FPS = 15.0
WARM_UP = 15
"""Frames before anything is counted: the track must have earned its existence, caches must be warm."""


@dataclass(slots=True)
class Stage:
    """Wall and CPU seconds of each frame. CPU is that of the whole process, so helper threads count."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def timed(self, step: Callable[P, R]) -> Callable[P, R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            wall, cpu = time.perf_counter(), time.process_time()
            result = step(*args, **kwargs)
            self.cpu.append(time.process_time() - cpu)
            self.wall.append(time.perf_counter() - wall)
            return result

        return run

    def summary(self) -> dict[str, float]:
        """Median and 95th percentile in milliseconds."""
        wall, cpu = np.array(self.wall) * 1e3, np.array(self.cpu) * 1e3
        return {
            "ms": round(float(np.median(wall)), 4),
            "p95_ms": round(float(np.percentile(wall, 95)), 4),
            "cpu_ms": round(float(np.median(cpu)), 4),
            "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 4),
        }


def measure(config: Config, picture: Image, frames: int) -> dict[str, Any]:
    """The figures of `ferd bench --json`. Raises FerdError when there is not exactly one face in the picture."""
    parts = Models(config)
    pipeline = parts.pipeline(CameraConfig())
    narrator = EventBuilder(config.node.name, "bench")
    whole = Stage()
    floor = _Floor(parts, pipeline, picture)
    stages = {name: Stage() for name in STAGES}
    timed = _timed_pipeline(parts.pipeline(CameraConfig()), stages)
    tell = stages["tell"].timed(EventBuilder(config.node.name, "bench").tell)

    def chain(t: float) -> None:
        narrator.tell(pipeline.step(Frame(t, picture)), t)

    for i in range(WARM_UP):
        chain(i / FPS)
        timed.step(Frame(i / FPS, picture))
    for stage in stages.values():
        stage.wall.clear()
        stage.cpu.clear()
    floor.find_face()
    for i in range(WARM_UP, WARM_UP + frames):
        whole.timed(chain)(i / FPS)
        floor.run()
        tell(timed.step(Frame(i / FPS, picture)), i / FPS)
    chain_figures, floor_figures = whole.summary(), floor.stage.summary()
    return {
        "frames": frames,
        "picture": f"{picture.shape[1]}x{picture.shape[0]}",
        "detector": parts.detector.name,
        "model": parts.classifier.bundle.name,
        "runtime": parts.classifier.network.runtime,
        "frame_ms": chain_figures["ms"],
        "frame_p95_ms": chain_figures["p95_ms"],
        "frame_cpu_ms": chain_figures["cpu_ms"],
        "frame_cpu_p95_ms": chain_figures["cpu_p95_ms"],
        "floor_cpu_ms": floor_figures["cpu_ms"],
        "chain_to_floor": round(chain_figures["cpu_ms"] / floor_figures["cpu_ms"], 3),
        "stages": {name: stage.summary() for name, stage in stages.items()},
        "floor": floor_figures,
        "rss_mb": round(read_rss_mb() or 0.0, 1),
        "start_s": round(start_seconds(), 3),
    }


class _Floor:
    """The calls of one frame that no program can do without: the detector's search and the model's run."""

    def __init__(self, parts: Models, pipeline: Pipeline, picture: Image) -> None:
        self.stage = Stage()
        self._parts, self._pipeline = parts, pipeline
        self._frame = pipeline.prepare(Frame(0.0, picture))
        self._searched = parts.detector.prepare(self._frame)
        self._read_points: Callable[[Image], object] | None = None

    def find_face(self) -> None:
        """Prepares the model's input, outside of what is measured."""
        faces = self._pipeline.detect(self._frame)
        if len(faces) != 1:
            raise FerdError(f"the picture must show one face, the detector finds {len(faces)}; give another --image")
        crop = self._pipeline.crop(self._frame.image, faces[0])
        self._input = self._parts.classifier.prepare(crop)
        detector = self._parts.detector
        if isinstance(detector, RefinedPoints):
            self._close = detector.reader.prepare(self._frame.image, faces[0].box)
            self._read_points = detector.reader.read
        self.run = self.stage.timed(self._bare_calls)

    def _bare_calls(self) -> None:
        self._parts.detector.search(self._searched)
        if self._read_points is not None:
            self._read_points(self._close)
        self._parts.classifier.network.invoke(self._input)


def _timed_pipeline(pipeline: Pipeline, stages: Mapping[str, Stage]) -> Pipeline:
    """The same pipeline with a stopwatch around each of its steps."""
    pipeline.detect = stages["detect"].timed(pipeline.detect)
    pipeline.track = stages["track"].timed(pipeline.track)
    pipeline.prepare = stages["prepare"].timed(pipeline.prepare)
    pipeline.crop = stages["crop"].timed(pipeline.crop)
    pipeline.classify = stages["classify"].timed(pipeline.classify)
    pipeline.mind = stages["smooth"].timed(pipeline.mind)
    return pipeline


def start_seconds() -> float:
    """Wall seconds from starting a fresh process to its first reading of a 640x480 frame."""
    code = (
        "import numpy, ferd.vision.pipeline as p, ferd.config as c, ferd.types as d;"
        "p.Models(c.Config()).pipeline(c.CameraConfig()).step(d.Frame(0.0, numpy.zeros((480, 640), numpy.uint8)))"
    )
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - begin
