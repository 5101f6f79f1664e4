"""`ferd model eval` of the eyes model on whole pictures: the face is found first, also where the picture lies."""

import numpy as np
import pytest

from ferd.data import Box, Face, Points
from ferd.evaluate.eyes import TURN_GAIN, upright

POINTS = Points((1, 1), (3, 1), (2, 2), (1, 3), (3, 3))


class Finder:
    """Sees one face where the picture's bright corner is in the top left, and perhaps another elsewhere."""

    name = "finder"

    def __init__(self, upright_score, other_score):
        self.scores = upright_score, other_score

    def __call__(self, frame):
        stands = frame.image[0, 0].max() > 128
        score = self.scores[0] if stands else self.scores[1]
        return [Face(Box(0, 0, 4, 4), POINTS, score)] if score else []


def lying(quarters):
    picture = np.zeros((6, 8, 3), np.uint8)
    picture[0, 0] = 255
    return np.ascontiguousarray(np.rot90(picture, -quarters))


@pytest.mark.parametrize("quarters", range(4))
def test_the_picture_is_turned_until_the_face_stands(quarters):
    shown, face = upright(Finder(0.9, 0.5), lying(quarters))
    assert shown[0, 0].max() == 255
    assert face.score == 0.9


def test_a_little_more_sureness_turns_no_picture():
    picture = lying(1)
    shown, _ = upright(Finder(0.9, 0.9 - TURN_GAIN / 2), picture)
    assert shown.shape == picture.shape
    assert shown[0, 0].max() == 0


def test_no_face_from_any_side():
    assert upright(Finder(0.0, 0.0), lying(0)) is None
