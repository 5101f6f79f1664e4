"""Landmarks, pose and presence of a face: where crops lie, what is measured, and what cannot be read."""

import json
import math
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from ferd.errors import ModelError
from ferd.models.bundle import read_bundle
from ferd.models.registry import shipped_dir
from ferd.sources.demo import load_portrait
from ferd.vision.landmarks import (
    AROUND,
    LABELS,
    LEFT_EYE,
    PRESENT,
    RIGHT_EYE,
    SIDE,
    VALUES,
    Crop,
    LandmarkModel,
    crop_of_box,
    crop_of_points,
    cut,
    eye_distance,
    five,
    index,
    lid_apertures,
    mean_of,
    mirrored,
    mouth_aperture,
    normalise,
    readable,
    reading,
)

FILE = shipped_dir() / "landmarks.tflite"


def drawn(aperture=0.15, mouth=0.1, roll=0.0, scale=100.0, at=(200.0, 150.0)):
    """Landmarks of a face whose eye distance is 1, in pixels: only what is measured lies in its place."""
    points = np.zeros((len(LABELS), 2))
    for eye, x, outwards in ((RIGHT_EYE, -0.5, -1), (LEFT_EYE, 0.5, 1)):
        across = np.array([0.22, 0.11, 0, -0.11, -0.22, -0.11, 0, 0.11]) * outwards + x
        down = np.array([0, -1, -1, -1, 0, 1, 1, 1]) * aperture / 2
        points[eye] = np.stack([across, down], 1)
    points[index("lip_upper_inner")] = 0, 1.0
    points[index("lip_lower_inner")] = 0, 1.0 + mouth
    points[index("chin")] = 0, 1.6
    points[index("cheek_right")], points[index("cheek_left")] = (-1.1, 0.3), (1.1, 0.3)
    turn = scale * complex(math.cos(math.radians(roll)), math.sin(math.radians(roll)))
    z = (points[:, 0] + 1j * points[:, 1]) * turn + complex(*at)
    return np.stack([z.real, z.imag], 1).astype(np.float32)


@pytest.mark.parametrize("roll", [0, 30, -75, 180])
@pytest.mark.parametrize("aperture", [0.0, 0.05, 0.2])
def test_apertures_depend_neither_on_size_nor_on_roll(aperture, roll):
    points = drawn(aperture, 0.4, roll, scale=37)
    assert lid_apertures(points) == pytest.approx((aperture, aperture), abs=1e-3)
    assert mouth_aperture(points) == pytest.approx(0.4, abs=1e-3)
    assert eye_distance(points) == pytest.approx(37, rel=1e-3)


def test_lids_that_cross_count_below_zero():
    right, left = lid_apertures(drawn(-0.05))
    assert right == pytest.approx(-0.05, abs=1e-3)
    assert left == pytest.approx(-0.05, abs=1e-3)


def test_a_turned_head_keeps_its_aperture():
    points = drawn(0.15)
    points[:, 0] = 200 + (points[:, 0] - 200) * math.cos(math.radians(40))
    assert lid_apertures(points, yaw=40) == pytest.approx((0.15, 0.15), abs=1e-3)
    assert lid_apertures(points, yaw=-40) == pytest.approx((0.15, 0.15), abs=1e-3)


def test_apertures_of_points_in_one_place_are_finite():
    nowhere = np.zeros((len(LABELS), 2), np.float32)
    assert lid_apertures(nowhere) == (0.0, 0.0)
    assert mouth_aperture(nowhere) == 0.0


@pytest.mark.parametrize("roll", [0, 25, -60])
def test_the_next_crop_is_the_same_in_the_face_however_it_is_turned(roll):
    still, turned = crop_of_points(drawn(), 0), crop_of_points(drawn(roll=roll), roll)
    assert turned.side == pytest.approx(still.side, rel=1e-3)
    moved = complex(still.x - 200, still.y - 150) * complex(math.cos(math.radians(roll)), math.sin(math.radians(roll)))
    assert complex(turned.x - 200, turned.y - 150) == pytest.approx(moved, abs=0.1)
    assert still.side == pytest.approx(AROUND * 220, rel=1e-3)


