"""The way of a picture: frame -> faces -> tracks -> crops -> scores -> readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.config.alerts import check_labels
from ferd.config.models import CameraConfig, Config
from ferd.models.registry import find_bundle
from ferd.outputs.buzzer.patterns import SILENT
from ferd.policy.alert_engine import AlertEngine
from ferd.policy.alert_rules import Condition, Rule
from ferd.policy.drowsiness import DrowsinessLimits
from ferd.policy.primary_face import StickyPrimaryFace
from ferd.policy.sensitivity import tuned
from ferd.policy.smoothing import Smoother, SmoothingRules
from ferd.types import EyeMouthState, Face, FaceReading, Frame, Image, Landmarks, Reading, Track
from ferd.vision.align import cut, middle_square
from ferd.vision.classifier import Classifier, to_input_colour
from ferd.vision.detectors.base import Detector, make_detector, outside
from ferd.vision.detectors.full_frame import FullFrameDetector
from ferd.vision.signals import make_eyes
from ferd.vision.tracker import PrimaryFace, Tracker

Scores = NDArray[np.float32]


class Pipeline:
    """One camera's chain. The steps are plain attributes: each can be replaced or timed on its own.

    `prepare`: frame -> frame, in gray where nobody needs its colours. `detect`: frame -> faces. `crop`: (picture,
    face) -> the model's input picture. `classify`: input picture -> probabilities. `read_eyes`: (picture, points) ->
    signals, None where nobody asks for them. `watch`: reading -> the same with fatigue and alerts.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier,
        rules: SmoothingRules,
        camera: CameraConfig,
        *,
        read_eyes: Callable[[Image, Landmarks], EyeMouthState] | None = None,
        watch: AlertEngine | None = None,
    ) -> None:
        """`watch`: with fatigue in it the main face is the driver, who is not changed easily."""
        spec, bundle = classifier.input, classifier.bundle
        size = (spec.width, spec.height)
        all_gray = detector.gray and spec.colour == "gray"
        self.prepare: Callable[[Frame], Frame] = InGray() if all_gray else lambda frame: frame
        self.detect: Callable[[Frame], list[Face]] = detector
        self.crop: Callable[[Image, Face], Image] = lambda picture, face: to_input_colour(
            cut(picture, face, bundle.crop, detector.name, size), spec
        )
        if spec.of == "frame":
            self.crop = lambda picture, _face: to_input_colour(middle_square(picture, size), spec)
        self.classify: Callable[[Image], Scores] = classifier
        self._ignore = camera.ignore_zones
        self.track: Callable[[float, Sequence[Face]], list[Track]] = Tracker()
        self.read_eyes = read_eyes
        self.watch: AlertEngine = watch or AlertEngine(None, ())
        self.main_face: Callable[[float, Sequence[Track]], int | None] = (
            StickyPrimaryFace() if self.watch.fatigue else PrimaryFace()
        )
        self.rules = rules
        mind = ExpressionSmoother(classifier.labels, rules)
        self.mind: Callable[
            [float, Sequence[Track], dict[int, Scores], dict[int, EyeMouthState]], tuple[FaceReading, ...]
        ]
        self.mind = mind
        self._tune = mind.tune

    def tune(self, factor: float) -> None:
        """`factor`: see ferd/policy/sensitivity.py. What is held stays held; the next frame is judged anew."""
        self._tune(factor)
        self.watch.tune(factor)

    def step(self, frame: Frame) -> Reading:
        """One frame through the whole chain. Frames come with rising `t`."""
        frame = self.prepare(frame)
        faces = outside(self.detect(frame), self._ignore)
        tracks = self.track(frame.t, faces)
        seen = [track for track in tracks if track.seen >= frame.t]
        scores = {track.id: self.classify(self.crop(frame.image, track.face)) for track in seen}
        signals = {track.id: self._signals(frame.image, track.face) for track in seen} if self.read_eyes else {}
        readings = self.mind(frame.t, tracks, scores, signals)
        return self.watch(Reading(frame.t, readings, self.main_face(frame.t, tracks)))

    def _signals(self, picture: Image, face: Face) -> EyeMouthState:
        return self.read_eyes(picture, face.points) if self.read_eyes and face.points else EyeMouthState()


