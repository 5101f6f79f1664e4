"""The face in a photograph: found also where the picture lies, or where only a look from further away shows it."""

import numpy as np
import pytest

from ferd.evaluation.photograph import STEP, TURN_GAIN, looks, surest
from ferd.types import Box, Face, Landmarks
from ferd.vision.eyes import EyeOrMouth

POINTS = Landmarks((1, 1), (3, 1), (2, 2), (1, 3), (3, 3))


def face_in(detector, picture, sure=lambda look: 1.0):
    """The look that counted, and the face in it."""
    read = {}

    def part(look, face):
        made = EyeOrMouth(0.5, sure(look))
        read[id(made)] = (look, face, made)
        return made

    best = surest(detector, picture, part)
    return None if best is None else read[id(best)][:2]


class Finder:
    """Sees one face of a score that a function of the picture says."""

    name = "finder"

    def __init__(self, score):
        self.score = score

    def __call__(self, frame):
        score = self.score(frame.image)
        return [Face(Box(0, 0, 4, 4), POINTS, score)] if score else []


def lying(quarters):
    """A picture whose bright corner is in the top left once it is turned so often."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[:8, :8] = 255
    return np.ascontiguousarray(np.rot90(picture, -quarters))


def stands(picture):
    return picture[0, 0].max() == 255 and picture.shape[:2] in ((60, 80), (80, 60))


@pytest.mark.parametrize("quarters", range(4))
def test_the_picture_is_turned_until_the_face_stands(quarters):
    shown, face = face_in(Finder(lambda picture: 0.9 if stands(picture) else 0.5), lying(quarters))
    assert stands(shown)
    assert face.score == 0.9


def test_a_little_more_sureness_turns_no_picture():
    picture = lying(1)
    shown, _ = face_in(Finder(lambda look: 0.9 if look is picture else 0.9 + TURN_GAIN / 2), picture)
    assert shown is picture


def test_more_sureness_does():
    picture = lying(1)
    shown, _ = face_in(Finder(lambda look: 0.9 if look is picture else 0.9 + 2 * TURN_GAIN), picture)
    assert shown is not picture


def test_the_look_counts_in_which_face_and_eyes_together_are_surest():
    finder = Finder(lambda look: 0.6 if stands(look) else 0.9)
    shown, face = face_in(finder, lying(2), lambda look: 0.95 if stands(look) else 0.3)
    assert stands(shown)
    assert face.score == 0.6


def test_eyes_of_which_nothing_can_be_said_are_read_all_the_same():
    assert face_in(Finder(lambda _: 0.5), lying(0), lambda _: 0.0) is not None


def test_a_face_at_the_edge_is_seen_with_a_margin():
    picture = lying(0)
    shown, face = face_in(Finder(lambda look: 0.3 if look.shape[0] > 100 else 0), picture)
    assert face.score == 0.3
    assert shown.shape[0] > 100


def test_a_face_without_points_is_of_no_use():
    class Haar(Finder):
        def __call__(self, frame):
            return [Face(Box(0, 0, 4, 4), None, 1.0)]

    assert face_in(Haar(None), lying(0)) is None


def test_no_face_from_any_side():
    assert face_in(Finder(lambda _: 0), lying(0)) is None


def test_looks_go_all_around_and_begin_with_the_picture_itself():
    picture = lying(0)
    seen = list(looks(picture))
    assert seen[0] is picture
    assert len(seen) == 2 * 360 // STEP
    assert all(look.dtype == np.uint8 and look.ndim == 3 for look in seen)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200, 3), (200, 1, 3)])
def test_pictures_of_one_pixel_width_are_no_trouble(shape):
    assert face_in(Finder(lambda _: 0), np.zeros(shape, np.uint8)) is None
