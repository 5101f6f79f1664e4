"""Alert rules over time: how long, how often, any and all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.alert_engine import AlertEngine
from ferd.policy.alert_rules import AlertRule, Condition, Rule
from ferd.types import Box, Face, FaceReading, Reading, Track

SAD = Condition(label="sadness", above=0.6)


def reading(t, sadness=None, anger=0.0):
    """One face with these smoothed probabilities; nobody when sadness is None."""
    if sadness is None:
        return Reading(t)
    smooth = {"sadness": sadness, "anger": anger, "neutral": 1 - sadness}
    track = Track(1, Face(Box(0, 0, 80, 80)), 0.0, t)
    return Reading(t, (FaceReading(track, smooth, smooth, None, None, 0.0),), 1)


def held(rule, scene, fps=10.0, seconds=30.0, factor=1.0):
    """[(begin, end)] of the alert; end is None while it holds."""
    watch, spans, on = AlertRule(rule), [], False
    for i in range(int(seconds * fps)):
        alert = watch.update(scene(i / fps), factor)
        if bool(alert) != on:
            on = not on
            spans = [*spans, [i / fps, None]] if on else [*spans[:-1], [spans[-1][0], i / fps]]
    return spans


def between(begin, end, value=0.8):
    return lambda t: reading(t, value if begin <= t < end else 0.1)


@given(fps=st.sampled_from([3, 10, 30]), for_s=st.sampled_from([0.5, 2.0, 5.0]))
def test_it_begins_after_for_s_whatever_the_frame_rate(fps, for_s):
    ((begin, _),) = held(Rule("x", [SAD], for_s=for_s), between(4, 20), fps, 18)
    assert 4 + for_s - 0.51 / fps <= begin <= 4 + for_s + 1.51 / fps


def test_too_short_is_nothing():
    assert held(Rule("x", [SAD], for_s=3.0), between(4, 6.5)) == []


def test_a_slip_does_not_start_the_time_anew():
    spans = held(Rule("x", [SAD], for_s=5.0), lambda t: reading(t, 0.1 if 6 <= t < 6.2 else 0.8 if t >= 4 else 0.1))
    assert spans[0][0] == pytest.approx(9, abs=0.16)


def test_it_ends_soon_and_stays_away_for_the_cooldown():
    def scene(t):
        return reading(t, 0.8 if 2 <= t < 5 or 6 <= t < 30 else 0.1)

    (first, second) = held(Rule("x", [SAD], for_s=1.0, cooldown_s=10.0), scene)
    assert first == [pytest.approx(3, abs=0.16), pytest.approx(5.4, abs=0.16)]
    assert second[0] == pytest.approx(15.4, abs=0.2)


def test_below_holds_for_a_face_only():
    calm = Rule("x", [Condition(label="sadness", below=0.3)], for_s=1.0)
    assert held(calm, lambda t: reading(t, 0.1))
    assert held(calm, reading) == []


def test_faces_absent_and_present():
    def scene(t):
        return reading(t, 0.1 if 5 <= t < 10 else None)

    assert [round(s[0]) for s in held(Rule("x", [Condition(faces="absent")], for_s=2.0), scene)] == [2, 12]
    assert [round(s[0]) for s in held(Rule("x", [Condition(faces="present")], for_s=2.0), scene)] == [7]


@pytest.mark.parametrize(("combine", "expected"), [(all, [7]), (any, [4])])
def test_all_and_any(combine, expected):
    def scene(t):
        return reading(t, 0.8 if 3 <= t < 10 else 0.1, 0.8 if t >= 6 else 0.1)

    rule = Rule("x", [SAD, Condition(label="anger", above=0.5)], combine, for_s=1.0)
    assert [round(s[0]) for s in held(rule, scene)] == expected


def test_the_reason_is_what_held():
    rule = Rule("x", [SAD, Condition(label="anger", above=0.5)], any, for_s=0.5)
    watch = AlertRule(rule)
    alerts = [watch.update(reading(i / 10, 0.1, 0.9)) for i in range(20)]
    assert alerts[-1].reason == "anger"
    absent = AlertRule(Rule("y", [Condition(faces="absent")], for_s=0.5))
    assert [absent.update(reading(i / 10)) for i in range(20)][-1].reason == "faces_absent"


def test_sensitivity_moves_above_and_never_beyond_reach():
    spans = held(Rule("x", [SAD], for_s=1.0), between(2, 20, 0.8), factor=2.0)
    assert spans == []
    assert held(Rule("x", [SAD], for_s=1.0), between(2, 20, 0.97), factor=2.0)
    assert held(Rule("x", [SAD], for_s=1.0), between(2, 20, 0.4), factor=0.5)


def test_the_worst_comes_first():
    rules = [Rule("a", [SAD]), Rule("b", [SAD], level="alarm"), Rule("c", [SAD], level="warning")]
    watch = AlertEngine(None, rules)
    told = [watch(reading(i / 10, 0.9)) for i in range(10)][-1]
    assert [alert.name for alert in told.alerts] == ["b", "c", "a"]
    assert told.fatigue is None


def test_a_label_that_is_not_there_holds_never():
    assert held(Rule("x", [Condition(label="phone", below=0.5)]), lambda t: reading(t, 0.1)) == []
