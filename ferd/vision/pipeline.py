"""Take the frames of one camera through the chain: frame -> faces -> tracks -> crops -> scores -> readings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ParamSpec, Protocol, TypeVar

import cv2
import numpy as np

from ferd.config import CameraConfig, Config
from ferd.errors import PictureError
from ferd.policy.alert_engine import AlertEngine
from ferd.policy.gesture_rules import GestureName
from ferd.policy.primary_face import StickyPrimaryFace
from ferd.policy.smoothing import SmoothingRules
from ferd.types import EyeMouthState, Face, FaceReading, Frame, Image, Reading, Track
from ferd.vision.align import cut, middle_square
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.base import Detector, outside_zones
from ferd.vision.detectors.landmarked import LandmarkedDetector
from ferd.vision.detectors.near import NearSearch
from ferd.vision.follow import FaceFollower
from ferd.vision.images import to_input_colour
from ferd.vision.loader import Models
from ferd.vision.rules import alert_rules, drowsiness_limits, gesture_rules, make_alert_engine, smoothing_rules
from ferd.vision.sides import Sides
from ferd.vision.track_gestures import GestureWatch
from ferd.vision.track_smoothing import ExpressionSmoother, Scores
from ferd.vision.tracker import PrimaryFace, Tracker
from ferd.vision.turns import Turns

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ReadEyes = Callable[[Image, Face], EyeMouthState]
Smooth = Callable[
    [float, Sequence[Track], Mapping[int, Scores], Mapping[int, EyeMouthState]],
    tuple[FaceReading, ...],
]


class Call(Protocol):
    """Call the function of a step: `StepTimings.call`, or without measuring it."""

    def __call__(self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


OTHERS_PER_S = 36.0
"""Readings a second of all faces but the main one together. Two others at 15 frames a second are read in every frame,
nine four times a second each: as often as with a camera of 4 frames a second."""
STEPS = ("prepare", "follow", "detect", "track", "crop", "classify", "eyes", "smooth", "gestures", "alerts")
"""The timed steps of the chain, in order. `crop`, `classify` and `eyes` run once for each face that is read."""


class StepTimings:
    """Measure the steps of a pipeline: a running mean of the duration of each step."""

    NEWEST = 0.05
    """Weight of the newest call."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def call(self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function, and record how long it took."""
        started = time.perf_counter()
        result = function(*args, **kwargs)
        self.record(step, time.perf_counter() - started)
        return result

    def record(self, step: str, seconds: float) -> None:
        """Count one call."""
        mean = self._seconds.get(step, seconds)
        self._seconds[step] = mean + self.NEWEST * (seconds - mean)

    def means(self) -> dict[str, float]:
        """Return milliseconds by step, in the order of STEPS. May be called from any thread."""
        seconds = self._seconds.copy()
        return {step: round(1000 * seconds[step], 3) for step in STEPS if step in seconds}


