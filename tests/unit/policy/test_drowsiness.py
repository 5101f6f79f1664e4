"""The fatigue policy: every level in seconds, at any frame rate, with lost, unsure and wrongly read frames."""

import itertools
import random

import pytest
from drivers import CROPS, LOSSY, PERFECT, Act, blinks, changes, risen, times, watch
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.policy.awareness import QUICKEST, SLOWEST, recovered
from ferd.policy.baseline import MOST, Baseline
from ferd.policy.drowsiness import HOLD_S, DrowsinessLimits, DrowsinessPolicy
from ferd.types import EyeMouthState

RATES = (5, 10, 15, 30)
rates = st.sampled_from(RATES)


def run(eyes, fps=10.0, seconds=20.0, *, start=0.0, mouth=0.02, limits=None):
    """The policy over frames without jitter; `eyes(t)` gives how closed they are read."""
    policy = DrowsinessPolicy(limits or DrowsinessLimits())
    frames = [start + i / fps for i in range(int(seconds * fps))]
    return [(t, policy.update(t, EyeMouthState(eyes(t), mouth))) for t in frames]


def shut_from(begin, end=1e9):
    return lambda t: 0.98 if begin <= t < end else 0.03


# --- eyes shut ---


@pytest.mark.parametrize("fps", [3, *RATES])
def test_each_level_comes_in_its_time_and_at_most_two_frames_later(fps):
    told = {level: t for t, level, _ in risen(run(shut_from(7.003), fps))}
    for level, after in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        assert 7.003 + after - 0.5 / fps - 0.001 <= told[level] <= 7.003 + after + 1.5 / fps + 0.001


@settings(max_examples=60, deadline=None)
@given(fps=rates, begin=st.floats(3, 4), length=st.floats(1.5, 6), seed=st.integers(0, 10_000))
def test_a_microsleep_is_told_at_any_rate_with_a_tenth_of_the_frames_lost(fps, begin, length, seed):
    told = watch([Act(begin, begin + length, "shut")], begin + length + 2, fps, LOSSY, seed)
    assert risen(told)
    assert risen(told)[0][2] == "eyes_closed"


@settings(max_examples=60, deadline=None)
@given(fps=rates, at=st.integers(0, 200), begin=st.floats(3, 4), kind=st.sampled_from([0.02, 0.7, None]))
def test_one_wrong_frame_does_not_start_the_clock_anew(fps, at, begin, kind):
    """Wherever it falls: the notice is late by no more than the spell needs to be sure again."""
    wrong = begin + (at / 200) * 1.5

    def eyes(t):
        return kind if abs(t - wrong) <= 0.5 / fps else shut_from(begin)(t)

    told = risen(run(eyes, fps, 8))
    late = 0.0 if fps >= 10 else 0.35  # at 5 frames a second the wrong frame is a fifth of the first second
    assert told[0][0] <= begin + 1.0 + 2.5 / fps + late
    assert {level: t for t, level, _ in told}["alarm"] <= begin + 3.0 + 2.5 / fps


@settings(max_examples=40, deadline=None)
@given(fps=rates, seed=st.integers(0, 10_000), per_minute=st.floats(10, 20))
def test_blinks_are_never_told(fps, seed, per_minute):
    told = watch(blinks(120, random.Random(seed), per_minute), 120, fps, PERFECT, seed)
    assert changes(told) == []


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.floats(1.8, 8))
def test_the_frame_rate_does_not_matter(seed, length):
    """Jitter, lost frames: what is told at 10 and 30 frames a second is the same, but for a few frames."""
    act = [Act(4, 4 + length, "shut")]
    seen = [{level: t for t, level, _ in risen(watch(act, 20, fps, LOSSY, seed))} for fps in (10, 30)]
    for level, after in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        if length > after + 0.35:
            assert abs(seen[0][level] - seen[1][level]) <= 0.45


@pytest.mark.parametrize("fps", RATES)
def test_open_eyes_end_an_alarm_soon_but_not_at_once(fps):
    told = changes(run(shut_from(5, 10), fps, 20))
    over = next(t for t, level, _ in told if level == "none")
    assert 10.8 <= over <= 11.6


