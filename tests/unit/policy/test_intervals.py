"""Frames become stretches of time; sums over a sliding window are exact."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.intervals import REACH_S, IntervalBuilder, Window

steps = st.lists(st.floats(0.001, 3.0), min_size=1, max_size=40)


def pieces_of(times, states):
    made = IntervalBuilder()
    return [piece for t, state in zip(times, states, strict=True) for piece in made.add(t, state)]


@given(steps=steps)
def test_every_second_is_told_once(steps):
    times = list(itertools.accumulate(steps))
    pieces = pieces_of(times, range(len(times)))
    for one, next_one in itertools.pairwise(pieces):
        assert one.end == next_one.start
    assert sum(piece.length for piece in pieces) == pytest.approx(times[-1] - times[0])


@given(steps=steps)
def test_no_frame_speaks_further_than_its_reach(steps):
    times = list(itertools.accumulate(steps))
    for piece in pieces_of(times, times):
        if piece.state is not None:
            assert abs(piece.start - piece.state) <= REACH_S + 1e-9
            assert abs(piece.end - piece.state) <= REACH_S + 1e-9


def test_the_border_lies_in_the_middle():
    assert [(p.start, p.end, p.state) for p in pieces_of([1.0, 1.2], "ab")] == [
        (1.0, pytest.approx(1.1), "a"),
        (pytest.approx(1.1), 1.2, "b"),
    ]


def test_time_that_stands_still_or_jumps_back_adds_nothing():
    assert pieces_of([5.0, 5.0, 3.0], "abc") == []


@given(steps=steps, kinds=st.lists(st.sampled_from("abc"), min_size=40, max_size=40), length=st.floats(0.5, 20))
def test_a_window_is_what_one_counts_by_hand(steps, kinds, length):
    window, pieces, t = Window(length), [], 0.0
    for step, kind in zip(steps, kinds, strict=False):
        window.add(t, t + step, kind)
        pieces.append((t, t + step, kind))
        t += step
        for wanted in "abc":
            by_hand = sum(max(0.0, end - max(start, t - length)) for start, end, kind in pieces if kind == wanted)
            assert window.seconds(wanted) == pytest.approx(by_hand, abs=1e-6)
