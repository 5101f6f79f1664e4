"""The fatigue policy: every level in seconds, at any frame rate, with lost, unsure and wrongly read frames."""

import itertools
import random

import pytest
from drivers import CROPS, LOSSY, PERFECT, Act, blinks, changes, risen, times, watch
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.policy.drowsiness import HOLD_S, DrowsinessLimits, DrowsinessPolicy
from ferd.policy.eye_measures import FASTEST, HIGHEST, SLOWEST, Baseline, recovered
from ferd.policy.yawns import AFTER_S, MOST_S
from ferd.types import EyeMouthState

RATES = (5, 10, 15, 30)
rates = st.sampled_from(RATES)


def run(eyes, fps=10.0, seconds=20.0, *, start=0.0, mouth=0.02, limits=None):
    """The policy over frames without jitter; `eyes(t)` gives how closed they are read."""
    policy = DrowsinessPolicy(limits or DrowsinessLimits())
    frames = [start + i / fps for i in range(int(seconds * fps))]
    return [(t, policy.update(t, EyeMouthState(eyes(t), mouth))) for t in frames]


def run_face(face, fps=10.0, seconds=20.0, *, happy=lambda _t: False, limits=None):
    """The policy over frames without jitter; `face(t)` gives the state of eyes, mouth and head."""
    policy = DrowsinessPolicy(limits or DrowsinessLimits())
    times = [i / fps for i in range(int(seconds * fps))]
    return [(t, policy.update(t, face(t), happy(t))) for t in times]


def shut_from(begin, end=1e9):
    return lambda t: 0.98 if begin <= t < end else 0.03


# --- eyes closed ---


@pytest.mark.parametrize("fps", [3, *RATES])
def test_each_level_comes_in_its_time_and_at_most_two_frames_later(fps):
    results = {level: t for t, level, _ in risen(run(shut_from(7.003), fps))}
    for level, after in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        assert 7.003 + after - 0.5 / fps - 0.001 <= results[level] <= 7.003 + after + 1.5 / fps + 0.001


@settings(max_examples=60, deadline=None)
@given(fps=rates, begin=st.floats(3, 4), length=st.floats(1.5, 6), seed=st.integers(0, 10_000))
def test_a_microsleep_is_reported_at_any_rate_with_a_tenth_of_the_frames_lost(fps, begin, length, seed):
    results = watch([Act(begin, begin + length, "shut")], begin + length + 2, fps, LOSSY, seed)
    assert risen(results)
    assert risen(results)[0][2] == "eyes_closed"


@settings(max_examples=60, deadline=None)
@given(fps=rates, at=st.integers(0, 200), begin=st.floats(3, 4), kind=st.sampled_from([0.02, 0.7, None]))
def test_one_wrong_frame_does_not_restart_the_timer(fps, at, begin, kind):
    """Wherever it falls: the notice is late by no more than the episode needs to recover."""
    wrong = begin + (at / 200) * 1.5

    def eyes(t):
        return kind if abs(t - wrong) <= 0.5 / fps else shut_from(begin)(t)

    results = risen(run(eyes, fps, 8))
    late = 0.0 if fps >= 10 else 0.35  # at 5 frames a second the wrong frame is a fifth of the first second
    assert results[0][0] <= begin + 1.0 + 2.5 / fps + late
    assert {level: t for t, level, _ in results}["alarm"] <= begin + 3.0 + 2.5 / fps


@settings(max_examples=40, deadline=None)
@given(fps=rates, seed=st.integers(0, 10_000), per_minute=st.floats(10, 20))
def test_blinks_are_never_reported(fps, seed, per_minute):
    results = watch(blinks(120, random.Random(seed), per_minute), 120, fps, PERFECT, seed)
    assert {fatigue.reason for _, fatigue in results} <= {None, "no_blinks"}  # now and then half a minute lacks them


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), length=st.floats(1.8, 8))
def test_the_frame_rate_does_not_matter(seed, length):
    """Jitter, lost frames: 10 and 30 frames per second give the same levels within a few frames."""
    act = [Act(4, 4 + length, "shut")]
    seen = [{level: t for t, level, _ in risen(watch(act, 20, fps, LOSSY, seed))} for fps in (10, 30)]
    for level, after in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        if length > after + 0.35:
            assert abs(seen[0][level] - seen[1][level]) <= 0.45