def test_a_level_stays_long_enough_to_be_heard():
    told = changes(run(shut_from(5, 6.2), 30, 12))
    (began, level, _), (over, _, _) = told
    assert level == "notice"
    assert over - began >= HOLD_S - 1e-6


def test_a_short_look_up_does_not_end_an_alarm():
    def eyes(t):
        return 0.03 if t < 5 or 9 <= t < 9.5 or t >= 13 else 0.98

    levels = [level for _, level, _ in changes(run(eyes, 10, 20))]
    assert levels == ["notice", "warning", "alarm", "none"]


def test_a_microsleep_before_frames_that_never_came_is_told():
    """The last frame with shut eyes and the first with open ones lie far apart: its end and waking up come at once."""
    policy = DrowsinessPolicy(DrowsinessLimits())
    frames = [(0.0, 0.03), (0.2, 0.98), (0.4, 0.98), (0.6, 0.98), (0.8, 0.98), (1.0, 0.98), (1.8, 0.03), (2.0, 0.03)]
    assert "notice" in [policy.update(t, EyeMouthState(eyes, 0.02)).level for t, eyes in frames]


def test_eyes_that_vanish_while_shut_are_no_reason_to_calm_down():
    """The head sinks out of sight: the alarm goes on until it is told that nobody is seen."""
    policy, told = DrowsinessPolicy(DrowsinessLimits()), []
    for i in range(400):
        t = i / 10
        told.append((t, policy.update(t, None if t >= 9 else EyeMouthState(shut_from(5)(t), 0.02))))
    assert [(level, reason) for _, level, reason in changes(told)] == [
        ("notice", "eyes_closed"), ("warning", "eyes_closed"), ("alarm", "eyes_closed"), ("notice", "not_seen"),
    ]  # fmt: skip
    assert changes(told)[-1][0] == pytest.approx(17, abs=0.5)


def test_who_was_told_and_not_seen_awake_since_has_not_woken_up():
    """Shut for 2 s, a second unseen, shut again: the alarm comes after another second."""
    told = run(lambda t: None if 7 <= t < 8 else shut_from(5)(t), 10, 15)
    assert {level: t for t, level, _ in risen(told)}["alarm"] == pytest.approx(9.1, abs=0.25)


def test_blinks_with_glances_between_do_not_add_up():
    told = run(lambda t: None if t % 1.2 < 0.9 else 0.98, 10, 60)
    assert {fatigue.reason for _, fatigue in told} <= {None, "perclos"}


def test_hidden_eyes_are_never_shut():
    told = run(lambda t: 0.98 if t < 0.5 else None, 10, 60)
    assert {fatigue.reason for _, fatigue in told} == {None, "eyes_not_seen"}
    assert min(fatigue.awareness for _, fatigue in told) > 0.8


def test_shut_eyes_count_for_a_third_while_yawning():
    told = run(shut_from(5, 9), 10, 15, mouth=0.97)
    assert [(round(t), level) for t, level, _ in risen(told)] == [(8, "notice")]


def test_half_closed_eyes_are_not_shut():
    assert risen(run(lambda _: 0.7, 10, 100)) == []


# --- PERCLOS ---


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_perclos_is_the_share_of_time_with_shut_eyes(fps, share):
    period = 2.037  # so that it does not beat with the frames
    told = run(lambda t: 0.98 if t % period < period * share else 0.03, fps, 90)
    assert told[-1][1].perclos == pytest.approx(share, abs=0.03)
    expected = "none" if share < 0.15 else "notice" if share < 0.25 else "warning"
    assert told[-1][1].level == expected


def test_perclos_is_not_told_from_too_little():
    told = run(lambda t: 0.98 if t % 2 < 0.6 else 0.03 if t % 2 < 0.7 else None, 10, 90)
    assert all(fatigue.perclos is None for _, fatigue in told)
    assert told[-1][1].observed == pytest.approx(0.35, abs=0.03)


