"""Our own detector: geometry that can be computed by hand, then the shipped file on a portrait."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

from ferd.errors import ModelError
from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.types import Box, Frame
from ferd.vision.detectors.ferd import (
    CLOSER_LOOKS,
    CLOSER_SIDE,
    DOUBTFUL,
    NEAR,
    PLACE_UNIT,
    SIZE_UNIT,
    SURE,
    VALUES,
    FerdDetector,
    decode,
    grid,
    letterbox,
    weighted_nms,
)
from ferd.vision.geometry import roll

SIZE = (320, 256)
MODEL = shipped_dir() / "face.tflite"


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (100, 100), (1920, 1080), (320, 256), (3, 900)])
def test_a_letterbox_holds_the_whole_picture(width, height):
    boxed, scale = letterbox(np.full((height, width), 200, np.uint8), SIZE)
    assert boxed.shape == (256, 320)
    filled = (boxed > 100).sum()
    assert filled == pytest.approx(max(width * scale, 1) * height * scale, rel=0.02, abs=260)
    assert boxed[0, 0] == 200


def test_the_grids_lie_one_after_the_other():
    cells = grid(SIZE)
    assert len(cells) == 40 * 32 + 20 * 16 + 10 * 8
    assert cells[0].tolist() == [4, 4, 8]
    assert cells[1].tolist() == [12, 4, 8]
    assert cells[-1].tolist() == [304, 240, 32]


def said(cell, box, points, logit):
    """What the net would say in this cell of a face."""
    x, y, stride = cell
    w, h = box[2:]
    unit = stride * PLACE_UNIT
    places = [(p - m) / unit for px, py in points for p, m in ((px, x), (py, y))]
    sizes = [np.log(v / (stride * SIZE_UNIT)) * SIZE_UNIT for v in (w, h)]
    return [logit, (box[0] + w / 2 - x) / unit, (box[1] + h / 2 - y) / unit, *sizes, *places]


def test_decoding_undoes_what_training_wrote():
    points = [(30, 40), (50, 41), (40, 50), (32, 60), (48, 61)]
    cell = grid(SIZE)[1280 + 22]
    (row,) = decode(np.array([said(cell, (20, 25, 40, 50), points, 0.0)], np.float32), cell[None])
    assert row[0] == pytest.approx(0.5)
    assert row[1:5] == pytest.approx([20, 25, 40, 50], abs=1e-3)
    assert row[5:].reshape(5, 2) == pytest.approx(np.array(points), abs=1e-3)


def row(score, x, y, side):
    return [score, x, y, side, side, *([0.0] * 10)]


def test_cells_that_mean_one_face_become_one():
    rows = np.array([row(0.5, 102, 100, 40), row(0.9, 100, 100, 40), row(0.8, 300, 300, 20)], np.float32)
    merged = weighted_nms(rows)
    assert len(merged) == 2
    assert merged[0, 0] == pytest.approx(0.9)
    assert 100 < merged[0, 1] < 101


def test_nothing_merged_is_nothing():
    assert weighted_nms(np.zeros((0, VALUES), np.float32)).shape == (0, VALUES)


def test_a_box_without_extent_is_no_trouble():
    assert len(weighted_nms(np.array([row(0.9, 10, 10, 0), row(0.8, 10, 10, 0)], np.float32))) == 2


@pytest.fixture(scope="module")
def detector():
    return FerdDetector(read_bundle(MODEL), 40)


@pytest.fixture(scope="module")
def portrait():
    from ferd.sources.demo import picture

    return picture()


def test_the_card_belongs_to_the_file():
    bundle = read_bundle(MODEL)
    assert bundle.checksum_ok
    assert bundle.labels == ("face",)
    assert MODEL.stat().st_size <= 400_000
    assert bundle.card["macs"] <= 40_000_000
    assert "5(1)(f)" in bundle.card["not_for"]
    assert 0 < bundle.card["threshold"] < 1


def test_a_portrait_has_one_face(detector, portrait):
    (face,) = detector(Frame(0.0, portrait))
    points = face.points
    assert points is not None
    assert points.right_eye[0] < points.nose[0] < points.left_eye[0]
    assert points.right_eye[1] < points.nose[1] < points.mouth_right[1]
    x, y, w, h = face.box
    assert all(x < px < x + w and y < py < y + h for px, py in points)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_box_and_points_are_in_pixels_of_the_frame(detector, portrait, scale):
    (face,) = detector(Frame(0.0, portrait))
    (other,) = detector(Frame(0.0, np.asarray(cv2.resize(portrait, None, fx=scale, fy=scale), np.uint8)))
    assert Box(*(v / scale for v in other.box)).overlap(face.box) > 0.8
    assert np.array(other.points) / scale == pytest.approx(np.array(face.points), abs=0.06 * face.box.w)


def test_gray_and_colour_are_the_same_to_it(detector, portrait):
    gray = np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8)
    assert detector(Frame(0.0, gray)) == detector(Frame(0.0, portrait))


def test_the_small_stream_is_searched_when_there_is_one(detector, portrait):
    small, _ = letterbox(np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8), SIZE)
    dark = np.zeros_like(portrait)
    height = round(320 * portrait.shape[0] / portrait.shape[1])
    if height <= 256:
        assert detector(Frame(0.0, dark, small=small[:height]))
    assert not detector(Frame(0.0, dark))


@pytest.mark.parametrize("roll", [-25, 25])
def test_a_tilted_head_is_found(detector, portrait, roll):
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), roll, 0.8)
    (face,) = detector(Frame(0.0, np.asarray(cv2.warpAffine(portrait, matrix, (width, height)), np.uint8)))
    (dx, dy) = np.subtract(face.points.left_eye, face.points.right_eye)
    assert np.degrees(np.arctan2(dy, dx)) == pytest.approx(-roll, abs=8)


def test_faces_below_the_wanted_size_are_left_out(portrait):
    assert FerdDetector(read_bundle(MODEL), 4000)(Frame(0.0, portrait)) == []


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_picture_has_no_face(detector, level):
    assert detector(Frame(0.0, np.full((480, 640, 3), level, np.uint8))) == []


def test_another_kind_of_model_is_refused():
    with pytest.raises(ModelError, match="no face model"):
        FerdDetector(read_bundle(shipped_dir() / "expression.tflite"), 40)


def test_a_card_of_another_size_is_refused(tmp_path):
    shutil.copy(MODEL, tmp_path / "face.tflite")
    card = json.loads(MODEL.with_suffix(".json").read_text())
    card["input"]["width"] = 640
    (tmp_path / "face.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="do not belong together"):
        FerdDetector(read_bundle(tmp_path / "face.tflite"), 40)


def test_a_truncated_file_is_refused(tmp_path):
    (tmp_path / "face.tflite").write_bytes(MODEL.read_bytes()[:20_000])
    shutil.copy(MODEL.with_suffix(".json"), tmp_path)
    with pytest.raises(ModelError):
        FerdDetector(read_bundle(tmp_path / "face.tflite"), 40)


@pytest.mark.parametrize("top", [0, 150, 420])
def test_a_tall_frame_is_looked_at_twice(detector, portrait, top):
    tall = np.full((900, 640, 3), 90, np.uint8)
    tall[top : top + 480] = portrait
    (face,) = detector(Frame(0.0, tall))
    (alone,) = detector(Frame(0.0, portrait))
    x, y, w, h = alone.box
    assert face.box.overlap(Box(x, y + top, w, h)) > 0.7


def test_a_small_head_at_the_top_of_a_tall_frame_is_found(detector, portrait):
    small = cv2.resize(portrait, (160, 120), interpolation=cv2.INTER_AREA)
    tall = np.full((640, 400, 3), 90, np.uint8)
    tall[20:140, 100:260] = small
    (face,) = detector(Frame(0.0, tall))
    assert 40 <= face.box.h < 60


def turned(picture, degrees, zoom=1.0, side=None):
    """The picture turned about its middle and scaled, on a canvas of its own size or of the given square."""
    height, width = picture.shape[:2]
    size = (side, side) if side else (width, height)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_a_doubtful_face_is_looked_at_once_more(portrait):
    """Tilted by 60 degrees the first look is not sure of it; stood upright it is, and in the same place."""
    first, both = FerdDetector(read_bundle(MODEL), 40, threshold=DOUBTFUL), FerdDetector(read_bundle(MODEL), 40)
    found = 0
    for degrees in range(-70, 71, 10):
        frame = Frame(0.0, turned(portrait, degrees, 0.6))
        doubtful = [face for face in first(frame) if face.score < SURE]
        for face in both(frame):
            for before in doubtful:
                if before.box.overlap(face.box) > NEAR:
                    assert face.score >= both.threshold
                    assert math.degrees(roll(face.points)) == pytest.approx(-degrees, abs=25)
                    found += 1
    assert found >= 2


def test_a_sure_face_costs_one_pass_and_doubtful_ones_are_bounded(detector, portrait, monkeypatch):
    calls = []
    search = FerdDetector.search
    monkeypatch.setattr(FerdDetector, "search", lambda self, picture: calls.append(1) or search(self, picture))
    assert detector(Frame(0.0, portrait))[0].score > SURE
    assert len(calls) == 1
    rows = np.array([row(0.5, 40 + 60 * i, 100, 50) for i in range(4)], np.float32)
    monkeypatch.setattr(FerdDetector, "search", lambda self, picture: calls.append(1) or rows)
    calls.clear()
    detector(Frame(0.0, np.zeros((480, 640), np.uint8)))
    assert len(calls) == 1 + CLOSER_LOOKS


@pytest.mark.parametrize(("score", "x", "looks"), [(0.5, 60, 0), (0.35, 200, 0), (0.5, 200, 1)])
def test_beside_a_sure_face_only_what_is_likely_and_apart_is_looked_at(detector, monkeypatch, score, x, looks):
    calls = []
    rows = np.array([row(0.9, 20, 50, 100), row(score, x, 90, 30)], np.float32)
    monkeypatch.setattr(FerdDetector, "search", lambda self, picture: calls.append(1) or rows)
    detector(Frame(0.0, np.zeros((480, 640), np.uint8)))
    assert len(calls) == 1 + looks


def test_what_the_closer_look_does_not_see_is_no_face(detector, monkeypatch):
    answers = [np.array([row(0.6, 100, 100, 60)], np.float32), np.zeros((0, VALUES), np.float32)]
    monkeypatch.setattr(FerdDetector, "search", lambda self, picture: answers.pop(0))
    assert detector(Frame(0.0, np.zeros((480, 640), np.uint8))) == []


@pytest.mark.parametrize(("shape", "looks"), [((480, 640), 1), ((480, 640, 3), 1), ((900, 640, 3), 2)])
def test_what_the_closer_look_sees_in_its_middle_lies_where_the_doubtful_face_was(detector, monkeypatch, shape, looks):
    doubtful = np.array([row(0.5, 100, 80, 60)], np.float32)
    middle = (SIZE[0] - CLOSER_SIDE) / 2, (SIZE[1] - CLOSER_SIDE) / 2
    near = np.array([row(0.9, *middle, CLOSER_SIDE)], np.float32)
    answers = [doubtful] * looks + [near] * CLOSER_LOOKS
    monkeypatch.setattr(FerdDetector, "search", lambda self, picture: answers.pop(0))
    factor = max(shape[1] / SIZE[0], shape[0] / SIZE[1])
    face = detector(Frame(0.0, np.zeros(shape, np.uint8)))[0]
    assert face.score == pytest.approx(0.9)
    assert face.box == pytest.approx([100 * factor, 80 * factor, 60 * factor, 60 * factor], abs=0.01)