@pytest.mark.parametrize("fps", RATES)
def test_open_eyes_end_an_alarm_soon_but_not_at_once(fps):
    results = changes(run(shut_from(5, 10), fps, 20))
    over = next(t for t, level, _ in results if level == "none")
    assert 10.8 <= over <= 11.6


def test_a_level_stays_long_enough_to_be_heard():
    results = changes(run(shut_from(5, 6.2), 30, 12))
    (began, level, _), (over, _, _) = results
    assert level == "notice"
    assert over - began >= HOLD_S - 1e-6


def test_a_short_look_up_does_not_end_an_alarm():
    def eyes(t):
        return 0.03 if t < 5 or 9 <= t < 9.5 or t >= 13 else 0.98

    levels = [level for _, level, _ in changes(run(eyes, 10, 20))]
    assert levels == ["notice", "warning", "alarm", "none"]


def test_a_microsleep_before_frames_that_never_came_is_reported():
    """One frame, long after the last with closed eyes, brings both the closure's end and waking up."""
    policy = DrowsinessPolicy(DrowsinessLimits())
    frames = [(0.0, 0.03), (0.2, 0.98), (0.4, 0.98), (0.6, 0.98), (0.8, 0.98), (1.0, 0.98), (1.8, 0.03), (2.0, 0.03)]
    assert "notice" in [policy.update(t, EyeMouthState(eyes, 0.02)).level for t, eyes in frames]


def test_eyes_that_disappear_while_closed_do_not_end_an_alarm():
    """The head sinks out of sight: the alarm goes on until it is reported that nobody is seen."""
    policy, results = DrowsinessPolicy(DrowsinessLimits()), []
    for i in range(400):
        t = i / 10
        results.append((t, policy.update(t, None if t >= 9 else EyeMouthState(shut_from(5)(t), 0.02))))
    assert [(level, reason) for _, level, reason in changes(results)] == [
        ("notice", "eyes_closed"), ("warning", "eyes_closed"), ("alarm", "eyes_closed"), ("notice", "not_seen"),
    ]  # fmt: skip
    assert changes(results)[-1][0] == pytest.approx(19, abs=0.5)


def test_a_driver_who_was_not_seen_awake_since_the_report_has_not_woken_up():
    """Closed for 2 s, unseen for 1 s, closed again: the alarm comes after another second."""
    results = run(lambda t: None if 7 <= t < 8 else shut_from(5)(t), 10, 15)
    assert {level: t for t, level, _ in risen(results)}["alarm"] == pytest.approx(9.1, abs=0.25)


def test_blinks_with_glances_between_do_not_add_up():
    results = run(lambda t: None if t % 1.2 < 0.9 else 0.98 if t % 2.4 < 1.2 else 0.03, 10, 60)
    assert {fatigue.reason for _, fatigue in results} == {None, "eyes_not_seen"}
    assert min(fatigue.awareness for _, fatigue in results) > 0.7


def test_eyes_that_are_closed_whenever_they_are_seen_are_reported():
    """A quarter of the time, in glimpses of 0.3 s: too little to follow a closure, enough to say so."""
    results = run(lambda t: 0.03 if t < 20 else None if t % 1.2 < 0.9 else 0.98, 10, 60)
    found = [(t, level) for t, level, reason in risen(results) if reason == "eyes_closed"]
    assert [level for _, level in found] == ["warning", "alarm"]
    assert 22 < found[0][0] <= 31
    assert found[1][0] <= found[0][0] + 6


def test_hidden_eyes_are_never_closed():
    results = run(lambda t: 0.98 if t < 0.5 else None, 10, 60)
    assert {fatigue.reason for _, fatigue in results} == {None, "eyes_not_seen"}
    assert min(fatigue.awareness for _, fatigue in results) > 0.8