@pytest.mark.parametrize(("share", "observed", "level"), [
    (0.18, 1.0, "notice"), (0.18, 0.55, "none"), (0.25, 0.55, "notice"), (0.3, 1.0, "warning"), (0.3, 0.55, "notice"),
    (0.4, 0.55, "warning"),
])  # fmt: skip
def test_the_less_was_observed_the_higher_perclos_must_be(share, observed, level):
    told = run(lambda t: None if t % 2 >= 2 * observed else 0.98 if t % 2 < 2 * observed * share else 0.03, 50, 90)
    assert told[-1][1].perclos == pytest.approx(share, abs=0.02)
    assert told[-1][1].level == level


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.02, 0.45), observed=st.floats(0.55, 1.0))
def test_awareness_and_level_of_perclos_agree(share, observed):
    told = run(lambda t: None if t % 2 >= 2 * observed else 0.98 if t % 2 < 2 * observed * share else 0.03, 20, 70)
    fatigue = told[-1][1]
    low = fatigue.awareness < 1 - 1.0 / 3.0
    assert low <= (fatigue.level != "none")


def test_sensitivity_moves_perclos_and_not_the_seconds():
    policy = DrowsinessPolicy(DrowsinessLimits())
    policy.factor = 2.0
    told = [(i / 10, policy.update(i / 10, EyeMouthState(0.98 if i % 20 < 4 else 0.03, 0.02))) for i in range(900)]
    assert risen(told) == []
    told = [(i / 10, policy.update(i / 10, EyeMouthState(0.98, 0.02))) for i in range(900, 920)]
    assert risen(told)[0][0] == pytest.approx(91.0, abs=0.15)


def test_perclos_lowers_awareness_without_a_single_long_closure():
    told = run(lambda t: 0.98 if t % 2 < 0.5 else 0.03, 10, 90)
    assert told[-1][1].awareness == pytest.approx(0.5, abs=0.1)


# --- blinks, yawns, the longest closure ---


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_blinks_are_counted_and_measured(fps):
    told = run(lambda t: 0.98 if t % 4 < 0.25 else 0.03, fps, 100)[-1][1]
    assert told.blinks == pytest.approx(15, abs=1)
    assert told.blink_s == pytest.approx(0.25, abs=0.06)


def test_the_longest_closure_counts_while_it_lasts():
    told = run(shut_from(5, 7.5), 10, 70)
    assert told[70][1].longest_s == pytest.approx(2.0, abs=0.1)
    assert told[200][1].longest_s == pytest.approx(2.5, abs=0.1)
    assert told[-1][1].longest_s == 0.0  # a minute later


@pytest.mark.parametrize(("seconds", "happy", "yawns"), [(3.0, False, 1), (1.0, False, 0), (3.0, True, 0)])
def test_a_yawn_is_a_mouth_wide_open_for_two_seconds_and_no_laugh(seconds, happy, yawns):
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(200):
        wide = 5 <= i / 10 < 5 + seconds
        told = policy.update(i / 10, EyeMouthState(0.03, 0.95 if wide else 0.1), happy and wide)
    assert told.yawns == yawns


def test_a_yawn_is_forgotten_after_five_minutes():
    policy = DrowsinessPolicy(DrowsinessLimits())
    counts = [
        policy.update(i / 5, EyeMouthState(0.03, 0.95 if 10 <= i / 5 < 14 else 0.1)).yawns for i in range(5 * 330)
    ]
    assert counts[5 * 20] == counts[5 * 300] == 1
    assert counts[-1] == 0


# --- seeing and not seeing ---


def test_nobody_seen_is_told_after_a_while_and_not_for_ever():
    policy = DrowsinessPolicy(DrowsinessLimits())
    told = changes([(i / 2, policy.update(i / 2, None)) for i in range(2000)])
    assert [(round(t), level, reason) for t, level, reason in told] == [(10, "notice", "not_seen"), (300, "none", None)]


def test_who_comes_after_everybody_had_left_begins_anew():
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(600):
        policy.update(i / 10, EyeMouthState(0.98 if i % 20 < 8 else 0.03, 0.02))
    assert policy.update(60.0, None).perclos > 0.3
    for i in range(400):
        policy.update(61.0 + i, None)
    told = policy.update(470.0, EyeMouthState(0.03, 0.02))
    assert (told.perclos, told.observed, told.level) == (None, 0.0, "none")


