"""The chain as a whole, with a detector and a classifier of known answers."""

import numpy as np
import pytest

from ferd.config import CameraConfig, SmoothingConfig
from ferd.models.bundle import InputSpec
from ferd.policy.smoothing import SmoothingRules
from ferd.types import Box, Face, Frame
from ferd.vision.align import Crop
from ferd.vision.pipeline import Pipeline, run

LABELS = ("calm", "bright")


class Spots:
    """A detector that finds a face wherever a white square of 80 pixels is."""

    name = "spots"
    gray = True

    def __call__(self, frame):
        rows, columns = np.nonzero(frame.image > 100)
        if not len(rows):
            return []
        x, y = columns.min(), rows.min()
        return [Face(Box(float(x), float(y), float(columns.max() - x + 1), float(rows.max() - y + 1)))]


class Brightness:
    """A classifier that finds bright pictures bright; it remembers what it was shown."""

    labels = LABELS
    input = InputSpec(16, 16, "gray")

    class bundle:  # noqa: N801
        crop = Crop()

    def __init__(self):
        self.shown = []

    def __call__(self, picture):
        self.shown.append(picture)
        share = 0.9 if picture.mean() > 200 else 0.1
        return np.array([1 - share, share], np.float32)


def frame(t, level=255, at=(100, 100)):
    picture = np.zeros((240, 320, 3), np.uint8)
    if level:
        picture[at[1] : at[1] + 80, at[0] : at[0] + 80] = level
    return Frame(t, picture)


def pipeline(**camera):
    return Pipeline(Spots(), Brightness(), SmoothingRules(**SmoothingConfig().model_dump()), CameraConfig(**camera))


def test_a_face_becomes_a_held_expression():
    readings = list(run(pipeline(), (frame(i / 10) for i in range(20))))
    assert readings[0].faces == ()
    last = readings[-1]
    assert last.main_face is not None
    assert last.main_face.expression == "bright"
    assert last.main_face.scores["bright"] == pytest.approx(0.9)
    assert last.main_face.confidence == pytest.approx(0.9, abs=0.01)


def test_the_classifier_sees_the_face_in_its_own_colour_and_size():
    chain = pipeline()
    list(run(chain, (frame(i / 10, 180) for i in range(6))))
    assert all(picture.shape == (16, 16) and (picture == 180).all() for picture in chain.classify.shown)


def test_nobody_is_none_and_not_neutral():
    readings = list(run(pipeline(), (frame(i / 10, 255 if i < 20 else 0) for i in range(40))))
    assert readings[19].main is not None
    assert readings[-1].main is None
    assert readings[-1].faces == ()


def test_a_face_that_is_missed_for_a_moment_keeps_its_expression_without_new_scores():
    readings = list(run(pipeline(), (frame(i / 10, 0 if i in (20, 21) else 255) for i in range(24))))
    gap = readings[21].main_face
    assert gap is not None
    assert gap.scores == {}
    assert gap.expression == "bright"
    assert readings[-1].main == readings[19].main


def test_faces_in_an_ignored_rectangle_are_not_there():
    readings = list(run(pipeline(ignore_zones=[(90, 90, 200, 200)]), (frame(i / 10) for i in range(20))))
    assert all(reading.faces == () for reading in readings)


def test_two_runs_over_the_same_frames_are_equal():
    frames = [frame(i / 7, 120 + 40 * (i // 30), (100 + i % 5, 100)) for i in range(90)]
    assert list(run(pipeline(), frames)) == list(run(pipeline(), frames))