class InGray:
    """The same frame without colours: converted once, for the detector and the crops.

    The picture is kept and overwritten by the next call: taking new memory for each costs as much as the conversion.
    """

    def __init__(self) -> None:
        self._gray: Image | None = None

    def __call__(self, frame: Frame) -> Frame:
        if frame.image.ndim == 2:
            return frame
        self._gray = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY, self._gray), np.uint8)
        return Frame(frame.t, self._gray, frame.small)


class ExpressionSmoother:
    """Smooths each track's scores; forgets a track when it is gone."""

    def __init__(self, labels: Sequence[str], rules: SmoothingRules) -> None:
        self._labels = tuple(labels)
        self._configured = self._rules = rules
        self._smoothers: dict[int, Smoother] = {}

    def tune(self, factor: float) -> None:
        self._rules = tuned(self._configured, factor)
        for smoother in self._smoothers.values():
            smoother.rules = self._rules

    def __call__(
        self, t: float, tracks: Sequence[Track], scores: dict[int, Scores], signals: dict[int, EyeMouthState]
    ) -> tuple[FaceReading, ...]:
        """Both by track id; a track without scores was not seen in this frame and keeps what it had."""
        self._smoothers = {k.id: self._smoothers.get(k.id) or Smoother(self._labels, self._rules) for k in tracks}
        return tuple(self._read(t, track, scores.get(track.id), signals.get(track.id)) for track in tracks)

    def _read(self, t: float, track: Track, scores: Scores | None, signals: EyeMouthState | None) -> FaceReading:
        smoother = self._smoothers[track.id]
        plain = None if scores is None else scores.tolist()
        held = smoother.now if plain is None else smoother.update(t, plain)
        return FaceReading(
            track=track,
            scores={} if plain is None else self._by_label(plain),
            smooth=self._by_label(held.smooth),
            expression=held.label,
            confidence=held.confidence,
            since=held.since,
            signals=signals,
            belief=self._by_label(held.belief),
        )

    def _by_label(self, values: Sequence[float]) -> dict[str, float]:
        return dict(zip(self._labels, values, strict=True))


class Models:
    """What all cameras of a process share: the detector and the models, loaded once."""

    def __init__(self, config: Config, *, signals: bool = False) -> None:
        """`signals`: read eyes and mouths although nobody watches them. Raises ConfigError or ModelError."""
        self._config = config
        self.classifier = Classifier(find_bundle(config.expression.model))
        check_labels(config.alerts, self.classifier.labels, self.classifier.bundle.name)
        whole = self.classifier.input.of == "frame"
        self.detector: Detector = FullFrameDetector() if whole else make_detector(config.detector)
        self.eyes = (
            make_eyes(self.detector, needed=config.fatigue.enabled) if signals or config.fatigue.enabled else None
        )
        if self.detector.name != "haar":
            # OpenCV's helper threads spin while they wait for work: for calls as small as ours they double the
            # processor time and gain nothing. Haar's search is long enough to be shared.
            cv2.setNumThreads(1)

    def pipeline(self, camera: CameraConfig) -> Pipeline:
        config = self._config
        return Pipeline(
            self.detector,
            self.classifier,
            SmoothingRules(**config.smoothing.model_dump()),
            camera,
            read_eyes=self.eyes,
            watch=make_alert_engine(config),
        )


def make_alert_engine(config: Config) -> AlertEngine:
    """Fatigue and alert rules as configured."""
    rules = (
        Rule(
            name=alert.name,
            conditions=[Condition(**condition.model_dump()) for condition in alert.conditions],
            combine=any if alert.any else all,
            for_s=alert.for_s,
            cooldown_s=alert.cooldown_s,
            level=alert.level,
            pattern=None if alert.buzzer == SILENT else alert.buzzer,
            mqtt=alert.mqtt,
        )
        for alert in config.alerts
    )
    limits = DrowsinessLimits(**config.fatigue.model_dump(exclude={"enabled"})) if config.fatigue.enabled else None
    return AlertEngine(limits, tuple(rules))


def run(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[Reading]:
    """The readings of a source that is read to its end."""
    for frame in frames:
        yield pipeline.step(frame)