@pytest.mark.parametrize("fps", RATES)
def test_eyes_closed_in_a_yawn_are_no_microsleep(fps):
    results = run_face(lambda t: EyeMouthState(shut_from(5, 9.3)(t), 0.97 if 5.1 <= t < 9 else 0.02), fps, 15)
    assert risen(results) == []


def test_eyes_that_stay_closed_after_a_yawn_are_one():
    results = run_face(lambda t: EyeMouthState(shut_from(5)(t), 0.97 if 5 <= t < 9 else 0.02), 10, 15)
    found = {level: t for t, level, _ in risen(results)}
    for level, after in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        assert found[level] == pytest.approx(9 + AFTER_S + after, abs=0.2)


def test_a_hand_before_the_mouth_belongs_to_the_yawn():
    """It is not read behind the hand; or the hand reads as a closed mouth while the head is tilted back."""
    for mouth, pitch in ((None, None), (0.02, -12.0)):
        results = run_face(
            lambda t, mouth=mouth, pitch=pitch: EyeMouthState(
                shut_from(5, 12)(t),
                0.97 if 5 <= t < 6.5 or 11 <= t < 12 else mouth if 6.5 <= t < 11 else 0.02,
                yaw=None if pitch is None else 0.0,
                pitch=None if pitch is None else pitch if 6.5 <= t < 11 else 0.0,
            ),
            15,
            20,
        )
        assert risen(results) == []


@pytest.mark.parametrize("seen", [1.0, 0.45])
def test_a_jaw_that_hangs_explains_only_so_much(seen):
    """Asleep with the mouth wide open, also where the eyes are seen only now and then."""
    results = run_face(
        lambda t: EyeMouthState(shut_from(5)(t) if t % 2 < 2 * seen else None, 0.97 if t >= 5 else 0.02), 10, 40
    )
    assert [level for _, level, _ in risen(results)][-1] == "alarm"
    assert risen(results)[0][0] < 5 + MOST_S + 12


def test_a_laugh_with_a_mouth_half_open_is_one_too():
    laugh = lambda t: EyeMouthState(shut_from(5, 8)(t), 0.6 if 5 <= t < 8 else 0.02)  # noqa: E731
    assert risen(run_face(laugh, 10, 15, happy=lambda t: 4.8 <= t < 8)) == []
    assert risen(run_face(laugh, 10, 15)) != []


def nod_down(t, begin, pitch):
    """Degrees of a head that sinks within a second."""
    return min(max(t - begin, 0.0), 1.0) * pitch


def test_a_look_down_counts_half_from_the_notice_on():
    """The head bows with the lids: notice as ever, warning and alarm later. No look down hides a sleeper for ever."""
    results = run_face(
        lambda t: EyeMouthState(shut_from(12)(t), 0.02, yaw=0.0, pitch=15.0 if t >= 11.8 else 0.0), 10, 25
    )
    found = {level: t for t, level, _ in risen(results)}
    assert found["notice"] == pytest.approx(13.0, abs=0.2)
    assert found["warning"] == pytest.approx(14.0, abs=0.2)
    assert found["alarm"] == pytest.approx(17.0, abs=0.2)


def test_a_head_that_sinks_after_the_eyes_closed_counts_in_full():
    results = run_face(lambda t: EyeMouthState(shut_from(12)(t), 0.02, yaw=0.0, pitch=nod_down(t, 12.6, 30.0)), 10, 25)
    assert {level: t for t, level, _ in risen(results)}["alarm"] == pytest.approx(15.0, abs=0.2)


@pytest.mark.parametrize("yaw", [45.0, -70.0])
def test_a_head_turned_beyond_reach_is_away_and_never_shut(yaw):
    results = run_face(
        lambda t: EyeMouthState(0.98 if t >= 12 or t % 4 < 0.2 else 0.03, 0.02, yaw=yaw if t >= 12 else 5.0, pitch=0.0),
        10,
        40,
    )
    assert {(level, reason) for _, level, reason in risen(results)} == {("notice", "turned_away")}


