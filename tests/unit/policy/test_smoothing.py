"""Smoothing holds in seconds: whatever the frame rate, with gaps and jitter."""

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.config import SmoothingConfig
from ferd.policy.smoothing import MOST_CAUTION, Smoother, SmoothingRules

LABELS = ("a", "b", "c")
RULES = SmoothingRules(**SmoothingConfig().rules())
QUICK = SmoothingRules(**SmoothingConfig(profile="quick").rules())
PLAIN = dataclasses.replace(RULES, caution=0.0)
RATES = (5, 10, 15, 30)

probabilities = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: [x / sum(v) for x in v])


def results(times, scene, rules=RULES, mouth=lambda _: None):
    """[(t, label)] at each change of the held label."""
    smoother, changes, label = Smoother(LABELS, rules), [], None
    for t in times:
        held = smoother.update(t, scene(t), mouth(t))
        if held.label != label:
            label = held.label
            changes.append((t, label))
    return changes


def labels(times, scene, rules=RULES, mouth=lambda _: None):
    return [label for _, label in results(times, scene, rules, mouth)]


def steps(*parts):
    """A scene of (until, winner): the winner has 0.9."""

    def scene(t):
        winner = next((w for until, w in parts if t < until), parts[-1][1])
        return [0.9 if label == winner else 0.05 for label in LABELS]

    return scene


def at(fps, length, start=0.0):
    return [start + k / fps for k in range(int(length * fps))]


def sampled(fps, length, rng, jitter=0.3, lost=0.1):
    """Frame times with jitter, a lost tenth, and never two lost in a row."""
    times, gone = [], False
    for i in range(int(length * fps)):
        gone = not gone and rng.random() < lost and i > 0
        if not gone:
            times.append((i + rng.uniform(-jitter, jitter) / 2) / fps)
    return [max(0.0, t) for t in times]


def talker(seed, length=60.0, mean_s=0.2):
    """A face that shows `a` while it talks: syllables that look like `b` or `c`, and pauses of the same length."""
    rng, edges, t = random.Random(seed), [], 0.0
    while t < length + 5:
        t += rng.gammavariate(2, mean_s / 2)
        edges.append((t, rng.choice("bc") if len(edges) % 2 else "a"))
    return steps(*edges)


@given(scores=probabilities, dts=st.lists(st.floats(0.01, 2), min_size=2, max_size=60))
def test_constant_input_never_flips(scores, dts):
    times = np.cumsum(dts).tolist()
    assert len(results(times, lambda _: scores)) <= 1


@given(seed=st.integers(0, 9999), fps=st.sampled_from(RATES), rules=st.sampled_from([RULES, QUICK]))
@settings(max_examples=30, deadline=None)
def test_a_still_face_never_changes(seed, fps, rules):
    """Noise of a camera and of the crop: 0.35 in the log-probabilities, a mouth that trembles by 0.01."""
    rng = np.random.default_rng(seed)

    def scene(_):
        powers = np.exp(np.log([0.7, 0.2, 0.1]) + rng.normal(0, 0.35, 3))
        return (powers / powers.sum()).tolist()

    assert labels(at(fps, 20), scene, rules, lambda _: (0.1 + rng.normal(0, 0.01), 0.8)) == ["a"]


