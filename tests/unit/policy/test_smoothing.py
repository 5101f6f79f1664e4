"""Smoothing holds in seconds: whatever the frame rate, with gaps and jitter."""

import dataclasses
import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.config import SmoothingConfig
from ferd.policy.smoothing import Smoother, SmoothingRules

LABELS = ("a", "b", "c")
RULES = SmoothingRules(**SmoothingConfig().model_dump())

probabilities = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: [x / sum(v) for x in v])


def told(times, scene, rules=RULES):
    """[(t, label)] at each change of the held label."""
    smoother, changes, label = Smoother(LABELS, rules), [], None
    for t in times:
        held = smoother.update(t, scene(t))
        if held.label != label:
            label = held.label
            changes.append((t, label))
    return changes


def steps(*parts):
    """A scene of (until, winner): the winner has 0.8."""

    def scene(t):
        winner = next((w for until, w in parts if t < until), parts[-1][1])
        return [0.8 if label == winner else 0.1 for label in LABELS]

    return scene


def sampled(fps, length, rng, jitter=0.3, lost=0.1):
    """Frame times with jitter, a lost tenth, and never two lost in a row."""
    times, gone = [], False
    for i in range(int(length * fps)):
        gone = not gone and rng.random() < lost and i > 0
        if not gone:
            times.append((i + rng.uniform(-jitter, jitter) / 2) / fps)
    return [max(0.0, t) for t in times]


@given(scores=probabilities, dts=st.lists(st.floats(0.01, 2), min_size=2, max_size=60))
def test_constant_input_never_flips(scores, dts):
    times = np.cumsum(dts)
    assert len(told(times, lambda _: scores)) <= 1


