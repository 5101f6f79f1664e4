"""Figures by hand, and by property."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.evaluation.judge import verdict

LABELS = ("calm", "bright")


def of(*pairs):
    """(true label, probability of "bright") for each picture."""
    return verdict(LABELS, [true for true, _ in pairs], np.array([[1 - p, p] for _, p in pairs]))


def test_accuracy_recall_and_confusion():
    told = of(("calm", 0.1), ("calm", 0.9), ("calm", 0.2), ("bright", 0.7))
    assert told.accuracy == 0.75
    assert told.recall() == {"calm": pytest.approx(2 / 3), "bright": 1.0}
    assert told.confusion().tolist() == [[2, 1], [0, 1]]
    assert told.to_dict()["mean_recall"] == pytest.approx(5 / 6, abs=1e-4)


def test_a_label_that_the_model_lacks_counts_as_wrong():
    told = of(("calm", 0.1), ("contempt", 0.9), ("contempt", 0.1))
    assert told.accuracy == pytest.approx(1 / 3)
    assert told.recall()["contempt"] == 0
    assert told.labels == ("calm", "bright", "contempt")
    assert told.confusion().shape == (3, 2)


def test_a_face_that_was_not_found_is_wrong_and_in_no_column():
    told = verdict(LABELS, ["calm", "calm"], np.array([[0.0, 0.0], [0.9, 0.1]]))
    assert told.accuracy == 0.5
    assert told.confusion().tolist() == [[1, 0], [0, 0]]


def test_labels_match_without_regard_to_case():
    assert of(("Calm", 0.1), ("BRIGHT", 0.9)).accuracy == 1


def test_a_model_that_is_as_right_as_it_says_has_no_calibration_error():
    told = of(*[("bright", 0.75)] * 75, *[("calm", 0.75)] * 25)
    assert told.ece() == pytest.approx(0)


def test_a_model_that_is_too_sure_has_one():
    told = of(*[("bright", 0.9)] * 60, *[("calm", 0.9)] * 40)
    assert told.ece() == pytest.approx(0.3)


@given(st.lists(st.tuples(st.sampled_from(["calm", "bright", "odd"]), st.floats(0, 1)), min_size=1, max_size=60))
def test_figures_fit_together(pairs):
    told = of(*pairs)
    assert told.confusion().sum() == len(pairs)
    assert 0 <= told.ece() <= 1
    assert sum(count for _, _, count in told.reliability()) == len(pairs)
    assert told.accuracy == pytest.approx(np.trace(told.confusion()[:2]) / len(pairs))
