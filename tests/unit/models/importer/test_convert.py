"""A conversion is judged by how often it says the same as the original."""

import numpy as np
import pytest

from ferd.models.importer.convert import compare, warning


def test_the_share_of_pictures_with_the_same_label():
    before = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    difference = compare(before, before + np.array([[0, 0], [0, 0], [-0.3, 0.3], [0, 0]]))
    assert (difference.images, difference.agree) == (4, 0.75)
    assert (difference.mean, difference.worst) == pytest.approx((0.075, 0.3))


@pytest.mark.parametrize(("before", "after", "agree"), [([0.9, 0.2], [0.6, 0.6], 0.5), ([2.0, -1.0], [0.1, -9.0], 1.0)])
def test_one_score_for_two_labels(before, after, agree):
    assert compare(np.array([before]).T, np.array([after]).T).agree == agree


@pytest.mark.parametrize(
    ("agree", "gray", "told"),
    [
        (1.0, False, None),
        (0.9, True, None),
        (0.89, False, "more pictures, of each class"),
        (0.5, True, "give colour pictures"),
    ],
)
def test_below_nine_of_ten_there_is_a_warning_with_the_remedy(agree, gray, told):
    shift = np.arange(100) >= 100 * agree
    difference = compare(np.tile([[0.9, 0.1]], (100, 1)), np.where(shift[:, None], [[0.1, 0.9]], [[0.9, 0.1]]))
    text = warning(difference, gray=gray)
    assert (text is None) if told is None else (told in text and f"{100 * agree:.0f} %" in text)