def test_the_crop_of_a_box_lies_lower_and_is_turned_about_its_middle():
    assert crop_of_box((100, 100, 80, 100)) == pytest.approx((140, 163, 112, 0))
    assert crop_of_box((100, 100, 80, 100), 90) == pytest.approx((127, 150, 112, 90))


@pytest.mark.parametrize("roll", [0, 30, -120])
@pytest.mark.parametrize("side", [50.0, 64.0, 200.0, 700.0])
def test_what_lies_in_the_middle_of_a_crop_is_seen_in_its_middle(side, roll):
    image = np.zeros((480, 640), np.uint8)
    cv2.circle(image, (300, 200), round(side / 8), 255, -1)
    seen = cut(image, Crop(300.5, 200.5, side, roll))
    assert seen.shape == (SIDE, SIDE)
    ys, xs = np.nonzero(seen > 128)
    assert xs.mean() + 0.5 == pytest.approx(SIDE / 2, abs=0.6)
    assert ys.mean() + 0.5 == pytest.approx(SIDE / 2, abs=0.6)
    assert math.sqrt(len(xs) / math.pi) == pytest.approx(SIDE / 8, rel=0.12)


@pytest.mark.parametrize("roll", [0, 40])
def test_a_reading_leads_back_to_the_place_in_the_picture(roll):
    """A spot that is seen at (x, y) of the crop is at that landmark's place in the picture."""
    crop = Crop(320, 240, 160, roll)
    values = np.zeros(VALUES, np.float32)
    values[4 : 4 + 2] = 0.5, -0.25
    point = reading(values, crop).points[0]
    image = np.zeros((480, 640), np.uint8)
    cv2.circle(image, (round(float(point[0]) - 0.5), round(float(point[1]) - 0.5)), 6, 255, -1)
    ys, xs = np.nonzero(cut(image, crop) > 128)
    assert (xs.mean() + 0.5) / (SIDE / 2) - 1 == pytest.approx(0.5, abs=0.03)
    assert (ys.mean() + 0.5) / (SIDE / 2) - 1 == pytest.approx(-0.25, abs=0.03)


def test_the_roll_of_the_crop_is_added_and_stays_within_half_a_turn():
    values = np.zeros(VALUES, np.float32)
    values[3] = 20 / 45
    assert reading(values, Crop(0, 0, 100, 15)).roll == pytest.approx(35)
    assert reading(values, Crop(0, 0, 100, 170)).roll == pytest.approx(-170)


@pytest.mark.parametrize(("first", "second", "mean"), [(10, 16, 14), (179, -178, -179), (-178, 179, 180)])
def test_the_mean_of_two_looks_lies_nearer_to_the_second_on_the_shorter_way(first, second, mean):
    one, two = (reading(np.zeros(VALUES, np.float32), Crop(0, 0, 100, roll)) for roll in (first, second))
    assert (mean_of(one, two, 2 / 3).roll - mean + 180) % 360 == pytest.approx(180)
    assert np.allclose(mean_of(one, one, 2 / 3).points, one.points)


def test_the_mean_is_as_surely_a_face_as_the_less_sure_look():
    one = reading(np.zeros(VALUES, np.float32), Crop(0, 0, 100, 0))
    for first, second in ((0.2, 0.9), (0.9, 0.2)):
        assert mean_of(replace(one, presence=first), replace(one, presence=second), 0.5).presence == 0.2


def test_the_mean_of_two_looks_measures_its_own_landmarks():
    looks = [replace(reading(np.zeros(VALUES, np.float32), Crop(0, 0, 100, 0)), points=drawn(a)) for a in (0.06, 0.15)]
    mean = mean_of(*looks, 2 / 3)
    assert mean.right_aperture == pytest.approx(0.12, abs=0.01)
    assert mean.left_aperture == pytest.approx(0.12, abs=0.01)


def test_outputs_for_the_mirror_image_are_turned_back():
    values = np.arange(VALUES, dtype=np.float32)
    turned = mirrored(values)
    assert np.array_equal(mirrored(turned), values)
    assert (turned[0], turned[1], turned[2], turned[3]) == (0, -1, 2, -3)
    right, left = (4 + 2 * index(f"{side}_eye_outer") for side in ("right", "left"))
    assert (turned[right], turned[right + 1]) == (-values[left], values[left + 1])


