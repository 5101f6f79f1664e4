"""A label replaces the held one after enough evidence, in seconds, at any frame rate."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.policy.evidence import LIMIT, Evidence

NEEDED = 0.4
REQUIRED = math.log(1.5)


def after(leads, fps, needed=NEEDED):
    """Seconds until label 1 wins, whose lead over the held label 0 is `leads(t)`; None when it never does in 20 s."""
    evidence = Evidence(2)
    for k in range(1, int(20 * fps)):
        if evidence.update((0.0, leads(k / fps)), 0, REQUIRED, 1 / fps, needed) is not None:
            return k / fps
    return None


@pytest.mark.parametrize("fps", [5, 10, 15, 30])
def test_a_clear_lead_wins_after_the_time_that_is_needed(fps):
    assert after(lambda _: 9.0, fps) == pytest.approx(NEEDED, abs=1 / fps + 1e-6)


@pytest.mark.parametrize("fps", [5, 10, 15, 30])
def test_a_weaker_lead_takes_longer_in_proportion(fps):
    half = REQUIRED + LIMIT / 2
    assert after(lambda _: half, fps) == pytest.approx(2 * NEEDED, abs=1 / fps + 1e-6)
    assert after(lambda _: REQUIRED - 0.01, fps) is None


@pytest.mark.parametrize("fps", [10, 15, 30])
@pytest.mark.parametrize("syllable", [0.13, 0.21, 0.29])
def test_syllables_with_as_long_pauses_never_win(fps, syllable):
    """Not at 5 frames a second: there, frames fall into syllables alone for seconds (aliasing)."""
    assert after(lambda t: 9.0 if t % (2 * syllable) < syllable else -9.0, fps) is None


@pytest.mark.parametrize("gap", [0.4, 1.0, 30.0])
def test_a_single_frame_never_decides(gap):
    evidence = Evidence(2)
    evidence.update((0.0, -9.0), 0, REQUIRED, gap, NEEDED)
    assert evidence.update((0.0, 9.0), 0, REQUIRED, gap, NEEDED) is None
    assert evidence.update((0.0, 9.0), 0, REQUIRED, gap, NEEDED) is None
    assert evidence.update((0.0, 9.0), 0, REQUIRED, gap, NEEDED) == 1


def test_without_a_time_each_frame_decides_by_itself():
    evidence = Evidence(3)
    assert evidence.update((0.0, 1.0, 0.5), 0, REQUIRED, 0.1, 0.0) == 1
    assert evidence.update((0.0, 0.1, 0.2), 0, REQUIRED, 0.1, 0.0) is None


def test_of_two_labels_with_enough_evidence_the_one_that_leads_now_wins():
    evidence = Evidence(3)
    evidence.update((0.0, 9.0, 9.0), 0, REQUIRED, 0.2, NEEDED)
    assert evidence.update((0.0, 8.0, 9.0), 0, REQUIRED, 0.2, NEEDED) == 2


def test_after_a_reset_all_begins_again():
    evidence = Evidence(2)
    evidence.update((0.0, 9.0), 0, REQUIRED, 0.2, NEEDED)
    evidence.reset()
    assert evidence.shares == (0.0, 0.0)


@given(
    frames=st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0), st.floats(-9, 0)), min_size=1, max_size=50),
    passed=st.floats(0.01, 2),
    needed=st.floats(0.05, 3),
)
def test_shares_stay_between_0_and_1_and_the_held_label_never_wins(frames, passed, needed):
    evidence = Evidence(3)
    for frame in frames:
        assert evidence.update(frame, 1, REQUIRED, passed, needed) != 1
        assert all(0 <= share <= 1 for share in evidence.shares)


@given(seed=st.integers(0, 9999), fps=st.sampled_from([10, 15, 30]))
def test_lost_frames_change_the_moment_by_no_more_than_the_gap(seed, fps):
    """A lead that holds is found at the same time, whichever frames are lost."""
    rng = np.random.default_rng(seed)
    times = [k / fps for k in range(1, 5 * fps) if rng.random() > 0.2]
    evidence, gap = Evidence(2), max(b - a for a, b in itertools.pairwise([0.0, *times]))
    won = next(
        t for s, t in itertools.pairwise([0.0, *times]) if evidence.update((0.0, 9.0), 0, REQUIRED, t - s, NEEDED) == 1
    )
    assert NEEDED - 1e-6 <= won <= NEEDED + 2 * gap