def test_a_camera_at_the_side_of_the_road_does_not_make_a_driver_look_away():
    """The camera sees the driver from 35 degrees aside."""
    results = run_face(lambda t: EyeMouthState(shut_from(20)(t), 0.02, yaw=35.0, pitch=10.0), 10, 30)
    assert [level for _, level, _ in risen(results)] == ["notice", "warning", "alarm"]


def wrong_from(begin, end):
    """A person whose lids are seen to move in blinks; from begin to end the eyes model alone calls the eyes closed."""

    def face(t):
        blink, wrong = t % 4 < 0.3, begin <= t < end
        return EyeMouthState(0.98 if blink or wrong else 0.03, 0.02, lids=0.02 if blink and not wrong else 0.125)

    return face


def test_lids_that_stand_as_wide_as_ever_are_not_closed():
    assert risen(run_face(wrong_from(21, 22.5), 15, 40)) == []


def test_lids_that_contradict_for_seconds_are_no_longer_believed():
    """Glasses were put on: the landmarks model guesses, and the eyes model is right."""
    results = risen(run_face(wrong_from(21, 40), 15, 40))
    assert [level for _, level, _ in results] == ["notice", "warning", "alarm"]
    assert results[-1][0] <= 21 + 3.0 + 3.0


@pytest.mark.parametrize("closed", [0.03, 0.125])
def test_lids_are_not_believed_before_they_were_seen_to_move(closed):
    """Behind glasses the landmarks model guesses: shut eyes must count all the same."""
    results = run_face(lambda t: EyeMouthState(shut_from(20)(t), 0.02, lids=closed if t >= 20 else 0.125), 15, 30)
    assert [level for _, level, _ in risen(results)] == ["notice", "warning", "alarm"]


def test_two_nods_with_closed_eyes_raise_a_notice():
    def face(t):
        for begin in (15.0, 25.0):
            if begin <= t < begin + 1.6:
                sunk = nod_down(t, begin + 0.2, 20.0) if t < begin + 1.3 else 0.0
                return EyeMouthState(0.98 if begin + 0.15 < t < begin + 1.08 else 0.5, 0.02, yaw=0.0, pitch=sunk)
        return EyeMouthState(0.03, 0.02, yaw=0.0, pitch=0.0)

    results = run_face(face, 15, 40)
    assert results[-1][1].nods == 2
    assert ("notice", "nodding") in [(level, reason) for _, level, reason in changes(results)]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.sampled_from([0.03, 0.98, float("nan"), float("inf"), None]), min_size=9, max_size=9))
def test_numbers_that_are_not_finite_are_not_seen(values):
    policy = DrowsinessPolicy(DrowsinessLimits())
    state = EyeMouthState(float("nan"), *values[:2], *values[2:7])
    for i in range(150):
        fatigue = policy.update(i / 10, state)
        assert fatigue.reason in {None, "eyes_not_seen", "turned_away"}
        assert fatigue.awareness == 1.0


def test_half_closed_eyes_are_not_closed():
    assert risen(run(lambda _: 0.7, 10, 100)) == []


# --- PERCLOS ---


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_perclos_is_the_share_of_time_with_closed_eyes(fps, share):
    period = 2.037  # so that it does not beat with the frames
    results = run(lambda t: 0.98 if t % period < period * share else 0.03, fps, 90)
    assert results[-1][1].perclos == pytest.approx(share, abs=0.03)
    expected = "none" if share < 0.15 else "notice" if share < 0.25 else "warning"
    assert results[-1][1].level == expected


def test_perclos_is_not_reported_from_too_little():
    results = run(lambda t: 0.98 if t % 2 < 0.6 else 0.03 if t % 2 < 0.7 else None, 10, 90)
    assert all(fatigue.perclos is None for _, fatigue in results)
    assert results[-1][1].observed == pytest.approx(0.35, abs=0.03)


