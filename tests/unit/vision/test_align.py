"""A face is cut as in training: at the right place, upright, without aliasing."""

import cv2
import numpy as np
import pytest

from ferd.types import Box, Face, Landmarks
from ferd.vision.align import Crop, Relation, cut

EYES = ((0.32, 0.38), (0.68, 0.38))


def dot(picture, x, y, radius=3):
    cv2.circle(picture, (round(x), round(y)), radius, 255, -1)


def brightest(picture):
    rows, columns = np.nonzero(picture > picture.max() * 0.6)
    return columns.mean(), rows.mean()


@pytest.mark.parametrize("roll", [-30, 0, 15, 40])
@pytest.mark.parametrize("distance", [20, 60, 150])
def test_the_eyes_lie_where_training_had_them(roll, distance):
    angle = np.radians(roll)
    half = np.array([np.cos(angle), np.sin(angle)]) * distance / 2
    right, left = np.array([320, 240]) - half, np.array([320, 240]) + half
    points = Landmarks(tuple(right), tuple(left), (0, 0), (0, 0), (0, 0))
    for which, place in ((right, EYES[0]), (left, EYES[1])):
        large = np.zeros((1920, 2560), np.uint8)
        # drawn four times too large and averaged down, so that the dot's centre is not rounded to a pixel
        dot(large, *(which * 4), radius=max(8, distance // 3))
        picture = cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)
        crop = cut(picture, Face(Box(0, 0, 10, 10), points), Crop(EYES), "yunet", (48, 48))
        x, y = brightest(crop)
        assert x + 0.5 == pytest.approx(place[0] * 48, abs=0.6)
        assert y + 0.5 == pytest.approx(place[1] * 48, abs=0.6)


@pytest.mark.parametrize("side", [30, 48, 100, 400])
def test_without_points_the_square_stands_in_its_relation_to_the_box(side):
    relation = Relation(dx=0.1, dy=0.2, scale=1.2)
    picture = np.zeros((700, 700), np.uint8)
    box = Box(120, 80, side, side)
    dot(picture, box.x + side * 0.6, box.y + side * 0.7, radius=max(2, side // 20))
    crop = cut(picture, Face(box), Crop(relations={"haar": relation}), "haar", (48, 48))
    x, y = brightest(crop)
    assert (x + 0.5, y + 0.5) == (pytest.approx(24, abs=1), pytest.approx(24, abs=1))


def test_a_face_at_the_edge_repeats_the_edge_and_does_not_fail():
    picture = np.full((100, 100), 90, np.uint8)
    assert (cut(picture, Face(Box(-30, 60, 80, 80)), Crop(), "haar", (48, 48)) == 90).all()


def test_fine_stripes_of_a_large_face_become_gray_and_no_pattern():
    picture = np.zeros((480, 640), np.uint8)
    picture[:, ::2] = 255
    crop = cut(picture, Face(Box(100, 50, 384, 384)), Crop(), "haar", (48, 48))
    assert crop.std() < 12


def test_colour_stays_colour():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[..., 2] = 200
    crop = cut(picture, Face(Box(10, 10, 50, 50)), Crop(), "haar", (32, 32))
    assert crop.shape == (32, 32, 3)
    assert (crop == [0, 0, 200]).all()


def test_two_eyes_on_one_spot_do_not_divide_by_zero():
    points = Landmarks(*[(50.0, 50.0)] * 5)
    assert cut(np.zeros((99, 99), np.uint8), Face(Box(0, 0, 9, 9), points), Crop(EYES), "x", (48, 48)).shape == (48, 48)


def test_close_eyes_of_a_turned_head_do_not_cut_into_the_face():
    box = Box(100, 100, 100, 120)
    points = Landmarks((145.0, 145.0), (155.0, 145.0), (0, 0), (0, 0), (0, 0))  # far closer than a frontal face's
    picture = np.zeros((400, 400), np.uint8)
    dot(picture, 190, 145)  # at the edge of the face
    crop = Crop(EYES, 0.85, {"yunet": Relation(scale=1.0)})
    assert cut(picture, Face(box, points), Crop(EYES), "yunet", (48, 48)).max() == 0
    assert cut(picture, Face(box, points), crop, "yunet", (48, 48)).max() > 0


def test_a_card_holds_all_that_a_crop_is():
    crop = Crop(EYES, 0.85, {"haar": Relation(0.0, 0.02, 1.08), "yunet": Relation()})
    assert Crop.from_card(crop.to_card()) == crop
