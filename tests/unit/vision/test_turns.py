"""Whose turn it is: one in every frame, the others within a budget of seconds."""

import pytest

from ferd.vision.turns import BURST_S, Turns


def served(turns, numbers, first, seconds, fps):
    """How often each had a turn, and the most turns of one frame."""
    count, most = dict.fromkeys(numbers, 0), 0
    for frame in range(round(seconds * fps)):
        chosen = turns(frame / fps, numbers, first)
        most = max(most, len(chosen))
        for number in chosen:
            count[number] += 1
    return count, most


@pytest.mark.parametrize("fps", [5, 10, 15, 30])
def test_the_first_has_every_turn_and_the_others_an_equal_share(fps):
    count, most = served(Turns(36), range(10), 3, 10, fps)
    assert count.pop(3) == 10 * fps
    assert set(count.values()) <= ({40, 41} if fps >= 10 else {38, 39, 40, 41})
    assert most <= 36 / fps + 2 or most <= 1 + 36 * BURST_S


def test_few_others_have_every_turn():
    count, _most = served(Turns(36), (1, 2, 3), 1, 10, 15)
    assert set(count.values()) == {150}


def test_without_a_first_all_share():
    count, _most = served(Turns(36), range(9), None, 10, 30)
    assert set(count.values()) <= {40, 41}


def test_a_newcomer_comes_before_the_others():
    turns = Turns(36)
    served(turns, range(10), 0, 5, 30)
    assert 99 in {*turns(5.0, [*range(10), 99], 0), *turns(5.03, [*range(10), 99], 0)}


def test_a_pause_makes_no_expensive_frame():
    turns = Turns(36)
    served(turns, range(30), 0, 5, 30)
    assert len(turns(65.0, range(30), 0)) <= 1 + 36 * BURST_S


def test_a_time_that_starts_again_does_not_stop_the_turns():
    turns = Turns(36)
    served(turns, range(10), 0, 5, 15)
    count, _most = served(turns, range(10), 0, 10, 15)
    assert min(count.values()) >= 38
