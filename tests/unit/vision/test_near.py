"""Faces that fill the picture or are cut off by its edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferd.models.registry import find_bundle
from ferd.sources.demo import load_portrait
from ferd.types import Box, Face, Frame, Landmarks
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.landmarked import with_landmarks
from ferd.vision.detectors.near import EVERY_S, LONGEST, MARGINS, NearSearch, near_faces


@pytest.fixture(scope="module")
def closer():
    return with_landmarks(FerdDetector(find_bundle("face"), 40))


@pytest.fixture(scope="module")
def portrait():
    return cv2.cvtColor(load_portrait(), cv2.COLOR_BGR2GRAY)


def anything(_image, _face):
    return True


class Finder:
    """Finds a face of this share of the image, once the image is wider than `from_width`; notes the images."""

    name, gray = "finder", True

    def __init__(self, share=0.4, from_width=0):
        self.share, self.from_width, self.seen = share, from_width, []

    def __call__(self, frame):
        self.seen.append(frame.image.shape[:2])
        if frame.width <= self.from_width:
            return []
        box = Box(0.3 * frame.width, 0.25 * frame.height, self.share * frame.width, self.share * frame.height)
        return [Face(box, Landmarks(*(((0.5 * frame.width), (0.5 * frame.height)),) * 5), 0.8)]


def picture(width=640, height=480):
    return np.zeros((height, width), np.uint8)


@pytest.mark.parametrize("seen_part", [(0, 1, 0.3, 0.95), (0, 0.85, 0.3, 0.85), (0.1, 1, 0.3, 0.85)])
def test_a_part_of_a_face_is_found_at_its_place(closer, portrait, seen_part):
    """Forehead and chin or cheek are cut off by the picture's edges (left, right, top, low); the box reaches out."""
    left, right, top, low = seen_part
    (whole,) = closer(Frame(0.0, portrait))
    x, y, w, h = whole.box
    rows, columns = slice(round(y + top * h), round(y + low * h)), slice(round(x + left * w), round(x + right * w))
    part = np.ascontiguousarray(portrait[rows, columns])
    assert closer.detector(Frame(0.0, part)) == []
    (seen,) = closer(Frame(0.0, part))
    moved = np.array(seen.points) + np.array((columns.start, rows.start))
    assert np.abs(moved - np.array(whole.points)).max() < 0.15 * w


def test_the_place_in_the_frame_whatever_the_margin():
    for width, height in ((640, 480), (1920, 1080), (480, 640)):
        finder = Finder(from_width=width if width <= LONGEST else 0)
        found = near_faces(finder, anything, Frame(0.0, picture(width, height)))
        (face,) = found
        shown = 1 + 2 * MARGINS[0]
        wanted = ((0.3 * shown - MARGINS[0]) * width, (0.25 * shown - MARGINS[0]) * height)
        assert (face.box.x, face.box.y) == pytest.approx(wanted, abs=3)
        assert (face.box.w, face.box.h) == pytest.approx((0.4 * shown * width, 0.4 * shown * height), abs=4)
        assert face.points.nose == pytest.approx((width / 2, height / 2), abs=2)
        assert max(finder.seen[-1]) <= LONGEST * (1 + 2 * max(MARGINS)) + 1


def test_small_ones_and_what_the_other_model_denies_are_left_out():
    assert near_faces(Finder(share=0.1), anything, Frame(0.0, picture())) == []
    assert near_faces(Finder(), lambda _image, _face: False, Frame(0.0, picture())) == []


def test_a_camera_without_faces_is_searched_with_a_margin_now_and_then():
    finder = Finder(from_width=10_000)
    search = NearSearch(finder, anything)
    for number in range(60):
        assert search(Frame(number / 15, picture())) == []
    wide = [shape for shape in finder.seen if shape != (480, 640)]
    assert len(finder.seen) - len(wide) == 60
    assert 60 / 15 / EVERY_S - 1 <= len(wide) <= 60 / 15 / EVERY_S + 1
    assert len(set(wide)) == len(MARGINS)


def test_a_camera_with_a_face_costs_nothing_more():
    finder = Finder()
    search = NearSearch(finder, anything)
    for number in range(30):
        assert search(Frame(number / 15, picture()))
    assert set(finder.seen) == {(480, 640)}
