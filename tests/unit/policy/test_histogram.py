"""Quantiles of the past, weighted by seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.histogram import ForgettingHistogram


@given(st.floats(-5, 15), st.floats(0.01, 2.0))
def test_one_value_is_every_quantile_within_a_bin(value, length):
    past = ForgettingHistogram(0.0, 10.0, 20, 300.0)
    for _ in range(10):
        past.add(length, value)
    for share in (0.1, 0.5, 0.9):
        assert past.quantile(share) == pytest.approx(min(max(value, 0.0), 10.0), abs=0.5)


def test_old_seconds_count_less():
    past = ForgettingHistogram(0.0, 1.0, 10, 60.0)
    for _ in range(600):
        past.add(1.0, 0.15)
    assert past.total_s == pytest.approx(60.0, rel=0.05)
    for _ in range(60):
        past.add(1.0, 0.85)
    assert past.quantile(0.5) > 0.8


def test_hours_do_not_overflow():
    past = ForgettingHistogram(0.0, 1.0, 10, 1.0)
    for _ in range(5000):
        past.add(10.0, 0.5)
    assert past.quantile(0.5) == pytest.approx(0.55, abs=0.05)
    assert 0 < past.total_s < 11
