"""Measure what one frame costs, step by step, beside its floor: the bare detector and model calls of the same frame.

Chain and floor alternate in one run, so that their ratio is valid on a noisy machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ferd.config import CameraConfig, Config
from ferd.errors import FerdError, SourceEnded
from ferd.evaluation.bench_wire import WirePart, frames_of, several
from ferd.event_builder import EventBuilder
from ferd.types import Face, Frame, Image
from ferd.vision.detectors.landmarked import LandmarkedDetector
from ferd.vision.follow import FaceFollower
from ferd.vision.images import to_gray
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
        """Return median, 95th percentile and mean in milliseconds."""
        wall, cpu = np.array(self.wall) * 1e3, np.array(self.cpu) * 1e3
        return {
            "ms": round(float(np.median(wall)), 4),
            "p95_ms": round(float(np.percentile(wall, 95)), 4),
            "cpu_ms": round(float(np.median(cpu)), 4),
            "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 4),
            "mean_cpu_ms": round(float(cpu.mean()), 4),
        }


class StageTimings(StepTimings):
    """Record every call of a pipeline's steps, with its CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, Stage] = {name: Stage() for name in STAGES}

    def call(self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        stage = self.stages.get(step)
        return function(*args, **kwargs) if stage is None else stage.call(function, *args, **kwargs)


def measure(config: Config, image: Image, frames: int, *, faces: int = 1, source: str | None = None) -> dict[str, Any]:
    """Return the figures of `ferd bench --json`.

    Args:
        image: shows one face.
        faces: the face is shown so many times.
        source: a file whose frames are measured from its bytes to the reading; else the image as JPEG is.

    Raises:
        FerdError: There are not exactly so many faces in the image.
    """
    models = Models(config)
    set_opencv_threads(models.detector)
    if faces > 1:
        image = several(image, one_face(models, image), faces)
    pipeline, timed = (Pipeline.of(models, config, CameraConfig()) for _ in range(2))
    searching = searching_pipeline(models, config)
    builder, search_builder, timed_builder = (EventBuilder(config.node.name, "bench") for _ in range(3))
    whole, search, floor = Stage(), Stage(), Floor(models, searching, image)
    as_delivered = _Way(Pipeline.of(models, config, CameraConfig()), config.node.name)
    gray = to_gray(image)

    def chain(t: float) -> None:
        builder.update(pipeline.step(Frame(t, image)), t)

    def search_chain(t: float) -> None:
        search_builder.update(searching.step(Frame(t, image)), t)

    wire = _Wire(models, config, image) if source is None else _File(models, config, source)
    for i in range(WARM_UP):
        chain(i / FPS)
        search_chain(i / FPS)
        as_delivered.take(lambda t=i / FPS: Frame(t, gray), measured=False)  # type: ignore[misc]
        wire.step(i / FPS, measured=False)
        timed.step(Frame(i / FPS, image))
    floor.find_faces(faces)
    timings = timed.timings = StageTimings()
    for i in range(WARM_UP, WARM_UP + frames):
        whole.call(chain, i / FPS)
        search.call(search_chain, i / FPS)
        as_delivered.take(lambda t=i / FPS: Frame(t, gray))  # type: ignore[misc]
        wire.step(i / FPS)
        floor.run()
        reading = timed.step(Frame(i / FPS, image))
        timings.call("tell", timed_builder.update, reading, i / FPS)
    chain_figures, search_figures, floor_figures = whole.summary(), search.summary(), floor.stage.summary()
    return {
        "frames": frames,
        "faces": faces,
        "picture": f"{image.shape[1]}x{image.shape[0]}",
        "detector": models.detector.name,
        "model": models.classifier.bundle.name,
        "runtime": models.classifier.network.runtime,
        "frame_ms": chain_figures["ms"],
        "frame_p95_ms": chain_figures["p95_ms"],
        "frame_cpu_ms": chain_figures["cpu_ms"],
        "frame_cpu_p95_ms": chain_figures["cpu_p95_ms"],
        "frame_mean_cpu_ms": chain_figures["mean_cpu_ms"],
        "gray_frame_cpu_ms": as_delivered.stage.summary()["cpu_ms"],
        "search_cpu_ms": search_figures["cpu_ms"],
        **wire.figures(),
        "floor_cpu_ms": floor_figures["cpu_ms"],
        "chain_to_floor": round(search_figures["cpu_ms"] / floor_figures["cpu_ms"], 3),
        "stages": {name: stage.summary() for name, stage in timings.stages.items()},
        "floor": floor_figures,
        "rss_mb": round(resident_mb(), 1),
        "start_s": round(start_seconds(), 3),
    }


class _Wire:
    """Measure the way from a JPEG's bytes to the reading: following the face, and searching in every frame."""

    def __init__(self, models: Models, config: Config, image: Image) -> None:
        self._part = WirePart(image)
        self._ways = _ways(models, config)
        self._colour = Stage()

    def step(self, t: float, *, measured: bool = True) -> None:
        """Take one picture every way."""
        for way in self._ways.values():
            way.take(lambda: self._part.frame(t), measured=measured)
        if measured:
            self._colour.call(self._part.decode_colour)

    def figures(self) -> dict[str, Any]:
        """Return the keys of `ferd bench --json`."""
        times = {key: way.stage.summary()["cpu_ms"] for key, way in self._ways.items()}
        return {**times, "colour_decode_cpu_ms": self._colour.summary()["cpu_ms"], "wire_bytes": len(self._part.data)}


class _File:
    """The same for the frames of a file, read from its bytes."""

    def __init__(self, models: Models, config: Config, source: str) -> None:
        self._ways = _ways(models, config)
        self._frames = {key: frames_of(source) for key in self._ways}
        self._ended = False
        self._count = 0

    def step(self, _t: float, *, measured: bool = True) -> None:
        """Take one frame every way, until the file ends."""
        if self._ended:
            return
        try:
            for key, way in self._ways.items():
                way.take(next(self._frames[key]), measured=measured)
        except SourceEnded:
            self._ended = True
        self._count += measured and not self._ended

    def figures(self) -> dict[str, Any]:
        """Return the keys of `ferd bench --json`. Raises FerdError when the file was too short."""
        for frames in self._frames.values():
            frames.close()
        if not self._count:
            raise FerdError(f"--source: the file has {WARM_UP} frames or less; give a longer one")
        times = {key: way.stage.summary()["cpu_ms"] for key, way in self._ways.items()}
        return {**times, "source_frames": self._count}


class _Way:
    """A pipeline with the durations of its frames."""

    def __init__(self, pipeline: Pipeline, node: str) -> None:
        self.stage = Stage()
        self._pipeline, self._builder = pipeline, EventBuilder(node, "bench")

    def take(self, read: Callable[[], Frame], *, measured: bool = True) -> None:
        """Read a frame and take it to what is published."""

        def step() -> None:
            frame = read()
            self._builder.update(self._pipeline.step(frame), frame.t)

        if measured:
            self.stage.call(step)
        else:
            step()


def _ways(models: Models, config: Config) -> dict[str, _Way]:
    return {
        "wire_cpu_ms": _Way(Pipeline.of(models, config, CameraConfig()), config.node.name),
        "wire_search_cpu_ms": _Way(searching_pipeline(models, config), config.node.name),
    }


def searching_pipeline(models: Models, config: Config) -> Pipeline:
    """Return a pipeline whose detector searches every frame: a known face is looked at once, as in every search."""
    pipeline = Pipeline.of(models, config, CameraConfig())
    if isinstance(models.detector, LandmarkedDetector):
        pipeline.follow = FaceFollower(models.detector, search_s=0)
    return pipeline


def one_face(models: Models, image: Image) -> Face:
    """Find the face of a picture. Raises FerdError when there is not exactly one."""
    pipeline = Pipeline.of(models, Config(), CameraConfig())
    faces = models.detector(pipeline.prepare(Frame(0.0, image)))
    _check_count(faces, 1)
    return faces[0]


def _check_count(faces: Sequence[Face], wanted: int) -> None:
    if len(faces) != wanted:
        what = "one face" if wanted == 1 else f"{wanted} faces"
        raise FerdError(f"the picture must show {what}, the detector finds {len(faces)}; give another --image")


class Floor:
    """Make the calls of one frame that no program can avoid: the detector's search and the models' runs."""

    def __init__(self, models: Models, pipeline: Pipeline, image: Image) -> None:
        self.stage = Stage()
        self._models, self._pipeline = models, pipeline
        self._frame = pipeline.prepare(Frame(0.0, image))
        self._searched = models.detector.prepare(self._frame)
        self._read_landmarks: Callable[[Image], object] | None = None
        self._inputs: list[Image] = []
        self._faces: list[Image] = []

    def find_faces(self, wanted: int) -> None:
        """Prepare the inputs of the models, outside of what is measured."""
        faces = self._models.detector(self._frame)
        _check_count(faces, wanted)
        image, detector = self._frame.image, self._models.detector
        self._inputs = [self._models.classifier.prepare(self._pipeline.crop(image, face)) for face in faces]
        if isinstance(detector, LandmarkedDetector):
            self._faces = [cut(image, crop_of_box(face.box)) for face in faces]
            self._read_landmarks = detector.landmarks.values

    def run(self) -> None:
        """Make the calls of one frame, and record how long they took."""
        self.stage.call(self._bare_calls)

    def _bare_calls(self) -> None:
        self._models.detector.search(self._searched)
        if self._read_landmarks is not None:
            for face in self._faces:
                self._read_landmarks(face)
        for image in self._inputs:
            self._models.classifier.network.invoke(image)


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
