"""Crops by the five points, and the shipped eyes model on a portrait."""

import cv2
import numpy as np
import pytest

from ferd.errors import ModelError
from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.types import Frame, Landmarks
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.eyes import (
    EYE_SIDE,
    MOUTH_SIDE,
    EyeOrMouth,
    EyeReader,
    Openness,
    crop_regions,
    cut_square,
    normalise_contrast,
)

MODEL = shipped_dir() / "eyes.tflite"
UPRIGHT = Landmarks((100, 100), (160, 100), (130, 130), (105, 155), (155, 155))


def turned(points, degrees):
    turn = complex(np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    moved = [(complex(*p) - 130 - 120j) * turn + 130 + 120j for p in points]
    return Landmarks(*((p.real, p.imag) for p in moved))


def test_sizes_follow_the_distance_of_the_eyes():
    where = crop_regions(UPRIGHT)
    assert where.right_eye[2] == pytest.approx(60 * EYE_SIDE)
    assert where.mouth[2] == pytest.approx(60 * MOUTH_SIDE)
    assert where.mouth[:2] == pytest.approx((130, 155 + 0.12 * 60))


def test_a_turned_head_is_measured_by_its_length():
    narrow = Landmarks((120, 100), (140, 100), (138, 130), (122, 155), (138, 155))
    assert crop_regions(narrow).right_eye[2] == pytest.approx(0.9 * 55 * EYE_SIDE)


@pytest.mark.parametrize("degrees", [-40, 25, 90, 180])
def test_squares_turn_with_the_head(degrees):
    straight, tilted = crop_regions(UPRIGHT), crop_regions(turned(UPRIGHT, degrees))
    for a, b in zip(straight, tilted, strict=True):
        assert a[2] == pytest.approx(b[2])
        assert np.cos(b[3] - a[3] - np.radians(degrees)) == pytest.approx(1)


def test_points_all_in_one_place_are_no_trouble():
    crop_regions(Landmarks(*[(5.0, 5.0)] * 5))


@pytest.mark.parametrize("roll", [0.0, 0.5, -2.0])
def test_a_square_is_cut_upright_and_centred(roll):
    picture = np.zeros((240, 240), np.uint8)
    along = np.array([np.cos(roll), np.sin(roll)])
    spot = np.array([120, 110]) + 15 * along  # right of the middle, as the head sees it
    cv2.circle(picture, tuple(round(float(v)) for v in spot), 4, 255, -1)
    crop = cut_square(picture, (120, 110, 60, roll), 32)
    y, x = np.argwhere(crop > 128).mean(axis=0)
    assert (x + 0.5, y + 0.5) == pytest.approx((24, 16), abs=0.8)


def test_light_is_levelled():
    rng = np.random.default_rng(1)
    crop = rng.integers(60, 90, (32, 32)).astype(np.uint8)
    bright = np.clip(crop.astype(int) * 2 + 20, 0, 255).astype(np.uint8)
    assert normalise_contrast(crop).mean() == pytest.approx(128, abs=2)
    assert np.abs(normalise_contrast(crop).astype(int) - normalise_contrast(bright)).max() <= 3


def test_a_flat_crop_stays_flat():
    assert normalise_contrast(np.full((32, 32), 7, np.uint8)).std() == 0


def test_the_surer_eye_counts_more():
    both = Openness(EyeOrMouth(1.0, 0.95), EyeOrMouth(0.2, 0.05), EyeOrMouth(0, 1)).eyes
    assert both.share > 0.9
    assert both.sure > 0.85
    hidden = Openness(EyeOrMouth(0.5, 0.02), EyeOrMouth(0.5, 0.02), EyeOrMouth(0, 1)).eyes
    assert hidden.sure < 0.1


@pytest.fixture(scope="module")
def reader():
    return EyeReader(read_bundle(MODEL))


@pytest.fixture(scope="module")
def portrait():
    from ferd.sources.demo import picture

    image = picture()
    (face,) = FerdDetector(read_bundle(shipped_dir() / "face.tflite"), 40)(Frame(0.0, image))
    return image, face.points


def test_the_card_belongs_to_the_file():
    bundle = read_bundle(MODEL)
    assert bundle.checksum_ok
    assert MODEL.stat().st_size <= 150_000
    assert bundle.card["macs"] <= 3_000_000
    assert "5(1)(f)" in bundle.card["not_for"]
    assert bundle.card["figures"]["infrared"]["accuracy"] >= 0.97


def test_the_portrait_has_its_eyes_open(reader, portrait):
    read = reader(*portrait)
    assert read.eyes.share < 0.3
    assert reader.sure(read.eyes)


def test_covered_eyes_cannot_be_told(reader, portrait):
    image, points = portrait
    covered = image.copy()
    between = np.hypot(*np.subtract(points.left_eye, points.right_eye))
    for eye in (points.right_eye, points.left_eye):
        cv2.circle(covered, tuple(int(v) for v in eye), int(0.45 * between), (15, 15, 15), -1)
    assert not reader.sure(reader(covered, points).eyes)


def test_gray_and_colour_are_the_same_to_it(reader, portrait):
    image, points = portrait
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    assert reader(gray, points) == reader(image, points)


def test_a_part_out_of_the_picture_is_read_without_trouble(reader):
    points = Landmarks(*((x - 150, y - 150) for x, y in UPRIGHT))
    read = reader(np.zeros((48, 64, 3), np.uint8), points)
    assert not reader.sure(read.eyes)


@pytest.mark.parametrize("shape", [(48, 48), (20, 30), (200, 180, 3)])
def test_ready_crops_of_any_size_are_read(reader, shape):
    part = reader.read(np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8), "eye")
    assert 0 <= part.share <= 1
    assert 0 <= part.sure <= 1


def test_another_kind_of_model_is_refused():
    with pytest.raises(ModelError, match="no eyes model"):
        EyeReader(read_bundle(shipped_dir() / "expression.tflite"))
