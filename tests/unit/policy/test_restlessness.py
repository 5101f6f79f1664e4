"""What moves all the time is restless, what moves once is not: in seconds, at any frame rate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.restlessness import MEMORY_S, Restlessness


def level(times, value):
    restless = Restlessness()
    for t in times:
        restless.update(t, (value(t),))
    return restless.level


def talking(t):
    """Three syllables a second."""
    return math.sin(2 * math.pi * 3 * t)


def test_what_stands_still_is_not_restless():
    assert level(np.arange(0, 10, 0.1).tolist(), lambda _: 3.0) == 0


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_it_is_the_same_at_all_frame_rates(fps):
    assert level([k / fps for k in range(12 * fps)], talking) == pytest.approx(1.2, rel=0.15)


def test_a_single_change_is_a_tenth_of_talking_and_is_forgotten():
    times = [k / 30 for k in range(30 * 30)]
    once = level([t for t in times if t < 10.5], lambda t: 2.0 * (t > 10))
    assert 0 < once < 0.12 * level(times, talking)
    assert level([t for t in times if t < 20], lambda t: 2.0 * (t > 10)) < 0.05 * once * math.exp(MEMORY_S / 2)


@given(
    steps=st.lists(st.tuples(st.floats(0, 3), st.floats(-5, 5), st.floats(-5, 5)), max_size=40),
)
def test_it_is_never_negative_nor_beyond_what_the_values_span(steps):
    restless, t = Restlessness(), 0.0
    for gap, one, other in steps:
        t += gap
        restless.update(t, (one, other))
        assert 0 <= restless.level <= 10


def test_a_frame_of_the_same_moment_or_an_earlier_one_is_ignored():
    restless = Restlessness()
    for k in range(20):
        restless.update(k / 10, (k % 2,))
    before = restless.level
    restless.update(1.9, (50.0,))
    restless.update(0.5, (50.0,))
    assert restless.level == before


def test_one_frame_after_a_long_gap_counts_for_half_a_second():
    restless = Restlessness()
    restless.update(0.0, (0.0,))
    restless.update(100.0, (1000.0,))
    assert restless.level == pytest.approx(2.0 * -math.expm1(-0.5 / MEMORY_S))
