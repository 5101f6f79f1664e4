"""What is wrong with a face's picture, and why a label is told."""

import numpy as np
import pytest

from ferd.outputs.web.encode import MOST_BYTES, encoded, jpeg
from ferd.outputs.web.explain import why
from ferd.outputs.web.image_quality import quality
from ferd.policy.smoothing import SmoothingRules
from ferd.sources.demo import picture
from ferd.types import Box, Face, FaceReading, Frame, Landmarks, Track

BOX = Box(190, 160, 150, 150)
RULES = SmoothingRules(time_constant_s=0.15, on_threshold=0.4, off_threshold=0.2, switch_ratio=3.0, min_hold_s=0.1)


def test_a_good_face_has_no_hint():
    judged = quality(picture(), Face(BOX))
    assert judged is not None
    assert judged.hints == ()


@pytest.mark.parametrize(
    ("image", "face", "hint"),
    [
        (picture() // 8, Face(BOX), "too dark"),
        (np.full((480, 640, 3), 240, np.uint8), Face(BOX), "too bright"),
        (np.full((480, 640), 120, np.uint8), Face(BOX), "little contrast"),
        (np.full((480, 640), 120, np.uint8), Face(BOX), "blurred"),
        (picture(), Face(Box(250, 200, 40, 40)), "too small"),
        (picture(), Face(BOX, Landmarks((200, 200), (240, 200), (245, 220), (210, 250), (235, 250))), "turned away"),
        (picture(), Face(BOX, Landmarks((200, 200), (240, 230), (220, 230), (210, 250), (235, 250))), "tilted"),
    ],
)
def test_each_fault_has_its_hint(image, face, hint):
    judged = quality(image, face)
    assert judged is not None
    assert any(given.startswith(hint) for given in judged.hints)


def test_a_face_outside_of_the_picture_is_not_judged():
    assert quality(picture(), Face(Box(700, 500, 90, 90))) is None


@pytest.mark.parametrize(
    ("held", "smooth", "belief", "missing", "words"),
    [
        (None, {"a": 0.3, "b": 0.2}, {"a": 0.7, "b": 0.3}, 0.1, "told from 0.40"),
        ("a", {"a": 0.6, "b": 0.2}, {"a": 0.9, "b": 0.1}, 0.0, "is told"),
        ("a", {"a": 0.4, "b": 0.5}, {"a": 0.4, "b": 0.6}, 0.0, "1.50 times as likely as a by all looks; it needs 3"),
        ("a", {"a": 0.1, "b": 0.3}, {"a": 0.1, "b": 0.9}, 0.1, "told from 0.40"),
        ("a", {"a": 0.1, "b": 0.8}, {"a": 0.1, "b": 0.9}, 0.0, "must stay ahead"),
        (None, {}, {}, None, "not read yet"),
    ],
)
def test_what_is_missing_is_told(held, smooth, belief, missing, words):
    face = FaceReading(Track(1, Face(BOX), 0.0, 0.0), {}, smooth, held, None, 0.0, belief=belief)
    answer = why(face, RULES)
    assert words in answer["text"]
    assert answer.get("missing") == (None if missing is None else pytest.approx(missing))


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (1080, 1920, 3), (8, 2000)])
def test_pictures_become_jpegs(shape):
    assert jpeg(Frame(0.0, np.zeros(shape, np.uint8)))[:3] == b"\xff\xd8\xff"


def test_a_cameras_own_jpeg_is_shown_as_it_came_unless_it_is_large():
    own = encoded(picture())
    assert jpeg(Frame(0.0, picture(), jpeg=own)) is own
    assert jpeg(Frame(0.0, np.zeros((480, 800, 3), np.uint8), jpeg=own)) is not own
    assert jpeg(Frame(0.0, picture(), jpeg=own + bytes(MOST_BYTES))) == own