@given(scores=probabilities, hold_s=st.sampled_from([0.0, 0.4]), fps=st.sampled_from(RATES))
def test_the_first_label_comes_after_the_time_constant_and_never_below_the_on_threshold(scores, hold_s, fps):
    changes = results(at(fps, 3), lambda _: scores, dataclasses.replace(RULES, min_hold_s=hold_s))
    if max(scores) < RULES.on_threshold:
        assert changes == []
    else:
        ((t, label),) = changes
        assert -1e-9 <= t - (RULES.time_constant_s + hold_s) <= 1 / fps + 1e-6
        assert label == LABELS[int(np.argmax(scores))]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    # After 2 s of one label the filter is settled, so longer scenes show nothing more.
    cuts=st.lists(st.floats(2.5, 3.5), min_size=1, max_size=3),
    order=st.lists(st.sampled_from(LABELS), min_size=4, max_size=4),
)
def test_the_same_scene_reads_the_same_at_all_frame_rates(seed, cuts, order):
    rng = random.Random(seed)
    edges = np.cumsum(cuts).tolist()
    scene = steps(*zip(edges, order, strict=False), (1e9, order[len(edges)]))
    length = edges[-1] + 2.5
    exact = results(at(250, length), scene)
    for fps in (3, *RATES):
        times = sampled(fps, length, rng)
        frame = max(b - a for a, b in itertools.pairwise(times))
        seen = results(times, scene)
        assert [label for _, label in seen] == [label for _, label in exact], fps
        for (t, _), (t0, _) in zip(seen, exact, strict=True):
            assert abs(t - t0) <= 2 * frame + times[0] + 0.004, (fps, t, t0, frame)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize(("rules", "most"), [(RULES, 0.5), (QUICK, 0.2)])
def test_a_clear_change_is_published_within_the_time_that_the_profile_promises(fps, rules, most):
    _, (t, label) = results(at(fps, 6), steps((3, "a"), (9, "b")), rules)
    assert label == "b"
    assert t - 3 <= most + 1 / fps


