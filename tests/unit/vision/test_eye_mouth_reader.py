"""Signals of a portrait: open, closed and hidden eyes, an open mouth, a nod."""

import cv2
import numpy as np
import pytest

from ferd.errors import ConfigError
from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.sources import demo
from ferd.sources.face_warp import Look
from ferd.types import Frame, Landmarks
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.geometry import head_pitch
from ferd.vision.loader import make_eye_reader


class Named:
    def __init__(self, name):
        self.name = name


@pytest.fixture(scope="module")
def detector():
    return FerdDetector(read_bundle(shipped_dir() / "face.tflite"), 40)


@pytest.fixture(scope="module")
def read(detector):
    return make_eye_reader(detector, required=True)


@pytest.fixture(scope="module")
def show():
    """A picture of the portrait with a look."""
    from ferd.sources.face_warp import WarpedPortrait

    puppet, room = WarpedPortrait(demo.load_portrait()), demo.room()

    def draw(look):
        place = demo.portrait_to_scene(0.0, 320.0, 1.0)
        person, alpha = (cv2.warpAffine(p, place, (640, 480)) for p in (puppet.portrait(look), puppet.alpha))
        return np.asarray(cv2.blendLinear(person, room, alpha, 1 - alpha), np.uint8)

    return draw


def face_in(detector, picture):
    return max(detector(Frame(0.0, picture)), key=lambda face: face.score).points


@pytest.mark.parametrize(
    ("look", "closed", "opened"),
    [(Look(), False, False), (Look(lids=1.0), True, False), (Look(jaw=1.0), False, True)],
)
def test_what_a_portrait_says(detector, read, show, look, closed, opened):  # noqa: PLR0917
    picture = show(look)
    told = read(picture, face_in(detector, picture))
    assert told.mouth_open > 0.8 if opened else told.mouth_open < 0.2
    if closed or not opened:  # a wide-open mouth may leave the eyes unsure
        assert told.eyes_closed > 0.8 if closed else told.eyes_closed < 0.2


def test_covered_eyes_are_not_seen(detector, read, show):
    picture = show(Look())
    points = face_in(detector, picture)
    between = np.hypot(*np.subtract(points.left_eye, points.right_eye))
    for eye in (points.right_eye, points.left_eye):
        cv2.circle(picture, tuple(int(v) for v in eye), int(0.45 * between), (15, 15, 15), -1)
    assert read(picture, points).eyes_closed is None


UPRIGHT = Landmarks((100, 100), (160, 100), (130, 136), (105, 155), (155, 155))


def test_a_sinking_head_nods():
    assert head_pitch(UPRIGHT) == pytest.approx(0.6)
    assert head_pitch(UPRIGHT._replace(nose=(130, 148))) == pytest.approx(0.8)


@pytest.mark.parametrize("degrees", [-40, 25, 90])
def test_a_tilted_head_does_not(degrees):
    turn = complex(np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    moved = [complex(*p) * turn for p in UPRIGHT]
    assert head_pitch(Landmarks(*((p.real, p.imag) for p in moved))) == pytest.approx(0.6)


def test_eyes_in_one_place_say_nothing():
    assert head_pitch(UPRIGHT._replace(left_eye=(100.0, 100.0))) is None


@pytest.mark.parametrize("name", ["haar", "whole"])
def test_a_detector_without_points_cannot_watch(name):
    assert make_eye_reader(Named(name), required=False) is None
    with pytest.raises(ConfigError, match=r"fatigue\.enabled"):
        make_eye_reader(Named(name), required=True)