def test_what_the_mirror_image_shows_is_read_at_the_same_place(model, portrait, found):
    """A net that saw each crop and its mirror image alike would give the same landmarks twice."""
    tile = cut(portrait, crop_of_points(found.points, found.roll))
    straight, other = model.values(tile), mirrored(model.values(np.ascontiguousarray(tile[:, ::-1])))
    assert np.abs(straight[4:] - other[4:]).mean() < 0.03  # half crops
    assert np.abs(straight[1:4] - other[1:4]).max() * 45 < 6


@pytest.mark.parametrize("logit", [-1e9, -3.0, 0.0, 1e9])
def test_presence_is_a_probability(logit):
    values = np.zeros(VALUES, np.float32)
    values[0] = logit
    assert 0 <= reading(values, Crop(0, 0, 100)).presence <= 1


def test_contrast_is_normalised_and_flat_crops_stay_flat():
    ramp = np.tile(np.linspace(100, 110, SIDE).astype(np.uint8), (SIDE, 1))
    assert normalise(ramp).std() > 25
    assert normalise(np.full((SIDE, SIDE), 7, np.uint8)).std() == 0


@pytest.mark.parametrize(
    "crop",
    [
        Crop(320, 240, 20),  # a face of 14 pixels
        Crop(-60, 240, 100),
        Crop(700, 500, 100),
        Crop(320, 240, 2000),
        Crop(math.nan, 240, 100),
        Crop(320, 240, math.inf),
        Crop(320, 240, 100, math.nan),
        Crop(320, 240, -100),
    ],
)
def test_what_cannot_be_read_is_not_read(crop):
    assert not readable(np.zeros((480, 640), np.uint8), crop)


def test_an_empty_picture_is_not_read():
    assert not readable(np.zeros((0, 0), np.uint8), Crop(100, 100, 100))


def test_a_colour_picture_gives_the_same_crop_in_gray():
    picture = np.random.default_rng(2).integers(0, 255, (480, 640, 3), np.uint8)
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for crop in (Crop(300, 200, 60, 10), Crop(300, 200, 400, -20)):
        assert np.abs(cut(picture, crop).astype(int) - cut(gray, crop)).max() <= 2


# From here on with the file that ships.


@pytest.fixture(scope="module")
def model():
    return LandmarkModel(read_bundle(FILE))


@pytest.fixture(scope="module")
def portrait():
    return cv2.cvtColor(load_portrait(), cv2.COLOR_BGR2GRAY)


@pytest.fixture(scope="module")
def box():
    return 178.6, 122.5, 174.6, 213.6


@pytest.fixture(scope="module")
def found(model, portrait, box):
    return model.read(portrait, box)


def test_the_portrait_is_read(found):
    """The five points that YuNet finds there; a frontal face with open eyes, smiling with shut lips or teeth."""
    assert found.presence > 0.9
    told = [(224.1, 194.2), (306.8, 190.9), (267.5, 236.6), (233.0, 274.5), (305.4, 271.3)]
    off = np.hypot(*(np.array(five(found.points)) - told).T)
    assert off.max() < 0.12 * eye_distance(found.points)
    assert abs(found.yaw) < 15
    assert abs(found.roll) < 10
    assert found.right_aperture > 0.065  # she smiles; shut eyes are read at 0.06 and less
    assert found.left_aperture > 0.065


