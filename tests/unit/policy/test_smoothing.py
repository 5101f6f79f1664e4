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


def results(times, scene, rules=RULES):
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
    assert len(results(times, lambda _: scores)) <= 1


@given(scores=probabilities, hold_s=st.sampled_from([0.0, 0.4]))
def test_constant_input_is_reported_after_the_hold_and_never_below_the_on_threshold(scores, hold_s):
    changes = results(np.arange(0, 3, 0.1), lambda _: scores, dataclasses.replace(RULES, min_hold_s=hold_s))
    if max(scores) < RULES.on_threshold:
        assert changes == []
    else:
        ((t, label),) = changes
        assert t == pytest.approx(hold_s, abs=1e-6)
        assert label == LABELS[int(np.argmax(scores))]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    # After 2 s of one label the filter is settled, so longer scenes show nothing more.
    cuts=st.lists(st.floats(2.5, 3.5), min_size=1, max_size=3),
    order=st.lists(st.sampled_from(LABELS), min_size=4, max_size=4),
)
def test_the_same_scene_reads_the_same_at_3_10_and_30_fps(seed, cuts, order):
    rng = random.Random(seed)
    edges = np.cumsum(cuts).tolist()
    scene = steps(*zip(edges, order, strict=False), (1e9, order[len(edges)]))
    length = edges[-1] + 2.5
    exact = results(np.arange(0, length, 0.004).tolist(), scene)  # plain floats: numpy's are slow one by one
    for fps in (3, 10, 30):
        times = sampled(fps, length, rng)
        frame = max(b - a for a, b in itertools.pairwise(times))
        seen = results(times, scene)
        assert [label for _, label in seen] == [label for _, label in exact], fps
        for (t, _), (t0, _) in zip(seen, exact, strict=True):
            # a single frame proves nothing: the second one decides
            assert abs(t - t0) <= 2 * frame + times[0] + 0.004, (fps, t, t0, frame)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_clear_change_is_reported_with_the_second_frame_or_within_a_fifth_of_a_second(fps):
    scene = steps((3, "a"), (9, "b"))
    _, (t, label) = results(np.arange(0, 6, 1 / fps), scene)
    assert label == "b"
    assert t - 3 <= max(0.2, 2 / fps)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_one_wrong_frame_is_not_reported(fps):
    times = np.arange(0, 6, 1 / fps)
    odd = times[len(times) // 2]
    assert [label for _, label in results(times, lambda t: [0.1, 0.8, 0.1] if t == odd else [0.8, 0.1, 0.1])] == ["a"]


def test_a_flash_shorter_than_the_hold_is_not_reported():
    scene = steps((3, "a"), (3.35, "b"), (9, "a"))
    calm = dataclasses.replace(RULES, min_hold_s=0.5)
    assert [label for _, label in results(np.arange(0, 8, 0.1), scene, calm)] == ["a"]
    assert [label for _, label in results(np.arange(0, 8, 0.1), scene)] == ["a", "b", "a"]


def test_an_ambiguous_face_does_not_change_with_every_frame():
    """Two labels that are ahead in turn, frame by frame."""
    rng = random.Random(8322)
    ahead = {t: rng.uniform(0.35, 0.55) for t in np.arange(0, 20, 1 / 15)}
    turns = sum((one > 0.45) != (other > 0.45) for one, other in itertools.pairwise(ahead.values()))
    changes = results(list(ahead), lambda t: [ahead[t], 0.9 - ahead[t], 0.1])
    assert len(changes) <= turns / 10


def test_between_the_thresholds_the_held_label_stays():
    def scene(t):
        return [0.8, 0.05, 0.15] if t < 3 else [0.25, 0.38, 0.37]

    assert [label for _, label in results(np.arange(0, 10, 0.1), scene)] == ["a"]


def test_an_uncertain_face_has_no_label():
    labels = "abcdefg"

    def scene(t):
        return [0.76] + [0.04] * 6 if t < 3 else [0.16] + [0.14] * 6

    smoother = Smoother(labels, RULES)
    assert [smoother.update(t, scene(t)).label for t in np.arange(0, 10, 0.1)][29::35] == ["a", None, None]


def test_a_change_does_not_pass_through_no_label():
    scene = steps((3, "a"), (6, "b"), (9, "c"))
    for fps in (3, 5, 10, 30):
        assert [label for _, label in results(np.arange(0, 9, 1 / fps), scene)] == ["a", "b", "c"], fps


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
def test_a_second_frame_of_the_same_moment_is_ignored(gap):
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
    changes = results(times, by_time.__getitem__, dataclasses.replace(RULES, min_hold_s=hold_s))
    for (t0, _), (t1, _) in itertools.pairwise(changes):
        assert t1 - t0 >= hold_s - 1e-6
