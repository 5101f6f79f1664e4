"""Patterns as data: what is to be heard at any second."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.buzzer.patterns import BUILT_IN, DEFAULTS, KINDS, MAX_BEATS, Moment, Pattern, draw, hertz, pattern

BEATS = st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 5)).map(list), min_size=1, max_size=6)


def test_a_chirp_second_by_second():
    chirp = pattern("x", [[0.1, 0.9]])
    assert chirp.at(0.0) == Moment(True, None, 0.1)
    assert chirp.at(0.1) == Moment(False, None, 0.9)
    assert chirp.at(1.0) == Moment(False, None, None)
    assert chirp.at(1.05, period_s=0.0).on
    assert chirp.at(1.05, period_s=5.0) == Moment(False, None, pytest.approx(3.95))


def test_a_tone_belongs_to_its_beat():
    tune = pattern("x", [[0.1, 0.1, "A4"], [0.1, 0.1, 880], [0.1, 0.1]])
    assert [tune.at(t).tone for t in (0.05, 0.15, 0.25, 0.45)] == [440, None, 880, None]


@given(BEATS, st.floats(0, 100), st.one_of(st.none(), st.floats(0, 30)))
def test_nothing_changes_before_it_is_said_to(beats, elapsed, period):
    """The thread sleeps for left_s: within it every moment must be like the first."""
    shown = pattern("x", beats)
    moment = shown.at(elapsed, period)
    if moment.left_s is None:
        assert elapsed >= shown.length_s - 1e-9
        assert period is None
    else:
        assert 0 <= moment.left_s <= max(period or 0, shown.length_s)
        later = shown.at(elapsed + 0.99 * moment.left_s, period)
        assert later.on == moment.on or moment.left_s < 1e-9


@given(BEATS)
def test_a_pattern_begins_with_a_sound(beats):
    """The edge must come when the alert does."""
    assert pattern("x", beats).at(0.0).on


@pytest.mark.parametrize(
    ("beats", "says"),
    [
        ([], "1 to"),
        ([[0.1, 0.1]] * (MAX_BEATS + 1), "1 to"),
        ([[0.1]], "[seconds on, seconds off]"),
        ([["A5", 0.1]], "[seconds on, seconds off]"),
        ([[True, 0.1]], "[seconds on, seconds off]"),
        ([[0.1, 0.1, "A5", 3]], "[seconds on, seconds off]"),
        ([[0, 0.1]], "seconds on"),
        ([[math.nan, 0.1]], "seconds on"),
        ([[0.1, math.inf]], "seconds off"),
        ([[0.1, -1]], "seconds off"),
        ([[0.1, 0.1, "H5"]], "no note"),
        ([[0.1, 0.1, "A9"]], "out of range"),
        ([[0.1, 0.1, 20]], "out of range"),
        ([[0.1, 0.1, math.nan]], "out of range"),
        ([[0.1, 0.1, []]], "out of range"),
    ],
)
def test_bad_patterns_are_told(beats, says):
    with pytest.raises(ValueError, match="mine") as error:
        pattern("mine", beats)
    assert says in str(error.value)


def test_notes():
    assert hertz("A4") == 440
    assert hertz("C5") == pytest.approx(523.25, abs=0.01)
    assert hertz("C#5") == pytest.approx(hertz("Db5"))


def test_every_kind_has_its_own_pattern():
    names = [DEFAULTS[kind] for kind in KINDS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(BUILT_IN)


def test_blind_is_like_no_other():
    """Its first sound is at least twice as long as any other's, and ends, unlike "continuous"."""
    first = {name: shown.beats[0].on_s for name, shown in BUILT_IN.items() if name != "continuous"}
    blind = first.pop("blind")
    assert blind >= 2 * max(first.values())


def test_a_drawing():
    assert draw(Pattern("x", pattern("x", [[0.12, 0.12]]).beats)) == "▄▄··"