class Pipeline:
    """Run the chain of one camera. Its steps are plain attributes: each can be replaced on its own.

    Attributes:
        prepare: frame -> frame, in gray where no step needs colours.
        follow: finds the faces by their landmarks, and by the detector now and then; None: by `detect` in each frame.
        detect: frame -> faces.
        track: (t, faces) -> tracks.
        turns: (t, ids of the tracks that were seen, id of the main one) -> ids of those that are read in this frame.
        crop: (image, face) -> the model's input image.
        sides: (id of a track, input image) -> the images to read: as it is, in the mirror, or both.
        classify: input image -> probabilities.
        read_eyes: (image, face) -> state of eyes and mouth; None where no policy needs it.
        smooth: (t, tracks, scores, states of eyes and mouth) -> readings of the faces.
        main_face: (t, tracks) -> id of the main track.
        gestures: reading -> the same with gestures; None where they are off.
        watch: reading -> the same with fatigue and alerts.
        timings: measures the steps while it is set.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier,
        rules: SmoothingRules,
        camera: CameraConfig,
        *,
        read_eyes: ReadEyes | None = None,
        watch: AlertEngine | None = None,
        gestures: GestureWatch | None = None,
    ) -> None:
        """Build the chain. With fatigue in `watch`, the main face is the driver, who is not replaced easily."""
        self.prepare: Callable[[Frame], Frame]
        self.follow: FaceFollower | None
        self.detect: Callable[[Frame], list[Face]]
        self.crop: Callable[[Image, Face], Image]
        self.classify: Callable[[Image], Scores]
        self._set_models(detector, classifier, read_eyes)
        self._ignore_zones = camera.ignore_zones
        self.track: Callable[[float, Sequence[Face]], list[Track]] = Tracker()
        self.turns: Callable[[float, Sequence[int], int | None], Collection[int]] = Turns(OTHERS_PER_S)
        self.watch = watch or AlertEngine(None, ())
        self.gestures = gestures
        self.main_face: Callable[[float, Sequence[Track]], int | None] = (
            StickyPrimaryFace() if self.watch.fatigue else PrimaryFace()
        )
        self._smoother = ExpressionSmoother(classifier.labels, rules)
        self.smooth: Smooth = self._smoother
        self.timings: StepTimings | None = None

    @classmethod
    def of(cls, models: Models, config: Config, camera: CameraConfig) -> Pipeline:
        """Build the chain of one camera from loaded models and the configured rules."""
        return cls(
            models.detector,
            models.classifier,
            smoothing_rules(config),
            camera,
            read_eyes=models.eyes,
            watch=make_alert_engine(config),
            gestures=GestureWatch(rules, mirror=camera.mirror) if (rules := gesture_rules(config)) else None,
        )

    def use(self, config: Config, camera: CameraConfig) -> None:
        """Take over the rules of a changed configuration: [smoothing], [fatigue], [gestures], [[alerts]] and
        `ignore_zones`.

        Tracks, held expressions, PERCLOS, the person's baseline and running alerts go on. Models stay as they are; for
        other models, or for fatigue or gestures where no eyes were read so far, call `swap_models` first.
        """
        self._smoother.use(smoothing_rules(config))
        fatigue_was_on = self.watch.fatigue is not None
        self.watch.use(drowsiness_limits(config), alert_rules(config))
        if fatigue_was_on != config.fatigue.enabled:
            self.main_face = StickyPrimaryFace() if config.fatigue.enabled else PrimaryFace()
        self._ignore_zones = camera.ignore_zones
        rules = gesture_rules(config)
        if rules and self.gestures:
            self.gestures.use(rules, mirror=camera.mirror)
        else:
            self.gestures = GestureWatch(rules, mirror=camera.mirror) if rules else None

    def swap_models(self, models: Models) -> None:
        """Go on with other models. Tracks and alerts go on; held expressions do while the labels are the same."""
        self._set_models(models.detector, models.classifier, models.eyes)
        replaced = self.smooth is not self._smoother
        self._smoother = self._smoother.with_labels(models.labels)
        if not replaced:
            self.smooth = self._smoother

    def tune(self, factor: float) -> None:
        """Apply a factor of the sensitivity (ferd/policy/sensitivity.py). What is held stays held until then."""
        self._smoother.tune(factor)
        self.watch.tune(factor)

    def tune_gestures(self, thresholds: Mapping[GestureName, float]) -> None:
        """Take over thresholds that were tuned for the person; {} for the defaults. They last until the next `use`."""
        if self.gestures:
            self.gestures.tune(thresholds)

    def step(self, frame: Frame) -> Reading:
        """Take one frame through the chain. Frames come with rising `t`."""
        call = self.timings.call if self.timings else _call
        frame = call("prepare", self.prepare, frame)
        faces = outside_zones(self._find(frame, call), self._ignore_zones)
        tracks = call("track", self.track, frame.t, faces)
        main = self.main_face(frame.t, tracks)
        scores = {}
        states = {}
        for track in self._in_turn(frame.t, tracks, main):
            image = call("crop", self.crop, frame.image, track.face)
            scores[track.id] = call("classify", self._classify, self.sides(track.id, image))
            if self.read_eyes:
                states[track.id] = call("eyes", self.read_eyes, frame.image, track.face)
        self.sides.keep({track.id for track in tracks})
        readings = call("smooth", self.smooth, frame.t, tracks, scores, states)
        reading = Reading(frame.t, readings, main)
        if self.gestures:
            reading = call("gestures", self.gestures, reading)
        return call("alerts", self.watch, reading)

    def _classify(self, looks: Sequence[Image]) -> Scores:
        scores = [self.classify(look) for look in looks]
        return scores[0] if len(scores) == 1 else np.mean(scores, axis=0)

    def _in_turn(self, t: float, tracks: Sequence[Track], main: int | None) -> list[Track]:
        """Return the tracks to read: of those that were looked at, the main one and the others in turn."""
        seen = [track for track in tracks if track.seen >= t]
        if follower := self.follow:
            follower.first = next((track.face for track in seen if track.id == main), None)
            seen = [track for track in seen if follower.looked_at(track.face, t)]
        turns = self.turns(t, [track.id for track in seen], main)
        return [track for track in seen if track.id in turns]

    def _find(self, frame: Frame, call: Call) -> list[Face]:
        follower = self.follow
        if follower is None:
            return call("detect", self.detect, frame)
        call("follow", follower.follow, frame)
        if follower.due(frame.t):
            follower.add(frame, call("detect", self.detect, frame))
        return follower.faces

    def _set_models(self, detector: Detector, classifier: Classifier, read_eyes: ReadEyes | None) -> None:
        spec, bundle = classifier.input, classifier.bundle
        all_gray = detector.gray and spec.colour == "gray"
        self.prepare = GrayFrames() if all_gray else _unchanged
        self.detect = detector
        self.follow = None
        if isinstance(detector, LandmarkedDetector):
            self.detect = NearSearch(detector.detector, detector.shows_face)
            self.follow = FaceFollower(detector)
        if spec.of == "frame":
            self.crop = lambda image, _face: to_input_colour(middle_square(image, spec.size), spec)
        else:
            self.crop = lambda image, face: to_input_colour(
                cut(image, face, bundle.crop, detector.name, spec.size), spec
            )
        self.sides = Sides(mirrors=bundle.mirrors)
        self.classify = classifier
        self.read_eyes = read_eyes


class GrayFrames:
    """Convert each frame to gray once, for the detector and the crops.

    The image is kept and overwritten by the next call: allocating memory for each costs as much as the conversion.
    """

    def __init__(self) -> None:
        self._gray: Image | None = None

    def __call__(self, frame: Frame) -> Frame:
        if (gray := frame.as_gray()) is not None:
            return gray
        self._gray = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY, self._gray), np.uint8)
        return replace(frame, image=self._gray, jpeg=None)


def run(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[Reading]:
    """Yield the readings of a source that is read to its end. A picture that does not decode is logged and left out.

    Raises:
        PictureError: None of them decodes.
    """
    broken: PictureError | None = None
    any_read = False
    for frame in frames:
        try:
            reading = pipeline.step(frame)
        except PictureError as error:
            if broken is None:
                log.warning("picture left out, further ones are not logged t=%.3f reason=%r", frame.t, str(error))
            broken = error
            continue
        any_read = True
        yield reading
    if broken is not None and not any_read:
        raise broken


def _unchanged(frame: Frame) -> Frame:
    return frame


def _call(_step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)
