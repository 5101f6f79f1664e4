"""Signals of a portrait: open, closed and hidden eyes, an open mouth, a nod."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ferd.errors import ConfigError
from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.sources import demo
from ferd.sources.face_warp import Look
from ferd.types import Box, Face, Frame, LandmarkReading, Landmarks
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
    return make_eye_reader(detector, "fatigue")


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
    return max(detector(Frame(0.0, picture)), key=lambda face: face.score)


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
    face = face_in(detector, picture)
    between = np.hypot(*np.subtract(face.points.left_eye, face.points.right_eye))
    for eye in (face.points.right_eye, face.points.left_eye):
        cv2.circle(picture, tuple(int(v) for v in eye), int(0.45 * between), (15, 15, 15), -1)
    assert read(picture, face).eyes_closed is None


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
    assert make_eye_reader(Named(name), None) is None
    with pytest.raises(ConfigError, match=r"fatigue\.enabled"):
        make_eye_reader(Named(name), "fatigue")


NAN = float("nan")


def reading_of(face, **changes):
    """Landmarks of a face that looks at the camera, with changes."""
    values = {
        "points": np.zeros((40, 2), np.float32), "presence": 1.0, "yaw": 2.0, "pitch": 3.0, "roll": 0.0,
        "right_aperture": 0.12, "left_aperture": 0.14, "mouth_aperture": 0.02,
    }  # fmt: skip
    return replace(face, landmarks=LandmarkReading(**values | changes))


def test_what_the_landmarks_model_measures_is_passed_on(detector, read, show):
    picture = show(Look())
    state = read(picture, reading_of(face_in(detector, picture)))
    assert (state.yaw, state.pitch, state.roll, state.lids, state.mouth) == (2.0, 3.0, 0.0, pytest.approx(0.13), 0.02)
    assert state.eyes_closed < 0.2


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [({"presence": 0.1}, "no_face"), ({"presence": NAN}, "no_face"), ({"yaw": 70.0}, "turned"),
     ({"yaw": NAN}, None), ({"right_aperture": float("inf")}, None)],
)  # fmt: skip
def test_landmarks_that_are_wrong_are_not_believed(detector, read, show, changes, hidden):
    picture = show(Look())
    state = read(picture, reading_of(face_in(detector, picture), **changes))
    assert state.hidden == hidden
    assert (state.eyes_closed is None) == (hidden is not None)
    if hidden != "turned":
        assert (state.yaw, state.lids) == (None, None)


@pytest.mark.parametrize("look", [Look(), Look(lids=1.0)])
def test_a_face_of_twenty_pixels_cannot_be_judged(detector, read, show, look):
    picture = show(look)
    face = face_in(detector, picture)
    scale = 20 / face.box.w
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    points = Landmarks(*((x * scale, y * scale) for x, y in face.points))
    state = read(small, Face(Box(*(v * scale for v in face.box)), points))
    assert (state.eyes_closed, state.hidden) == (None, "too_small")


@pytest.mark.parametrize("shift", [(-10_000, 0), (10_000, 0), (0, -3000), (-290, 0), (0, -200)])
@pytest.mark.parametrize("look", [Look(), Look(lids=1.0)])
def test_eyes_beyond_the_edge_are_not_read(detector, read, show, shift, look):
    picture = show(look)
    face = face_in(detector, picture)
    x, y = (face.points.right_eye[0] + face.points.left_eye[0]) / 2, face.points.right_eye[1]
    dx, dy = (shift[0] if abs(shift[0]) > 1000 else -x if shift[0] else 0), (shift[1] if shift[1] < -1000 else -y)
    points = Landmarks(*((px + dx, py + (dy if shift[1] else 0)) for px, py in face.points))
    state = read(picture, Face(face.box, points))
    assert state.eyes_closed is None
    assert state.hidden in {"outside", "covered"}


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf"), 1e30])
def test_points_that_are_no_numbers_cannot_be_judged(detector, read, show, value):
    picture = show(Look())
    face = face_in(detector, picture)
    state = read(picture, replace(face, points=face.points._replace(left_eye=(value, 100.0))))
    assert state.eyes_closed is None
    assert state.hidden in {"no_landmarks", "outside", "covered"}


def test_a_face_without_landmarks_cannot_be_judged(read, show):
    assert read(show(Look()), Face(Box(10, 10, 100, 100))).hidden == "no_landmarks"


def test_a_model_that_gives_no_numbers_is_unsure(read, show, detector, monkeypatch):
    monkeypatch.setattr(read._eyes, "_classifier", lambda _crop: np.full(5, np.nan, np.float32))
    picture = show(Look(lids=1.0))
    state = read(picture, face_in(detector, picture))
    assert (state.eyes_closed, state.mouth_open, state.hidden) == (None, None, "covered")