@pytest.mark.parametrize("fps", [3, 5, 10, 30])
@pytest.mark.parametrize("rules", [RULES, QUICK])
def test_one_wrong_frame_is_not_published(fps, rules):
    times = at(fps, 6)
    odd = times[len(times) // 2]
    assert labels(times, lambda t: [0.1, 0.8, 0.1] if t == odd else [0.8, 0.1, 0.1], rules) == ["a"]


@pytest.mark.parametrize("fps", RATES)
def test_an_excursion_of_a_syllable_is_not_published(fps):
    assert labels(at(fps, 8), steps((3, "a"), (3.3, "b"), (9, "a"))) == ["a"]


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("seed", range(4))
def test_a_talker_changes_at_most_six_times_a_minute_and_a_tenth_as_often_as_the_frames(fps, seed):
    times, scene = at(fps, 60), talker(seed)
    raw = sum(a != b for a, b in itertools.pairwise(int(np.argmax(scene(t))) for t in times))
    changes = len(results(times, scene)) - 1
    assert changes <= 6
    assert changes <= raw / 10


def test_a_mouth_that_talks_makes_a_change_take_longer_but_not_for_ever():
    """The scores change once and stay: no doubt about the talking face but its mouth."""
    scene = steps((6, "a"), (30, "b"))

    def speaking(t):
        return 0.25 + 0.2 * math.sin(2 * math.pi * 3 * t), 0.8 + 0.05 * math.sin(2 * math.pi * 2 * t)

    still, silent, talks = (
        results(at(15, 20), scene, RULES, mouth)[1][0] for mouth in (lambda _: (0.1, 0.8), lambda _: None, speaking)
    )
    assert still == silent
    assert still + 0.3 < talks <= 6 + 1.2 * MOST_CAUTION * RULES.time_constant_s


def test_quick_pays_no_attention_to_the_mouth():
    scene = steps((3, "a"), (9, "b"))
    assert results(at(30, 6), scene, QUICK) == results(at(30, 6), scene, QUICK, lambda t: (math.sin(20 * t), 1.0))


def test_a_minimum_hold_delays_each_change():
    scene = steps((3, "a"), (3.9, "b"), (9, "a"))
    assert labels(at(10, 8), scene, PLAIN) == ["a", "b", "a"]
    assert labels(at(10, 8), scene, dataclasses.replace(PLAIN, min_hold_s=1.0)) == ["a"]


def test_an_ambiguous_face_keeps_its_label():
    """Two labels that are ahead in turn, frame by frame."""
    rng = random.Random(8322)
    ahead = {t: rng.uniform(0.35, 0.55) for t in at(15, 20)}
    assert len(results(list(ahead), lambda t: [ahead[t], 0.9 - ahead[t], 0.1])) == 1


def test_between_the_thresholds_the_held_label_stays():
    def scene(t):
        return [0.8, 0.05, 0.15] if t < 3 else [0.25, 0.36, 0.39]

    assert labels(at(10, 10), scene) == ["a"]


def test_an_uncertain_face_has_no_label():
    labels = "abcdefg"

    def scene(t):
        return [0.76] + [0.04] * 6 if t < 3 else [0.16] + [0.14] * 6

    smoother = Smoother(labels, RULES)
    assert [smoother.update(t, scene(t)).label for t in at(10, 10)][29::35] == ["a", None, None]


def test_a_change_does_not_pass_through_no_label():
    scene = steps((3, "a"), (6, "b"), (9, "c"))
    for fps in (3, *RATES):
        for mouth in (lambda _: None, lambda t: (math.sin(20 * t), 1.0)):
            assert labels(at(fps, 9), scene, RULES, mouth) == ["a", "b", "c"], fps


def test_confidence_belongs_to_what_is_held_now():
    smoother = Smoother(LABELS, PLAIN)
    for t in at(10, 3):
        smoother.update(t, [0.9, 0.05, 0.05])
    held = [smoother.update(t, [0.1, 0.6, 0.3]) for t in at(10, 3, start=3.0)]
    first = next(one for one in held if one.label == "b")
    assert first.confidence == pytest.approx(0.6, abs=0.05)
    assert held[-1].confidence == pytest.approx(0.6, abs=0.005)


@given(scores=probabilities)
def test_the_confidence_of_a_constant_face_is_its_calibrated_probability(scores):
    smoother = Smoother(LABELS, RULES)
    for t in at(10, 3):
        held = smoother.update(t, scores)
    if held.label is not None:
        assert held.confidence == pytest.approx(max(scores))


def test_after_a_long_gap_one_frame_is_no_evidence():
    smoother = Smoother(LABELS, RULES)
    for t in at(10, 3):
        smoother.update(t, [0.8, 0.1, 0.1])
    assert smoother.update(5.0, [0.02, 0.96, 0.02]).label == "a"


@pytest.mark.parametrize("gap", [0.0, 5e-324, 1e-12])
def test_a_second_frame_of_the_same_moment_is_ignored(gap):
    smoother = Smoother(LABELS, RULES)
    first = [smoother.update(t, [0.8, 0.1, 0.1]) for t in at(10, 1)][-1]
    second = smoother.update(0.9 + gap, [0.02, 0.96, 0.02])
    assert second.label == first.label
    assert second.evidence == pytest.approx(first.evidence, abs=1e-9)
    assert second.smooth == pytest.approx(first.smooth, abs=1e-9)


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
        assert all(0 <= share <= 1 for share in held.evidence)
        assert min(held.smooth) >= 0
        assert held.confidence is None or 0 <= held.confidence <= 1


@given(
    scores=st.lists(probabilities, min_size=2, max_size=40),
    dts=st.lists(st.floats(0.01, 0.5), min_size=40, max_size=40),
    hold_s=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_changes_are_at_least_the_hold_and_two_frames_apart(scores, dts, hold_s):
    times = np.cumsum(dts[: len(scores)]).tolist()
    by_time = dict(zip(times, scores, strict=True))
    changes = results(times, by_time.__getitem__, dataclasses.replace(RULES, min_hold_s=hold_s))
    for (t0, one), (t1, other) in itertools.pairwise(changes):
        assert t1 - t0 >= hold_s - 1e-6
        if one is not None and other is not None:
            assert times.index(t1) - times.index(t0) >= 2


def test_rules_may_be_replaced_while_a_label_is_held():
    smoother = Smoother(LABELS, RULES)
    for t in at(10, 2):
        smoother.update(t, [0.8, 0.1, 0.1])
    smoother.rules = dataclasses.replace(RULES, time_constant_s=0.0, caution=0.0)
    assert smoother.update(2.0, [0.1, 0.8, 0.1]).label == "b"
