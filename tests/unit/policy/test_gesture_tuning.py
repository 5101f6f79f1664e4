"""Thresholds from a practice: within limits, above rest, below what the person does, and the recogniser uses them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gestures import ACTS, BEFORE_S, REST, frames, held, seen

from ferd.policy.gesture_rules import GESTURES, THRESHOLDS, GestureRules
from ferd.policy.gesture_tuning import LEAST_ATTEMPTS, Practice, tune, valid_thresholds
from ferd.policy.gestures import GestureRecogniser


@st.composite
def practices(draw):
    """A gesture, and strengths around its limits."""
    name = draw(st.sampled_from(sorted(THRESHOLDS)))
    limits = THRESHOLDS[name]
    strength = st.floats(0, 1.5).map(lambda share: limits.zero + share * (limits.most - limits.zero))
    peaks = draw(st.lists(strength, min_size=LEAST_ATTEMPTS, max_size=20))
    return name, Practice(peaks, draw(strength))


@given(practices())
def test_a_threshold_is_within_its_limits_above_rest_and_passed_by_most_attempts(practised):
    name, practice = practised
    result, limits = tune(name, practice), THRESHOLDS[name]
    if result.threshold is None:
        assert result.problem
        return
    assert limits.least <= result.threshold <= limits.most
    assert result.threshold > practice.unasked
    assert result.seen >= 0.8 * len(practice.peaks)


@given(practices(), st.randoms(use_true_random=False))
def test_the_order_of_the_attempts_does_not_matter(practised, random):
    name, practice = practised
    shuffled = random.sample(practice.peaks, len(practice.peaks))
    assert tune(name, practice) == tune(name, replace(practice, peaks=shuffled))


@given(practices(), st.floats(0, 1))
def test_less_movement_at_rest_never_costs_the_threshold_nor_raises_it(practised, share):
    name, practice = practised
    restless, zero = tune(name, practice).threshold, THRESHOLDS[name].zero
    quiet = tune(name, replace(practice, unasked=zero + share * (practice.unasked - zero))).threshold
    assert restless is None or (quiet is not None and quiet <= restless)


@given(practices(), st.floats(1, 3))
def test_stronger_movements_never_cost_the_threshold_nor_lower_it(practised, factor):
    name, practice = practised
    weak, zero = tune(name, practice).threshold, THRESHOLDS[name].zero
    strong = tune(name, replace(practice, peaks=[zero + factor * (peak - zero) for peak in practice.peaks])).threshold
    assert weak is None or (strong is not None and strong >= weak)


def test_two_attempts_of_ten_may_go_wrong():
    result = tune("tilt_left", Practice([0.0, 3.0, *[20.0] * 8], 2.0))
    assert (result.threshold, result.seen) == (16.0, 8)
    assert tune("tilt_left", Practice([0.0, 3.0, 4.0, *[20.0] * 7], 2.0)).threshold is None


def test_somebody_who_moves_as_much_at_rest_gets_no_threshold():
    assert "sit still" in tune("nod", Practice([9.0] * 10, 8.5)).problem
    assert "too small" in tune("nod", Practice([2.0] * 10, 0.5)).problem
    assert tune("smile", Practice([1.2] * 10, 1.0)).threshold == pytest.approx(1.16)


@pytest.mark.parametrize(
    ("name", "peaks", "unasked", "message"),
    [
        ("nod", [9.0] * 4, 0.0, "at least 5"),
        ("double_blink", [1.0] * 10, 0.0, "practise long_blink"),
        ("nod", [9.0] * 9 + [math.nan], 0.0, "must be a number"),
        ("nod", [9.0] * 10, math.inf, "must be a number"),
    ],
)
def test_what_cannot_be_tuned_is_said(name, peaks, unasked, message):
    with pytest.raises(ValueError, match=message):
        tune(name, Practice(peaks, unasked))


@pytest.mark.parametrize("value", [0.0, 99.0, True, "7", None, math.nan])
def test_a_saved_threshold_outside_its_limits_is_refused(value):
    with pytest.raises(ValueError, match="a number from 4 to 16"):
        valid_thresholds({"nod": value})
    with pytest.raises(ValueError, match="there is no threshold"):
        valid_thresholds({"wave": 1.0})
    assert valid_thresholds({"nod": 9}) == {"nod": 9.0}


def peak(name, fps=15, rules=None, **how):
    """The largest strength while the gesture is made, and before."""
    recogniser = GestureRecogniser(rules or GestureRules())
    at_rest, made = 0.0, 0.0
    for t, measures in frames(fps, ACTS[name], **how):
        recogniser.update(t, measures)
        value = recogniser.strengths.get(name, 0.0)
        if t < BEFORE_S:
            at_rest = max(at_rest, value)
        else:
            made = max(made, value)
    return at_rest, made


@pytest.mark.parametrize("name", sorted(THRESHOLDS))
@pytest.mark.parametrize("fps", [10, 15, 30])
def test_the_strength_of_a_gesture_is_the_largest_threshold_with_which_it_is_seen(name, fps):
    at_rest, made = peak(name, fps)
    limits = THRESHOLDS[name]
    assert at_rest < limits.least
    assert made >= limits.default
    for share, is_seen in ((0.9, True), (1.1, False)):
        threshold = limits.zero + share * (made - limits.zero)
        rules = GestureRules(use=GESTURES, thresholds={name: threshold})
        if fps >= 15 or is_seen:  # at 10, an eye that is neither open nor shut makes a wink longer
            assert (name in [found for _, found in seen(frames(fps, ACTS[name]), rules)]) is is_seen


def test_a_small_movement_is_seen_after_practice_and_only_then():
    """Somebody whose head tilts by 12 degrees: the default of 16 misses it, the practised threshold does not."""
    act = (1.0, lambda m, t: replace(m, roll=m.roll + 12 * held(t, 0, 1.0)))
    assert seen(frames(15, act), GestureRules()) == []
    recogniser, made = GestureRecogniser(GestureRules()), 0.0
    for t, measures in frames(15, act):
        recogniser.update(t, measures)
        made = max(made, recogniser.strengths.get("tilt_left", 0.0))
    threshold = tune("tilt_left", Practice([made] * 10, 1.0)).threshold
    found = seen(frames(15, act), GestureRules(thresholds={"tilt_left": threshold}))
    assert [name for _, name in found] == ["tilt_left"]


def test_what_is_not_seen_has_no_strength():
    recogniser = GestureRecogniser(GestureRules())
    recogniser.update(0.0, REST)
    assert "tilt_left" not in recogniser.strengths, "the rest is not known yet"
    recogniser.update(0.1, None)
    assert recogniser.strengths == {}
