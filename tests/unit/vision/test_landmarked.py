"""A detector with the landmarks model beside it: where eyes, nose and mouth really are."""

from dataclasses import replace

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


def with_lenses(portrait, points, brightness):
    """Opaque lenses over both eyes."""
    right, left = np.array(points.right_eye), np.array(points.left_eye)
    apart, picture = np.linalg.norm(left - right), portrait.copy()
    for middle in (right, left):
        axes = (round(0.3 * apart), round(0.22 * apart))
        cv2.ellipse(picture, tuple(int(v) for v in middle), axes, 0, 0, 360, (brightness,) * 3, -1)
    return picture


@pytest.mark.parametrize("brightness", [20, 90, 230])
def test_a_face_that_the_detector_doubts_counts_when_the_landmarks_are_certain(portrait, brightness):
    detector = FerdDetector(find_bundle("face"), 40)
    closer = with_landmarks(detector)
    (seen,) = closer(Frame(0.0, portrait))
    frame = Frame(0.0, with_lenses(portrait, seen.points, brightness))
    detector._certain, detector.threshold = 2.0, 2.0  # it doubts everything
    (behind,) = closer(frame)
    assert behind.score >= detector._certain
    assert distance(behind.points, seen.points) < 0.1 * seen.box.w
    detector.is_face = None
    assert not closer(frame)


@pytest.mark.parametrize("look", [0, 1, 2])
@pytest.mark.parametrize("level", [0.0, 0.6, 0.98])
def test_one_look_that_is_not_certain_makes_it_no_face(closer, detector, portrait, monkeypatch, *, look, level):
    (face,) = detector(Frame(0.0, portrait))
    assert closer.is_face(portrait, face)
    made, really = [], closer.landmarks._look

    def told(*what, **how):
        made.append(really(*what, **how))
        return replace(made[-1], presence=level) if len(made) == look + 1 else made[-1]

    monkeypatch.setattr(closer.landmarks, "_look", told)
    assert not closer.is_face(portrait, face)
    assert len(made) > look


def test_a_doubtful_face_without_a_picture_of_it_is_none(closer, detector, portrait):
    (face,) = detector(Frame(0.0, portrait))
    assert not closer.is_face(np.full_like(portrait, 128), face)
    assert not closer.is_face(portrait[:8, :8], face)


def test_a_newcomer_is_looked_at_three_times_once_in_the_mirror(closer, detector, portrait, monkeypatch):
    (face,) = detector(Frame(0.0, portrait))
    crops, really = [], closer.landmarks._look
    monkeypatch.setattr(
        closer.landmarks, "_look", lambda image, crop, **how: crops.append((crop, how)) or really(image, crop, **how)
    )
    reading = closer.read(portrait, face).landmarks
    assert [how.get("mirror", False) for _, how in crops] == [False, True, False]
    assert len({crop for crop, _ in crops}) == 3  # each at what the looks before have said
    looks = [really(portrait, crop, **how) for crop, how in crops]
    weights = np.array([1, 2, 2]) / 5
    mean = sum(w * look.points for w, look in zip(weights, looks, strict=True))
    np.testing.assert_allclose(reading.points, mean, rtol=1e-5)
    assert reading.presence == min(look.presence for look in looks)


def test_a_face_that_the_model_does_not_see_keeps_what_the_detector_says(detector, closer, portrait):
    (face,) = detector(Frame(0.0, portrait))
    assert closer.read(np.full_like(portrait, 128), face) == face
