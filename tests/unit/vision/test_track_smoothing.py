"""Each track has a smoother of its own, which knows the shape of its mouth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ferd.config import SmoothingConfig
from ferd.policy.smoothing import SmoothingRules
from ferd.types import Box, Face, LandmarkReading, MouthShape, Track
from ferd.vision.landmarks import LABELS as POINTS
from ferd.vision.landmarks import index
from ferd.vision.track_smoothing import ExpressionSmoother, mouth_shape

LABELS = ("a", "b")
RULES = SmoothingRules(**SmoothingConfig().rules())


def landmarks(opening, width=0.8):
    """Eyes 40 pixels apart, the corners of the mouth `width` of that."""
    points = np.zeros((len(POINTS), 2), np.float32)
    points[0:8], points[8:16] = (30, 40), (70, 40)
    points[index("mouth_right")], points[index("mouth_left")] = (50 - 20 * width, 80), (50 + 20 * width, 80)
    return LandmarkReading(points, 1.0, 0.0, 0.0, 0.0, 0.15, 0.15, opening)


def track(t, reading=None, number=1):
    return Track(number, Face(Box(0, 0, 100, 100), landmarks=reading), 0.0, t)


def changed(mouth, **more):
    """When the label changes from a to b, whose scores change at 4 s."""
    smoother = ExpressionSmoother(LABELS, replace(RULES, **more))
    for k in range(300):
        t = k / 15
        scores = np.array([0.05, 0.95] if t > 4 else [0.95, 0.05], np.float32)
        (reading,) = smoother(t, [track(t, mouth(t))], {1: scores}, {})
        if reading.expression == "b":
            return t
    return math.inf


def test_the_shape_of_a_mouth_is_in_eye_distances():
    assert mouth_shape(track(0.0, landmarks(0.3, 0.9))) == MouthShape(0.3, pytest.approx(0.9))
    assert mouth_shape(track(0.0)) is None


def test_a_mouth_that_talks_delays_a_change():
    quiet, unknown = changed(lambda _: landmarks(0.1)), changed(lambda _: None)
    talks = changed(lambda t: landmarks(0.3 + 0.25 * math.sin(20 * t)))
    assert quiet == unknown < talks < 7
    assert changed(lambda t: landmarks(0.3 + 0.25 * math.sin(20 * t)), caution=0.0) == quiet


def test_a_recorded_mouth_takes_the_place_of_landmarks():
    live, recorded = ExpressionSmoother(LABELS, RULES), ExpressionSmoother(LABELS, RULES)
    rng = np.random.default_rng(1)
    for k in range(200):
        t, share = k / 10, float(rng.uniform(0.2, 0.8))
        scores = {1: np.array([share, 1 - share], np.float32)}
        reading = landmarks(float(rng.uniform(0, 0.4)))
        (one,) = live(t, [track(t, reading)], scores, {})
        (other,) = recorded(t, [track(t)], scores, {}, {1: one.mouth})
        assert (one.expression, one.confidence, one.mouth) == (other.expression, other.confidence, other.mouth)


def test_a_face_that_is_not_seen_keeps_its_label_and_has_no_mouth():
    smoother = ExpressionSmoother(LABELS, RULES)
    for k in range(10):
        smoother(k / 10, [track(k / 10, landmarks(0.1))], {1: np.array([0.9, 0.1], np.float32)}, {})
    (reading,) = smoother(1.0, [track(0.9, landmarks(0.1))], {}, {})
    assert (reading.expression, reading.scores, reading.mouth) == ("a", {}, None)
