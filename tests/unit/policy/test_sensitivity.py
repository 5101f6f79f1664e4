from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.sensitivity import HIGHEST, factor, scaled, tuned
from ferd.policy.smoothing import Smoother, SmoothingRules

RULES = SmoothingRules(time_constant_s=0.0, on_threshold=0.4, off_threshold=0.2, switch_ratio=3.0, min_hold_s=0.1)


@pytest.mark.parametrize(("sensitivity", "by"), [(0, 2.0), (25, 2**0.5), (50, 1.0), (100, 0.5)])
def test_each_half_of_the_scale_is_a_factor_of_two(sensitivity: float, by: float):
    assert factor(sensitivity) == pytest.approx(by)


def test_in_the_middle_the_rules_are_those_of_the_configuration():
    assert tuned(RULES, factor(50)) == RULES


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 100))
def test_thresholds_stay_thresholds(one: float, other: float, sensitivity: float):
    leave, enter = sorted([one, other])
    rules = tuned(SmoothingRules(0.0, enter, leave, 3.0, 0.1), factor(sensitivity))
    assert 0 <= rules.off_threshold <= rules.on_threshold <= max(HIGHEST, enter)


def test_a_threshold_that_was_configured_very_high_is_not_lowered_by_less_sensitivity():
    assert scaled(0.99, factor(0)) == 0.99


def test_a_face_that_is_no_more_than_likely_is_told_by_the_sensitive_only():
    def held(sensitivity: float) -> str | None:
        smoother = Smoother(["joy", "neutral", "fear"], tuned(RULES, factor(sensitivity)))
        return [smoother.update(t / 10, [0.3, 0.25, 0.45]) for t in range(10)][-1].label

    assert [held(0), held(50), held(100)] == [None, "fear", "fear"]


def test_rules_may_change_while_a_label_is_held():
    smoother = Smoother(["joy", "neutral"], RULES)
    for t in range(10):
        smoother.update(t / 10, [0.6, 0.4])
    smoother.rules = tuned(RULES, factor(0))
    assert smoother.update(1.0, [0.6, 0.4]).label == "joy", "above leave, as it was taken up before"
    for t in range(11, 18):
        held = smoother.update(t / 10, [0.35, 0.65])
    assert held.label is None


@given(st.lists(st.tuples(st.floats(0.02, 0.3), st.floats(0.0, 1.0)), min_size=1, max_size=60), st.floats(0, 2))
def test_the_told_confidence_is_never_below_leave(steps: list[tuple[float, float]], hold_s: float):
    """A label that goes away is held for hold_s more; what it was told with last stands."""
    smoother, t = Smoother(["joy", "neutral", "fear"], SmoothingRules(0.15, 0.4, 0.2, 3.0, hold_s)), 0.0
    for gap, joy in steps:
        t += gap
        held = smoother.update(t, [joy, (1 - joy) * 0.6, (1 - joy) * 0.4])
        assert held.confidence is None or 0.2 - 1e-9 <= held.confidence <= 1.0
