"""Which samples teach something, and what is said of those that do not."""

import cv2
import numpy as np
import pytest

from ferd.models.finetune.samples import Collected, flips_allowed, judge, vary


def crop(seed=0):
    """Edges at all scales, as faces have them."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (8, 8), dtype=np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)
    return cv2.addWeighted(coarse, 0.7, rng.integers(0, 256, (48, 48), dtype=np.uint8), 0.3, 0)


def test_verdicts():
    assert judge(None, None) == "no face"
    assert judge(crop(), None) == "good"
    assert judge(crop(), crop(1)) == "good"
    assert judge(crop(), crop()) == "same as before"
    assert judge(cv2.GaussianBlur(crop(), (0, 0), 4), None) == "blurred"


def test_a_dark_picture_is_not_taken_for_a_blurred_one():
    assert judge((crop() // 5 + 10).astype(np.uint8), None) == "good"


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        (("happy", "tired"), True),
        (("wink left", "neutral"), False),
        (("Wink-Right", "neutral"), False),
        (("links blinzeln", "gerade"), False),
        (("bright", "leftover"), True),
    ],
)
def test_no_mirror_images_where_a_side_matters(labels, allowed):
    assert flips_allowed(labels) is allowed


@pytest.mark.parametrize("flip", [True, False])
def test_variations_are_faces_of_the_same_size(flip):
    views = vary(crop(), flip=flip)
    assert {view.shape for view in views} == {(48, 48)}
    assert {view.dtype for view in views} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(views[0], crop())
    assert any((view == crop()[:, ::-1]).all() for view in views) is flip


def test_warnings_name_the_class_and_the_remedy():
    thin = Collected("tired", crops=[crop()] * 3)
    thin.passed.update({"no face": 30, "blurred": 1})
    told = list(thin.warnings())
    assert told == [
        "tired: only 3 samples; 20 or more make it trustworthy",
        "tired: 30 of 34 pictures passed over (no face): look at the camera, come closer, more light",
    ]
    assert not list(Collected("good", crops=[crop()] * 60).warnings())