def test_not_to_be_seen_need_not_be_told():
    told = run(lambda _: None, 10, 60, limits=DrowsinessLimits(unseen_after_s=0.0))
    assert risen(told) == []


def test_a_gap_of_an_hour_in_the_source_is_no_evidence():
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(100):
        policy.update(i / 10, EyeMouthState(0.98 if i >= 95 else 0.03, 0.02))
    told = policy.update(3610.0, EyeMouthState(0.98, 0.02))
    assert told.level == "none"


# --- one person and another ---


def test_narrow_eyes_are_learned():
    """They read as 0.5 when open. 0.88 is shut for most people, but only half shut for these."""
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(1200):
        policy.update(i / 10, EyeMouthState(0.5, 0.02))
    told = [(120 + i / 10, policy.update(120 + i / 10, EyeMouthState(0.88, 0.02))) for i in range(50)]
    assert risen(told) == []
    told = [(125 + i / 10, policy.update(125 + i / 10, EyeMouthState(0.97, 0.02))) for i in range(50)]
    assert [level for _, level, _ in risen(told)] == ["notice", "warning", "alarm"]


def test_shut_eyes_are_never_learned_to_be_open():
    baseline = Baseline()
    for _ in range(6000):
        baseline.add(0.1, 0.99)
    assert baseline.value == MOST
    assert baseline.degree(0.99) > 0.95


@given(fps=st.sampled_from([3, 10, 30]), closed=st.floats(0, 0.5))
def test_what_is_learned_does_not_depend_on_the_frame_rate(fps, closed):
    baseline = Baseline()
    for _ in range(60 * fps):
        baseline.add(1 / fps, closed)
    assert baseline.value == pytest.approx(closed, abs=0.05)


# --- awareness ---


@given(start=st.floats(0, 1), parts=st.lists(st.floats(0.001, 0.2), min_size=1, max_size=20))
def test_recovery_is_exact_however_finely_time_is_cut(start, parts):
    value = start
    for part in parts:
        value = recovered(value, part)
    assert value == pytest.approx(recovered(start, sum(parts)))


def test_recovery_is_quicker_when_nearly_awake():
    slow, quick = recovered(0.0, 0.01), recovered(0.9, 0.01) - 0.9
    assert slow == pytest.approx(SLOWEST * 0.01, rel=0.1)
    assert quick == pytest.approx((SLOWEST + 0.9 * (QUICKEST - SLOWEST)) * 0.01, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(
    fps=st.sampled_from([3, 10, 30]),
    seed=st.integers(0, 10_000),
    eyes=st.lists(st.sampled_from([0.02, 0.7, 0.97, None, "away"]), min_size=5, max_size=60),
)
def test_whatever_comes_the_values_stay_in_their_ranges(fps, seed, eyes):
    policy, rng = DrowsinessPolicy(DrowsinessLimits()), random.Random(seed)
    for t in times(len(eyes), fps, rng, CROPS):
        value = eyes[int(t) % len(eyes)]
        told = policy.update(t, None if value == "away" else EyeMouthState(value, rng.choice([None, 0.1, 0.9])))
        assert 0 <= told.awareness <= 1
        assert told.perclos is None or 0 <= told.perclos <= 1 + 1e-9
        assert 0 <= told.observed <= 1
        assert (told.level == "none") == (told.reason is None)


@given(shift=st.floats(0, 1e6))
def test_when_a_source_begins_does_not_matter(shift):
    one = run(shut_from(5, 8), 10, 12)
    other = run(shut_from(5 + shift, 8 + shift), 10, 12, start=shift)
    levels = [[fatigue.level for _, fatigue in told] for told in (one, other)]
    assert sum(a != b for a, b in zip(*levels, strict=True)) <= 3  # rounding moves a border by a frame


def test_levels_rise_in_order():
    ranks = [level for _, level, _ in risen(run(shut_from(5), 30, 12))]
    assert ranks == ["notice", "warning", "alarm"]
    assert all(a != b for a, b in itertools.pairwise(ranks))
