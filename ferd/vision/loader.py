"""Load the models that all cameras of a process share."""

from __future__ import annotations

import cv2

from ferd.config import Config, check_labels
from ferd.errors import ConfigError, ModelError
from ferd.models.bundle import Bundle
from ferd.models.registry import find_bundle
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.base import Detector
from ferd.vision.detectors.factory import make_detector
from ferd.vision.detectors.full_frame import FullFrameDetector
from ferd.vision.eyes import EyeMouthReader, EyeReader

EYES_MODEL = "eyes"
_NO_LANDMARKS = {
    "haar": "the haar detector does not report",
    "whole": "a model of the whole image does not report",
}
"""Detectors without landmarks, and the reason."""


class Models:
    """Load detector, classifier and eye reader. Has no global side effects: may be made in a background thread.

    The networks are not safe for use from two threads at once; hand them over when they are complete.
    """

    def __init__(self, config: Config, *, signals: bool = False) -> None:
        """Load all that a configuration needs.

        Args:
            signals: read eyes and mouths although fatigue is off.

        Raises:
            ConfigError, ModelError: something is missing, broken or does not fit; with the remedy.
        """
        self.classifier = Classifier(expression_bundle(config))
        self.check_alerts(config)
        full_frame = self.classifier.input.of == "frame"
        self.detector: Detector = FullFrameDetector() if full_frame else make_detector(config.detector)
        needed_by = next((key for key in ("fatigue", "gestures") if getattr(config, key).enabled), None)
        self.eyes = make_eye_reader(self.detector, needed_by) if signals or needed_by else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the expression model."""
        return self.classifier.labels

    def check_alerts(self, config: Config) -> None:
        """Raise ConfigError when an alert names a label that the expression model does not have."""
        check_labels(config.alerts, self.labels, self.classifier.bundle.name)


def expression_bundle(config: Config) -> Bundle:
    """Return the configured expression model. Raises ModelError that names the key."""
    try:
        return find_bundle(config.expression.model)
    except ModelError as error:
        raise ModelError(f"expression.model: {error}") from None


def make_eye_reader(detector: Detector, needed_by: str | None) -> EyeMouthReader | None:
    """Load the eye reader for a detector that gives landmarks; return None for one that gives none.

    Raises:
        ConfigError, ModelError: it is `needed_by` this section and cannot be had; with the remedy.
    """
    if reason := _NO_LANDMARKS.get(detector.name):
        if needed_by:
            raise ConfigError(
                f"{needed_by}.enabled needs to know where the eyes are, which {reason}"
                f': use detector.kind = "face" or "yunet" with a model of faces, or switch {needed_by} off'
            )
        return None
    try:
        return EyeMouthReader(EyeReader(find_bundle(EYES_MODEL)))
    except ModelError:
        if needed_by:
            raise
        return None


def set_opencv_threads(detector: Detector) -> None:
    """Set OpenCV's global number of threads for a detector. Call it once per process, and when the detector changes.

    OpenCV's helper threads spin while they wait for work: for calls as small as ferd's they double the processor time
    and gain nothing. Haar's search is long enough to be shared.
    """
    cv2.setNumThreads(-1 if detector.name == "haar" else 1)
