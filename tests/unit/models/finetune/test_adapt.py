"""A person's own shift of all scores is found and taken back; nothing else is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferd.models.finetune.adapt import MOST, learn

LABELS = 7
NEUTRAL, HAPPY, SAD = 6, 3, 4


def faces(count=40, seed=0, bias=None):
    """Logits of neutral and happy faces, read well on average, plus what the person adds to all of them."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([NEUTRAL, HAPPY], count)
    logits = rng.normal(0, 1, (2 * count, LABELS))
    logits[np.arange(2 * count), truth] += 3
    return logits + (np.zeros(LABELS) if bias is None else bias), truth


def right(logits, truth):
    return (logits.argmax(axis=1) == truth).mean()


def test_a_rest_face_that_reads_as_sad_is_put_right():
    bias = np.zeros(LABELS)
    bias[SAD] = 3
    logits, truth = faces(bias=bias)
    others, truth_of_others = faces(seed=9, bias=bias)
    shift = learn(logits, truth, LABELS)
    assert shift[SAD] == min(shift)
    assert right(others + shift, truth_of_others) > right(others, truth_of_others) + 0.15


def test_a_face_that_is_read_well_is_left_nearly_alone():
    logits, truth = faces()
    assert np.abs(learn(logits * 3, truth, LABELS)).max() < 0.5  # less than twice the odds


@given(st.integers(1, 60), st.lists(st.floats(-6, 6), min_size=LABELS, max_size=LABELS))
def test_the_shift_is_bounded_and_moves_no_label_for_all(count, bias):
    logits, truth = faces(count, bias=np.array(bias))
    shift = learn(logits, truth, LABELS)
    assert np.isfinite(shift).all()
    assert np.abs(shift).max() <= 2 * MOST
    assert abs(shift.sum()) < 1e-9
