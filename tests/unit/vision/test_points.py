"""The closer look: points where eyes, nose and mouth really are, in any resolution and colour."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

from ferd.errors import ModelError
from ferd.models.bundle import read_bundle
from ferd.models.registry import find_bundle, shipped_dir
from ferd.sources.demo import load_portrait
from ferd.types import Box, Frame
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.points import AROUND, SIDE, PointModel, RefinedPoints, with_points


@pytest.fixture(scope="module")
def reader():
    return PointModel(find_bundle("points"))


@pytest.fixture(scope="module")
def detector():
    return FerdDetector(find_bundle("face"), 40)


@pytest.fixture(scope="module")
def portrait():
    return load_portrait()


def distance(points, others):
    return float(np.hypot(*(np.array(points) - np.array(others)).T).mean())


def test_it_agrees_with_the_detector_on_a_frontal_face(reader, detector, portrait):
    (face,) = detector(Frame(0.0, portrait))
    points = reader(portrait, face.box)
    assert points.right_eye[0] < points.nose[0] < points.left_eye[0]
    assert points.right_eye[1] < points.nose[1] < points.mouth_right[1]
    assert distance(points, face.points) < 0.08 * face.box.w


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_points_move_with_the_picture(reader, detector, portrait, scale):
    (face,) = detector(Frame(0.0, portrait))
    points = reader(portrait, face.box)
    scaled = cv2.resize(
        portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    again = reader(scaled, Box(*(value * scale for value in face.box)))
    assert distance(np.array(again) / scale, points) < 0.02 * face.box.w


def test_gray_and_colour_give_the_same(reader, detector, portrait):
    (face,) = detector(Frame(0.0, portrait))
    gray = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)
    assert distance(reader(gray, face.box), reader(portrait, face.box)) < 0.01 * face.box.w


def test_a_box_beside_the_face_is_forgiven(reader, detector, portrait):
    (face,) = detector(Frame(0.0, portrait))
    x, y, w, h = face.box
    beside = reader(portrait, Box(x + 0.08 * w, y - 0.06 * h, 1.1 * w, 1.1 * h))
    assert distance(beside, reader(portrait, face.box)) < 0.05 * w


@pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
def test_a_tilted_head_is_seen_upright(reader, detector, portrait, degrees):
    """The same points, turned: told how the head is tilted, it reads the same picture."""
    (face,) = detector(Frame(0.0, portrait))
    side = 2 * max(portrait.shape[:2])
    x, y = face.box.centre
    matrix = cv2.getRotationMatrix2D((x, y), degrees, 1.0)
    matrix[:, 2] += side / 2 - x, side / 2 - y
    turned = cv2.warpAffine(portrait, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    box = Box(side / 2 - face.box.w / 2, side / 2 - face.box.h / 2, face.box.w, face.box.h)
    there = np.array(reader(turned, box, math.radians(-degrees)))
    wanted = np.array(reader(portrait, face.box)) @ matrix[:, :2].T + matrix[:, 2]
    assert distance(there, wanted) < 0.02 * face.box.w


def test_the_shelf_gives_it_to_the_detector(detector, portrait):
    closer = with_points(detector)
    assert isinstance(closer, RefinedPoints)
    (seen,), (plain,) = closer(Frame(0.0, portrait)), detector(Frame(0.0, portrait))
    assert (seen.box, seen.score) == (plain.box, plain.score)
    assert seen.points != plain.points


def test_a_cut_is_as_wide_as_in_training(reader):
    picture = np.zeros((200, 200), np.uint8)
    picture[60:140, 60:140] = 255  # the box
    cut = reader.prepare(picture, Box(60, 60, 80, 80))
    assert cut.shape == (SIDE, SIDE)
    assert abs((cut > 127).mean() - 1 / AROUND**2) < 0.05


def test_another_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="is no points model"):
        PointModel(find_bundle("face"))
    for suffix in (".tflite", ".json"):
        shutil.copy(shipped_dir() / f"points{suffix}", tmp_path)
    (tmp_path / "points.tflite").write_bytes((shipped_dir() / "eyes.tflite").read_bytes())
    with pytest.raises(ModelError, match="do not belong together"):
        PointModel(read_bundle(tmp_path / "points.tflite"))
    card = json.loads((tmp_path / "points.json").read_text())
    (tmp_path / "points.json").write_text(json.dumps(card | {"labels": ["a"]}))
    with pytest.raises(ModelError, match="is no points model"):
        PointModel(read_bundle(tmp_path / "points.tflite"))
