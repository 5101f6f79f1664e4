"""What ferd's models read from one face, frame by frame: from a video, or from a scene; kept as an .npz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ferd.config import CameraConfig, Config, ExpressionConfig
from ferd.models.registry import find_bundle
from ferd.types import Box, Face, Frame, LandmarkReading
from ferd.vision.align import cut
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.landmarked import with_reading
from ferd.vision.images import to_input_colour
from ferd.vision.landmarks import PRESENT, LandmarkModel, crop_of_points
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

Times = np.ndarray
MEASURES = ("presence", "yaw", "pitch", "roll", "right_aperture", "left_aperture", "mouth_aperture")


@dataclass(frozen=True)
class Cut:
    """From ``begin`` on the face changes; from ``end`` on it shows ``label``, in seconds."""

    begin: float
    end: float
    label: str


@dataclass(frozen=True)
class Trace:
    """One face over time.

    Attributes:
        t: (N,) seconds.
        scores: (N, labels) probabilities; NaN where the face was not seen.
        points: (N, 40, 2) landmarks, NaN where there are none; `measures` (N, 7) as in MEASURES.
        kind: "talk": nothing changes but the mouth; "still": nothing changes at all; "faces": see `cuts`; "video":
            the truth is not known.
        cuts: the true changes; the first one is the expression at the beginning.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    t: np.ndarray
    scores: np.ndarray
    points: np.ndarray
    measures: np.ndarray
    cuts: tuple[Cut, ...] = ()

    @property
    def seconds(self) -> float:
        return float(self.t[-1] - self.t[0])

    def at(self, fps: float, phase: int = 0) -> Trace:
        """Return every n-th frame, as a camera of `fps` would have taken them."""
        step = max(1, round(1 / float(np.median(np.diff(self.t))) / fps))
        pick = slice(phase % step, None, step)
        return Trace(
            self.name, self.kind, self.labels,
            self.t[pick], self.scores[pick], self.points[pick], self.measures[pick], self.cuts,
        )  # fmt: skip

    def landmarks(self, k: int) -> LandmarkReading | None:
        """Return the landmarks of a frame."""
        if np.isnan(self.measures[k, 0]):
            return None
        return LandmarkReading(self.points[k], *(float(v) for v in self.measures[k]))


class FaceReader:
    """Read scores and landmarks of one face in frame after frame, as ferd's pipeline does."""

    def __init__(self, model: str) -> None:
        self.classifier = Classifier(find_bundle(model))
        self._landmarks = LandmarkModel(find_bundle("landmarks"))
        self._before: LandmarkReading | None = None

    def reset(self) -> None:
        """Begin with another face."""
        self._before = None

    def __call__(self, gray: np.ndarray, points: np.ndarray) -> tuple[np.ndarray | None, LandmarkReading | None]:
        """Read a frame. ``points``: (40, 2), where the landmarks are: used for the first frame and after a loss."""
        where = crop_of_points(points, 0.0) if self._before is None else self._before
        reading = self._landmarks.read(gray, where)
        self._before = reading if reading is not None and reading.presence >= PRESENT else None
        if self._before is None:
            return None, None
        face = with_reading(Face(Box(*points.min(axis=0), *np.ptp(points, axis=0))), self._before)
        spec, bundle = self.classifier.input, self.classifier.bundle
        return self.classifier(to_input_colour(cut(gray, face, bundle.crop, "face", spec.size), spec)), self._before


class TraceBuilder:
    """Collect frames."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._rows: list[tuple[float, np.ndarray | None, LandmarkReading | None]] = []

    def add(self, t: float, scores: np.ndarray | None, reading: LandmarkReading | None) -> None:
        self._rows.append((t, scores, reading))

    def build(self, name: str, kind: str, cuts: Sequence[Cut] = ()) -> Trace:
        n = len(self._rows)
        scores = np.full((n, len(self._labels)), np.nan, np.float32)
        points, measures = np.full((n, 40, 2), np.nan, np.float32), np.full((n, len(MEASURES)), np.nan, np.float32)
        for k, (_, row, reading) in enumerate(self._rows):
            if row is not None:
                scores[k] = row
            if reading is not None:
                points[k] = reading.points
                measures[k] = [getattr(reading, name) for name in MEASURES]
        t = np.array([row[0] for row in self._rows])
        return Trace(name, kind, self._labels, t, scores, points, measures, tuple(cuts))


def read_clip(path: Path, model: str, kind: str) -> Trace:
    """Read the main face of a video with ferd's pipeline. Raises ValueError when it cannot be read or has no face."""
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    if not capture.isOpened() or not fps > 0:
        raise ValueError(f"{path}: not a video that OpenCV can open")
    config = Config(expression=ExpressionConfig(model=model))
    models = Models(config)
    pipeline = Pipeline.of(models, config, CameraConfig())
    builder, seen = TraceBuilder(models.labels), False
    for k, gray in enumerate(_grays(capture)):
        face = pipeline.step(Frame(k / fps, gray)).main_face
        if face is None or not face.scores:
            builder.add(k / fps, None, None)
        else:
            builder.add(k / fps, np.array(list(face.scores.values())), face.track.face.landmarks)
            seen = True
    capture.release()
    if not seen:
        raise ValueError(f"{path}: shows no face")
    return builder.build(path.stem, kind)


def save(trace: Trace, path: Path) -> None:
    cuts = np.array([(cut.begin, cut.end) for cut in trace.cuts]).reshape(-1, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path, name=trace.name, kind=trace.kind, labels=np.array(trace.labels), t=trace.t, scores=trace.scores,
        points=trace.points, measures=trace.measures, cuts=cuts, cut_labels=np.array([cut.label for cut in trace.cuts]),
    )  # fmt: skip


def load(path: Path) -> Trace:
    with np.load(path, allow_pickle=False) as file:
        cuts = tuple(
            Cut(float(b), float(e), str(label)) for (b, e), label in zip(file["cuts"], file["cut_labels"], strict=True)
        )
        return Trace(
            str(file["name"]), str(file["kind"]), tuple(map(str, file["labels"])),
            file["t"], file["scores"], file["points"], file["measures"], cuts,
        )  # fmt: skip


def _grays(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