@pytest.mark.parametrize(("share", "observed", "level"), [
    (0.18, 1.0, "notice"), (0.18, 0.55, "none"), (0.25, 0.55, "notice"), (0.3, 1.0, "warning"), (0.3, 0.55, "notice"),
    (0.4, 0.55, "warning"),
])  # fmt: skip
def test_the_less_was_observed_the_higher_perclos_must_be(share, observed, level):
    results = run(lambda t: None if t % 2 >= 2 * observed else 0.98 if t % 2 < 2 * observed * share else 0.03, 50, 90)
    assert results[-1][1].perclos == pytest.approx(share, abs=0.02)
    assert results[-1][1].level == level


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.02, 0.45), observed=st.floats(0.55, 1.0))
def test_awareness_and_level_of_perclos_agree(share, observed):
    results = run(lambda t: None if t % 2 >= 2 * observed else 0.98 if t % 2 < 2 * observed * share else 0.03, 20, 70)
    fatigue = results[-1][1]
    low = fatigue.awareness < 1 - 1.0 / 3.0
    assert low <= (fatigue.level != "none")


def test_sensitivity_moves_perclos_and_not_the_seconds():
    policy = DrowsinessPolicy(DrowsinessLimits())
    policy.factor = 2.0
    results = [(i / 10, policy.update(i / 10, EyeMouthState(0.98 if i % 20 < 4 else 0.03, 0.02))) for i in range(900)]
    assert risen(results) == []
    results = [(i / 10, policy.update(i / 10, EyeMouthState(0.98, 0.02))) for i in range(900, 920)]
    assert risen(results)[0][0] == pytest.approx(91.0, abs=0.15)


def test_perclos_lowers_awareness_without_a_single_long_closure():
    results = run(lambda t: 0.98 if t % 2 < 0.5 else 0.03, 10, 90)
    assert results[-1][1].awareness == pytest.approx(0.5, abs=0.1)


# --- blinks, yawns, the longest closure ---


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_blinks_are_counted_and_measured(fps):
    results = run(lambda t: 0.98 if t % 4 < 0.25 else 0.03, fps, 100)[-1][1]
    assert results.blinks == pytest.approx(15, abs=1)
    assert results.blink_s == pytest.approx(0.25, abs=0.06)


def test_the_longest_closure_counts_while_it_lasts():
    results = run(shut_from(5, 7.5), 10, 70)
    assert results[70][1].longest_s == pytest.approx(2.0, abs=0.1)
    assert results[200][1].longest_s == pytest.approx(2.5, abs=0.1)
    assert results[-1][1].longest_s == 0.0  # a minute later


@pytest.mark.parametrize(("seconds", "happy", "yawns"), [(3.0, False, 1), (1.0, False, 0), (3.0, True, 0)])
def test_a_yawn_is_a_mouth_wide_open_for_two_seconds_and_no_laugh(seconds, happy, yawns):
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(200):
        wide = 5 <= i / 10 < 5 + seconds
        results = policy.update(i / 10, EyeMouthState(0.03, 0.95 if wide else 0.1), happy and wide)
    assert results.yawns == yawns


def test_a_yawn_is_forgotten_after_five_minutes():
    policy = DrowsinessPolicy(DrowsinessLimits())
    counts = [
        policy.update(i / 5, EyeMouthState(0.03, 0.95 if 10 <= i / 5 < 14 else 0.1)).yawns for i in range(5 * 330)
    ]
    assert counts[5 * 20] == counts[5 * 300] == 1
    assert counts[-1] == 0


# --- visibility ---


def test_a_driver_who_is_not_seen_is_reported_for_as_long_as_that_lasts():
    policy = DrowsinessPolicy(DrowsinessLimits())
    results = changes([(i / 5, policy.update(i / 5, None)) for i in range(5000)])
    assert [(round(t), level, reason) for t, level, reason in results] == [(10, "notice", "not_seen")]


def test_a_person_who_comes_after_the_driver_left_starts_without_a_history():
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(600):
        policy.update(i / 10, EyeMouthState(0.98 if i % 20 < 8 else 0.03, 0.02))
    assert policy.update(60.0, None).perclos > 0.3
    for i in range(400):
        policy.update(61.0 + i, None)
    results = policy.update(470.0, EyeMouthState(0.03, 0.02))
    assert (results.perclos, results.observed, results.level) == (None, 0.0, "none")