@given(scores=probabilities, hold_s=st.sampled_from([0.0, 0.4]))
def test_constant_input_is_told_after_the_hold_and_never_below_enter(scores, hold_s):
    changes = told(np.arange(0, 3, 0.1), lambda _: scores, dataclasses.replace(RULES, min_hold_s=hold_s))
    if max(scores) < RULES.on_threshold:
        assert changes == []
    else:
        ((t, label),) = changes
        assert t == pytest.approx(hold_s, abs=1e-6)
        assert label == LABELS[int(np.argmax(scores))]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.floats(2.5, 6), min_size=1, max_size=5),
    order=st.lists(st.sampled_from(LABELS), min_size=6, max_size=6),
)
def test_the_same_scene_reads_the_same_at_3_10_and_30_fps(seed, cuts, order):
    rng = random.Random(seed)
    edges = list(np.cumsum(cuts))
    scene = steps(*zip(edges, order, strict=False), (1e9, order[len(edges)]))
    length = edges[-1] + 4
    exact = told(np.arange(0, length, 0.001), scene)
    for fps in (3, 10, 30):
        times = sampled(fps, length, rng)
        frame = max(b - a for a, b in itertools.pairwise(times))
        seen = told(times, scene)
        assert [label for _, label in seen] == [label for _, label in exact], fps
        for (t, _), (t0, _) in zip(seen, exact, strict=True):
            # one picture is no proof: the second one decides
            assert abs(t - t0) <= 2 * frame + times[0] + 0.002, (fps, t, t0, frame)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_clear_change_is_told_with_the_second_picture_or_within_a_fifth_of_a_second(fps):
    scene = steps((3, "a"), (9, "b"))
    _, (t, label) = told(np.arange(0, 6, 1 / fps), scene)
    assert label == "b"
    assert t - 3 <= max(0.2, 2 / fps)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_one_wrong_picture_is_not_told(fps):
    times = np.arange(0, 6, 1 / fps)
    odd = times[len(times) // 2]
    assert [label for _, label in told(times, lambda t: [0.1, 0.8, 0.1] if t == odd else [0.8, 0.1, 0.1])] == ["a"]


def test_a_flash_shorter_than_the_hold_is_not_told():
    scene = steps((3, "a"), (3.35, "b"), (9, "a"))
    calm = dataclasses.replace(RULES, min_hold_s=0.5)
    assert [label for _, label in told(np.arange(0, 8, 0.1), scene, calm)] == ["a"]
    assert [label for _, label in told(np.arange(0, 8, 0.1), scene)] == ["a", "b", "a"]


def test_a_torn_face_is_not_told_with_each_turn():
    """Two labels that are ahead by turns, picture by picture."""
    rng = random.Random(8322)
    ahead = {t: rng.uniform(0.35, 0.55) for t in np.arange(0, 20, 1 / 15)}
    turns = sum((one > 0.45) != (other > 0.45) for one, other in itertools.pairwise(ahead.values()))
    changes = told(list(ahead), lambda t: [ahead[t], 0.9 - ahead[t], 0.1])
    assert len(changes) <= turns / 10


def test_between_leave_and_enter_the_held_label_stays():
    def scene(t):
        return [0.8, 0.05, 0.15] if t < 3 else [0.25, 0.38, 0.37]

    assert [label for _, label in told(np.arange(0, 10, 0.1), scene)] == ["a"]


def test_an_unsure_face_is_none_and_not_a_guess():
    labels = "abcdefg"

    def scene(t):
        return [0.76] + [0.04] * 6 if t < 3 else [0.16] + [0.14] * 6

    smoother = Smoother(labels, RULES)
    assert [smoother.update(t, scene(t)).label for t in np.arange(0, 10, 0.1)][29::35] == ["a", None, None]


def test_a_change_does_not_pass_through_unsure():
    scene = steps((3, "a"), (6, "b"), (9, "c"))
    for fps in (3, 5, 10, 30):
        assert [label for _, label in told(np.arange(0, 9, 1 / fps), scene)] == ["a", "b", "c"], fps


def test_confidence_belongs_to_what_is_held_now():
    smoother = Smoother(LABELS, RULES)
    for t in np.arange(0, 3, 0.1):
        smoother.update(t, [0.9, 0.05, 0.05])
    for t in (3.0, 3.1, 3.2):
        held = smoother.update(t, [0.1, 0.6, 0.3])
    assert held.label == "b"
    assert held.confidence == pytest.approx(0.6)


def test_after_a_long_gap_one_frame_is_no_evidence():
    smoother = Smoother(LABELS, dataclasses.replace(RULES, time_constant_s=2.0))
    for t in np.arange(0, 3, 0.1):
        smoother.update(t, [0.8, 0.1, 0.1])
    assert smoother.update(5.0, [0.2, 0.7, 0.1]).label == "a"


@pytest.mark.parametrize("gap", [0.0, 5e-324, 1e-12])
def test_a_second_picture_of_the_same_moment_says_nothing(gap):
    smoother = Smoother(LABELS, RULES)
    first = smoother.update(0.0, [0.8, 0.1, 0.1])
    assert smoother.update(gap, [0.1, 0.8, 0.1]).belief == first.belief
    assert smoother.now.label == "a"


@given(
    scores=st.lists(probabilities, min_size=1, max_size=30),
    dts=st.lists(st.floats(0.0, 1), min_size=30, max_size=30),
    tau=st.sampled_from([0.0, 0.2, 0.6, 5.0]),
)
def test_filtered_probabilities_stay_probabilities(scores, dts, tau):
    smoother = Smoother(LABELS, dataclasses.replace(RULES, time_constant_s=tau))
    t = 0.0
    for target, dt in zip(scores, dts, strict=False):
        t += dt
        held = smoother.update(t, target)
        assert sum(held.smooth) == pytest.approx(1)
        assert sum(held.belief) == pytest.approx(1)
        assert min(held.smooth) >= 0
        assert held.confidence is None or 0 <= held.confidence <= 1


@given(
    scores=st.lists(probabilities, min_size=2, max_size=40),
    dts=st.lists(st.floats(0.01, 0.5), min_size=40, max_size=40),
    hold_s=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_changes_are_at_least_the_hold_apart(scores, dts, hold_s):
    times = np.cumsum(dts[: len(scores)])
    by_time = dict(zip(times, scores, strict=True))
    changes = told(times, by_time.__getitem__, dataclasses.replace(RULES, min_hold_s=hold_s))
    for (t0, _), (t1, _) in itertools.pairwise(changes):
        assert t1 - t0 >= hold_s - 1e-6
