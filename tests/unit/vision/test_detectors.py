"""Which detector is taken, and that each finds a real face where it is."""

import cv2
import numpy as np
import pytest

from ferd.config import DetectorConfig
from ferd.errors import ConfigError
from ferd.models import registry as shelf
from ferd.sources.demo import picture, room
from ferd.types import Box, Face, Frame
from ferd.vision.detectors import haar
from ferd.vision.detectors.base import make_detector, outside, working_gray

FACE = Box(228, 125, 160, 190)
"""Where the demo's person has her face in `picture()`, by eye."""


@pytest.fixture
def empty_shelf(tmp_path, monkeypatch):
    """No model of ours, no YuNet."""
    monkeypatch.setattr(shelf, "shelves", lambda: (tmp_path,))
    return tmp_path


@pytest.mark.parametrize("kind", ["face", "haar"])
@pytest.mark.parametrize("colour", [True, False])
def test_a_face_is_found_where_it_is(kind, colour):
    image = picture() if colour else cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    faces = make_detector(DetectorConfig(kind=kind))(Frame(0.0, image))
    assert len(faces) == 1
    assert faces[0].box.overlap(FACE) > 0.5


@pytest.mark.parametrize("kind", ["face", "haar"])
def test_an_empty_room_is_empty(kind):
    assert make_detector(DetectorConfig(kind=kind))(Frame(0.0, room())) == []


@pytest.mark.parametrize("kind", ["face", "haar"])
def test_a_face_below_the_least_size_is_not_told(kind):
    assert make_detector(DetectorConfig(kind=kind, min_face_px=400))(Frame(0.0, picture())) == []


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (960, 600)])
def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(size):
    image = cv2.resize(picture(), size)
    (face,) = make_detector(DetectorConfig(min_face_px=16))(Frame(0.0, image))
    x, y = size[0] / 640, size[1] / 480
    assert face.box.overlap(Box(FACE.x * x, FACE.y * y, FACE.w * x, FACE.h * y)) > 0.4


def test_auto_takes_ours_first():
    assert make_detector(DetectorConfig()).name == "face"


def test_auto_falls_back_to_haar(empty_shelf):
    assert make_detector(DetectorConfig()).name == "haar"


def test_a_broken_yunet_is_told_and_not_passed_over(empty_shelf):
    (empty_shelf / shelf.YUNET_NAME).write_bytes(b"no onnx")
    with pytest.raises(ConfigError, match="OpenCV cannot use it as YuNet"):
        make_detector(DetectorConfig())


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("face", "install ferd again"), ("yunet", "OpenCV Zoo"), ("haar", "opencv-data"), ("auto", "opencv-data")],
)
def test_what_is_missing_is_told_with_its_remedy(empty_shelf, monkeypatch, kind, remedy):
    monkeypatch.setattr(haar, "find_cascade", lambda: None)
    with pytest.raises(ConfigError, match=remedy):
        make_detector(DetectorConfig(kind=kind))


def test_a_cascade_that_is_none(tmp_path):
    (tmp_path / "x.xml").write_text("<xml/>")
    with pytest.raises(ConfigError, match="is not a cascade file"):
        haar.HaarDetector(tmp_path / "x.xml", 48)


def test_the_cameras_own_small_picture_is_used():
    small = np.full((240, 320), 7, np.uint8)
    assert (working_gray(Frame(0.0, picture(), small)) == 7).all()


def test_faces_whose_centre_is_ignored_are_left_out():
    faces = [Face(Box(0, 0, 100, 100)), Face(Box(200, 0, 100, 100))]
    assert outside(faces, [(40, 40, 20, 20)]) == faces[1:]
    assert outside(faces, []) == faces