def test_the_report_of_an_unseen_driver_can_be_switched_off():
    results = run(lambda _: None, 10, 60, limits=DrowsinessLimits(unseen_after_s=0.0))
    assert risen(results) == []


def test_a_gap_of_an_hour_in_the_source_is_no_evidence():
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(100):
        policy.update(i / 10, EyeMouthState(0.98 if i >= 95 else 0.03, 0.02))
    results = policy.update(3610.0, EyeMouthState(0.98, 0.02))
    assert results.level == "none"


# --- baseline ---


def test_narrow_eyes_are_learned():
    """They read as 0.5 when open. 0.88 is closed for most people, but only half closed for these."""
    policy = DrowsinessPolicy(DrowsinessLimits())
    for i in range(1200):
        policy.update(i / 10, EyeMouthState(0.5, 0.02))
    results = [(120 + i / 10, policy.update(120 + i / 10, EyeMouthState(0.88, 0.02))) for i in range(50)]
    assert risen(results) == []
    results = [(125 + i / 10, policy.update(125 + i / 10, EyeMouthState(0.97, 0.02))) for i in range(50)]
    assert [level for _, level, _ in risen(results)] == ["notice", "warning", "alarm"]


def test_closed_eyes_are_never_learned_as_open():
    baseline = Baseline()
    for _ in range(6000):
        baseline.add(0.1, 0.99)
    assert baseline.value == HIGHEST
    assert baseline.degree(0.99) > 0.95


@given(fps=st.sampled_from([3, 10, 30]), closed=st.floats(0, 0.5))
def test_what_is_learned_does_not_depend_on_the_frame_rate(fps, closed):
    baseline = Baseline()
    for _ in range(60 * fps):
        baseline.add(1 / fps, closed)
    assert baseline.value == pytest.approx(closed, abs=0.05)


# --- awareness ---


@given(start=st.floats(0, 1), parts=st.lists(st.floats(0.001, 0.2), min_size=1, max_size=20))
def test_recovery_does_not_depend_on_the_time_steps(start, parts):
    value = start
    for part in parts:
        value = recovered(value, part)
    assert value == pytest.approx(recovered(start, sum(parts)))


def test_recovery_is_faster_when_nearly_awake():
    slow, quick = recovered(0.0, 0.01), recovered(0.9, 0.01) - 0.9
    assert slow == pytest.approx(SLOWEST * 0.01, rel=0.1)
    assert quick == pytest.approx((SLOWEST + 0.9 * (FASTEST - SLOWEST)) * 0.01, rel=0.1)


@settings(max_examples=40, deadline=None)
@given(
    fps=st.sampled_from([3, 10, 30]),
    seed=st.integers(0, 10_000),
    eyes=st.lists(st.sampled_from([0.02, 0.7, 0.97, None, "away"]), min_size=5, max_size=60),
)
def test_all_values_stay_in_their_ranges(fps, seed, eyes):
    policy, rng = DrowsinessPolicy(DrowsinessLimits()), random.Random(seed)
    for t in times(len(eyes), fps, rng, CROPS):
        value = eyes[int(t) % len(eyes)]
        results = policy.update(t, None if value == "away" else EyeMouthState(value, rng.choice([None, 0.1, 0.9])))
        assert 0 <= results.awareness <= 1
        assert results.perclos is None or 0 <= results.perclos <= 1 + 1e-9
        assert 0 <= results.observed <= 1
        assert (results.level == "none") == (results.reason is None)


@given(shift=st.floats(0, 1e6))
def test_when_a_source_begins_does_not_matter(shift):
    one = run(shut_from(5, 8), 10, 12)
    other = run(shut_from(5 + shift, 8 + shift), 10, 12, start=shift)
    levels = [[fatigue.level for _, fatigue in results] for results in (one, other)]
    assert sum(a != b for a, b in zip(*levels, strict=True)) <= 3  # rounding moves a border by a frame


def test_levels_rise_in_order():
    ranks = [level for _, level, _ in risen(run(shut_from(5), 30, 12))]
    assert ranks == ["notice", "warning", "alarm"]
    assert all(a != b for a, b in itertools.pairwise(ranks))
