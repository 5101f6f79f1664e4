"""A detector with the landmarks model beside it: where eyes, nose and mouth really are."""

import cv2
import numpy as np
import pytest

from ferd.models.registry import find_bundle
from ferd.sources.demo import load_portrait
from ferd.types import Frame
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.landmarked import LandmarkedDetector, with_landmarks


@pytest.fixture(scope="module")
def detector():
    return FerdDetector(find_bundle("face"), 40)


@pytest.fixture(scope="module")
def closer(detector):
    return with_landmarks(detector)


@pytest.fixture(scope="module")
def portrait():
    return load_portrait()


def distance(points, others):
    return float(np.hypot(*(np.array(points) - np.array(others)).T).mean())


def test_the_shelf_gives_landmarks_to_the_detector(detector, closer, portrait):
    assert isinstance(closer, LandmarkedDetector)
    (seen,), (plain,) = closer(Frame(0.0, portrait)), detector(Frame(0.0, portrait))
    assert (seen.box, seen.score) == (plain.box, plain.score)
    assert seen.landmarks.presence > 0.9
    assert distance(seen.points, plain.points) < 0.08 * plain.box.w


def test_gray_and_colour_give_the_same(closer, portrait):
    (colour,), (gray,) = (
        closer(Frame(0.0, picture)) for picture in (portrait, cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY))
    )
    assert distance(colour.points, gray.points) < 0.01 * colour.box.w


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_tilted_head_is_seen_upright(closer, portrait, degrees):
    """The same points, turned: the detector's own points say how the head is tilted."""
    height, width = portrait.shape[:2]
    side = 2 * max(width, height)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    turned = cv2.warpAffine(portrait, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    (there,), (upright,) = closer(Frame(0.0, turned)), closer(Frame(0.0, portrait))
    wanted = np.array(upright.points) @ matrix[:, :2].T + matrix[:, 2]
    assert distance(there.points, wanted) < 0.04 * upright.box.w
    assert there.landmarks.roll - upright.landmarks.roll == pytest.approx(-degrees, abs=5)


def test_a_face_that_the_model_does_not_see_keeps_what_the_detector_says(detector, closer, portrait):
    (face,) = detector(Frame(0.0, portrait))
    assert closer.read(np.full_like(portrait, 128), face) == face
