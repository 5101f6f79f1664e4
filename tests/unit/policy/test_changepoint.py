"""What a face shows by all it has shown since it changed."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.changepoint import ChangepointFilter


def logs(*scores):
    return tuple(math.log(score / sum(scores)) for score in scores)


def after(frames, fps=10, looks=1.0):
    """The belief after each frame."""
    changes = ChangepointFilter()
    return [changes.update(seen, 1 / fps, looks) for seen in frames]


scores = st.lists(st.floats(0.001, 1), min_size=3, max_size=3).map(lambda v: logs(*v))


@given(st.lists(scores, min_size=1, max_size=40), st.floats(0, 5), st.floats(0.001, 1))
def test_beliefs_are_probabilities(frames, passed, looks):
    changes = ChangepointFilter()
    for seen in frames:
        belief = changes.update(seen, passed, looks)
        assert sum(belief) == pytest.approx(1)
        assert all(0 <= value <= 1 for value in belief)


@given(scores, st.integers(1, 200))
def test_a_face_that_does_not_change_keeps_its_own_probabilities(seen, count):
    assert after([seen] * count)[-1] == pytest.approx([math.exp(log) for log in seen], abs=1e-6)


@given(st.lists(scores, min_size=2, max_size=20), st.permutations(range(3)))
def test_no_label_is_special(frames, order):
    straight = after(frames)[-1]
    turned = after([tuple(seen[i] for i in order) for seen in frames])[-1]
    assert turned == pytest.approx([straight[i] for i in order])


def test_what_was_seen_before_the_change_says_nothing_about_what_is_shown_now():
    """A minute of a clear smile, then half a second of a face that is hardly more sad than glad."""
    smile, torn = logs(0.9, 0.05, 0.05), logs(0.4, 0.45, 0.15)
    belief = after([smile] * 600 + [torn] * 5)[-1]
    assert belief == pytest.approx([math.exp(log) for log in torn], abs=0.05)


def test_one_odd_frame_is_a_blink():
    smile, odd = logs(0.9, 0.05, 0.05), logs(0.1, 0.85, 0.05)
    beliefs = after([smile] * 30 + [odd] + [smile] * 30)
    assert min(belief[0] for belief in beliefs) > 0.5


def test_a_torn_face_is_settled_by_the_mean_of_what_was_seen():
    """Ahead by turns, the first by a little more: after a while only that one is believed."""
    ahead, behind = logs(0.47, 0.38, 0.15), logs(0.39, 0.44, 0.17)
    beliefs = after([ahead, behind] * 50)
    assert all(belief[0] > belief[1] for belief in beliefs[4:])


@pytest.mark.parametrize(("seconds", "late_s"), [(1, 0.6), (3, 1.3), (10, 2.5)])
def test_a_slow_change_is_followed_though_no_frame_differs_much_from_the_one_before(seconds, late_s):
    ramp = [0.9 - 0.8 * min(max(i / 10 - 30, 0) / seconds, 1) for i in range(300 + 10 * seconds + 50)]
    beliefs = after([logs(first, 1 - first, 0.05) for first in ramp])
    crossed, told = (next(i for i, (a, b) in enumerate(pairs) if b > a) for pairs in (
        [(first, 1 - first) for first in ramp], [(first, second) for first, second, _ in beliefs]))  # fmt: skip
    assert crossed <= told <= crossed + 10 * late_s


def test_frames_that_are_less_of_a_look_count_for_less():
    """Eight quarters of a look at a new face say about as much as two whole ones; two quarters say less."""
    smile, sad = logs(0.9, 0.05, 0.05), logs(0.05, 0.9, 0.05)
    whole = after([smile] * 30 + [sad] * 2)[-1]
    parts = after([smile] * 120 + [sad] * 8, fps=40, looks=0.25)[-1]
    assert abs(parts[1] - whole[1]) < 0.4
    quarter = after([smile] * 120 + [sad] * 2, fps=40, looks=0.25)[-1]
    assert quarter[1] < whole[1]


@given(st.lists(scores, min_size=30, max_size=30))
def test_more_of_the_same_makes_surer(noise):
    """Whatever came before, a label that stays ahead is believed more with each second."""
    clear = logs(0.8, 0.1, 0.1)
    beliefs = after(noise + [clear] * 60)
    seconds = [belief[0] for belief in beliefs[29::10]]
    assert seconds[-1] > 0.6
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(seconds[2:]))