def test_following_stays_where_it_is(model, portrait, found):
    """Twenty looks, each in the crop of the one before, do not drift."""
    seen = found
    for _ in range(20):
        seen = model.read(portrait, seen)
    assert seen.presence > 0.9
    off = np.hypot(*(seen.points - found.points).T).mean()
    assert off < 0.04 * eye_distance(found.points)


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_tilted_head_is_followed(model, portrait, found, degrees):
    """OpenCV turns counterclockwise for positive degrees: the head's roll falls by as much."""
    middle = tuple(float(v) for v in found.points.mean(axis=0))
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    turned = cv2.warpAffine(portrait, matrix, portrait.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    seen = model.read(turned, found)
    seen = model.read(turned, seen)
    assert seen.presence > 0.9
    assert seen.roll == pytest.approx(found.roll - degrees, abs=5)
    true = found.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.hypot(*(seen.points - true).T).mean() < 0.08 * eye_distance(found.points)


def test_a_mirror_turns_the_signs(model, portrait, found, box):
    x, y, w, h = box
    seen = model.read(np.ascontiguousarray(portrait[:, ::-1]), (portrait.shape[1] - x - w, y, w, h))
    assert seen.yaw == pytest.approx(-found.yaw, abs=6)
    assert seen.roll == pytest.approx(-found.roll, abs=4)
    assert seen.pitch == pytest.approx(found.pitch, abs=6)
    assert five(seen.points).right_eye[0] == pytest.approx(portrait.shape[1] - five(found.points).left_eye[0], abs=6)


@pytest.mark.parametrize("place", [(0, 0, 100, 100), (400, 420, 110, 150), (20, 420, 110, 150)])
def test_beside_the_face_there_is_none(model, portrait, place):
    seen = model.read(portrait, place)
    assert seen is None or seen.presence < PRESENT


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_covered_lens_shows_no_face(model, level):
    flat = np.full((480, 640), level, np.uint8)
    assert model.read(flat, (200, 100, 150, 200)).presence < PRESENT


def test_noise_shows_no_face(model):
    noise = np.random.default_rng(4).integers(0, 256, (480, 640)).astype(np.uint8)
    assert model.read(noise, (200, 100, 150, 200)).presence < PRESENT


def test_a_dark_flat_picture_is_read_as_the_bright_one(model, portrait, found, box):
    dark = (portrait / 6 + 4).astype(np.uint8)
    seen = model.read(dark, box)
    assert seen.presence > 0.9
    assert np.hypot(*(seen.points - found.points).T).mean() < 0.04 * eye_distance(found.points)


@pytest.mark.parametrize(
    "box", [(100, 100, 20, 26), (-500, 100, 100, 100), (100, 100, math.nan, 50), (0, 0, 0, 0), (100, 100, -50, -50)]
)
def test_a_box_that_cannot_be_read_gives_nothing(model, portrait, box):
    assert model.read(portrait, box) is None


def test_landmarks_that_are_not_finite_give_nothing(model, portrait, found):
    broken = replace(found, points=np.full_like(found.points, np.nan))
    assert model.read(portrait, broken) is None


def test_a_face_at_the_edge_of_the_picture_is_cut_off_without_an_error(model, portrait, box):
    x, y, w, h = box
    for left in range(0, 400, 40):
        part = np.ascontiguousarray(portrait[:, left:])
        seen = model.read(part, (x - left, y, w, h))
        assert seen is None or np.isfinite(seen.points).all()


def test_card_and_file_belong_together(model):
    bundle = read_bundle(FILE)
    assert bundle.kind == "landmarks"
    assert bundle.checksum_ok
    assert bundle.card["around"] == AROUND
    assert FILE.stat().st_size <= 250_000
    assert bundle.card["macs"] <= 8_000_000


def test_a_model_of_an_older_shape_is_refused(tmp_path):
    shutil.copy(shipped_dir() / "eyes.tflite", tmp_path / "landmarks.tflite")
    card = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8")) | {"sha256": ""}
    (tmp_path / "landmarks.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="of different versions"):
        LandmarkModel(read_bundle(tmp_path / "landmarks.tflite"))
    (tmp_path / "landmarks.json").write_text(json.dumps(card | {"labels": ["a", "b"]}), encoding="utf-8")
    with pytest.raises(ModelError, match="does not name ferd's 40 landmarks"):
        LandmarkModel(read_bundle(tmp_path / "landmarks.tflite"))


def test_a_truncated_file_is_refused(tmp_path):
    (tmp_path / "landmarks.tflite").write_bytes(FILE.read_bytes()[:50_000])
    shutil.copy(FILE.with_suffix(".json"), tmp_path)
    with pytest.raises(ModelError, match="copy it again"):
        LandmarkModel(read_bundle(tmp_path / "landmarks.tflite"))
