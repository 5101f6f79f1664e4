"""Hold the hints on image quality, and the explanation of each label."""

import numpy as np
import pytest

from ferd.outputs.web.image_quality import measure_quality
from ferd.outputs.web.serialise import explain
from ferd.outputs.web.stream import MAX_JPEG_BYTES, encode_jpeg, jpeg
from ferd.policy.smoothing import SmoothingRules
from ferd.sources.demo import picture
from ferd.types import Box, Face, FaceReading, Frame, Landmarks, Track

BOX = Box(190, 160, 150, 150)
RULES = SmoothingRules(time_constant_s=0.15, on_threshold=0.4, off_threshold=0.2, switch_ratio=3.0, min_hold_s=0.1)


def test_a_good_face_has_no_hint():
    measured = measure_quality(picture(), Face(BOX))
    assert measured is not None
    assert measured.hints == ()


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
    measured = measure_quality(image, face)
    assert measured is not None
    assert any(given.startswith(hint) for given in measured.hints)


def test_a_face_outside_of_the_image_is_not_measured():
    assert measure_quality(picture(), Face(Box(700, 500, 90, 90))) is None


@pytest.mark.parametrize(
    ("held", "smooth", "evidence", "missing", "words"),
    [
        (None, {"a": 0.3, "b": 0.2}, {"a": 0, "b": 0}, 0.1, "published from 0.40"),
        (None, {"a": 0.6, "b": 0.2}, {"a": 0, "b": 0}, 0.0, "must stay so"),
        ("a", {"a": 0.6, "b": 0.2}, {"a": 0, "b": 0}, 0.0, "is held"),
        ("a", {"a": 0.4, "b": 0.5}, {"a": 0, "b": 0.4}, 0.0, "b has 40% of the evidence that it needs to replace a"),
        ("a", {"a": 0.1, "b": 0.3}, {"a": 0, "b": 1}, 0.1, "published from 0.40"),
        ("a", {"a": 0.1, "b": 0.8}, {"a": 0, "b": 1}, 0.0, "must stay so"),
        (None, {}, {}, None, "not been read yet"),
    ],
)
def test_the_explanation_says_what_is_missing(held, smooth, evidence, missing, words):
    face = FaceReading(Track(1, Face(BOX), 0.0, 0.0), {}, smooth, held, None, 0.0, evidence=evidence)
    answer = explain(face, RULES)
    assert words in answer["text"]
    assert answer.get("missing") == (None if missing is None else pytest.approx(missing))


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (1080, 1920, 3), (8, 2000)])
def test_images_become_jpegs(shape):
    assert jpeg(Frame(0.0, np.zeros(shape, np.uint8)))[:3] == b"\xff\xd8\xff"


def test_a_cameras_own_jpeg_is_sent_unchanged_unless_it_is_large():
    own = encode_jpeg(picture())
    assert jpeg(Frame(0.0, picture(), jpeg=own)) is own
    assert jpeg(Frame(0.0, np.zeros((480, 800, 3), np.uint8), jpeg=own)) is not own
    assert jpeg(Frame(0.0, picture(), jpeg=own + bytes(MAX_JPEG_BYTES))) == own
