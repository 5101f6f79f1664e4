"""Gestures of a person who moves as told, at any frame rate, with lost frames and noise."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferd.policy.gesture_face import FaceMeasures, mirrored
from ferd.policy.gesture_rules import GESTURES, RELIABLE, GestureRules
from ferd.policy.gestures import GestureRecogniser

REST = FaceMeasures(0.02, 0.02, 0.02, 0.8, 0.4, 3.0, -4.0, 1.0)
BEFORE_S = 3.0


def bump(t, begin, length):
    """0, and a smooth hill of this length up to 1."""
    x = (t - begin) / length
    return 0.5 - 0.5 * math.cos(2 * math.pi * min(max(x, 0.0), 1.0))


def held(t, begin, length, ease=0.12):
    return min(max((t - begin) / ease, 0.0), max((begin + length - t) / ease, 0.0), 1.0)


def wave(t, begin, swings, period):
    x = (t - begin) / period
    return math.sin(2 * math.pi * x) if 0 <= x <= swings else 0.0


ACTS = {
    "wink_right": (0.5, lambda m, t: replace(m, right_closed=held(t, 0, 0.5), left_closed=0.1 * held(t, 0, 0.5))),
    "wink_left": (0.5, lambda m, t: replace(m, left_closed=held(t, 0, 0.5), right_closed=0.1 * held(t, 0, 0.5))),
    "double_blink": (0.8, lambda m, t: both(m, held(t, 0, 0.3) + held(t, 0.5, 0.3))),
    "long_blink": (1.3, lambda m, t: both(m, held(t, 0, 1.3))),
    "nod": (1.0, lambda m, t: replace(m, pitch=m.pitch + 8 * wave(t, 0, 2, 0.5))),
    "shake": (1.2, lambda m, t: replace(m, yaw=m.yaw + 14 * wave(t, 0, 2, 0.6))),
    "tilt_left": (1.0, lambda m, t: replace(m, roll=m.roll + 22 * held(t, 0, 1.0))),
    "tilt_right": (1.0, lambda m, t: replace(m, roll=m.roll - 22 * held(t, 0, 1.0))),
    "mouth_open": (1.2, lambda m, t: replace(m, mouth=m.mouth + 0.5 * held(t, 0, 1.2))),
    "smile": (1.6, lambda m, t: replace(m, width=m.width * (1 + 0.25 * held(t, 0, 1.6)))),
    "brows_up": (0.9, lambda m, t: replace(m, brows=m.brows * (1 + 0.3 * held(t, 0, 0.9)))),
}
QUICK = {"double_blink": 10}
"""Frames a second that a gesture needs at least to be seen."""


def both(measures, closed):
    return replace(measures, right_closed=closed, left_closed=closed)


def frames(fps, act, *, lost=0.0, noise=0.0, seed=1, rest=REST, after_s=2.0):
    """(t, measures) of a person who rests, does something, and rests again."""
    length, move = act
    random_ = random.Random(seed)
    for i in range(round((BEFORE_S + length + after_s) * fps)):
        t = (i + random_.uniform(-0.2, 0.2)) / fps
        if random_.random() < lost:
            continue
        measures = move(rest, t - BEFORE_S) if BEFORE_S <= t <= BEFORE_S + length else rest
        shaken = {
            "yaw": measures.yaw + random_.gauss(0, 8 * noise),
            "pitch": measures.pitch + random_.gauss(0, 8 * noise),
            "mouth": measures.mouth + random_.gauss(0, 0.05 * noise),
        }
        yield t, replace(measures, **shaken)


def seen(stream, rules):
    recogniser = GestureRecogniser(rules)
    return [(t, name) for t, measures in stream for name in recogniser.update(t, measures)]


EVERYTHING = GestureRules(use=GESTURES)


@pytest.mark.parametrize("fps", [5, 10, 15, 30])
@pytest.mark.parametrize("name", GESTURES)
def test_each_gesture_is_seen_once_and_soon(name, fps):
    if fps < QUICK.get(name, 5):
        pytest.skip("too quick for so few frames")
    length = ACTS[name][0]
    ((t, found),) = seen(frames(fps, ACTS[name]), EVERYTHING)
    assert found == name
    assert BEFORE_S < t <= BEFORE_S + length + 0.4


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(RELIABLE), fps=st.sampled_from([10, 15, 20, 30]), seed=st.integers(0, 10_000))
def test_never_another_one_with_noise_and_lost_frames(name, fps, seed):
    found = {one for _, one in seen(frames(fps, ACTS[name], lost=0.1, noise=0.1, seed=seed), GestureRules())}
    assert found <= {name}


@pytest.mark.parametrize("fps", [15, 30])
@pytest.mark.parametrize("name", RELIABLE)
def test_nearly_all_are_seen_with_noise_and_lost_frames(name, fps):
    runs = [seen(frames(fps, ACTS[name], lost=0.05, noise=0.1, seed=seed), GestureRules()) for seed in range(40)]
    assert sum(bool(run) for run in runs) >= 38


@settings(max_examples=40, deadline=None)
@given(fps=st.sampled_from([5, 10, 15, 30]), seed=st.integers(0, 10_000), noise=st.floats(0, 0.15))
def test_a_resting_face_makes_none(fps, seed, noise):
    assert seen(frames(fps, (5.0, lambda m, _t: m), noise=noise, seed=seed), EVERYTHING) == []


@pytest.mark.parametrize("length", [0.1, 0.2, 0.3, 0.45])
@pytest.mark.parametrize("fps", [15, 30])
def test_a_blink_is_none_even_when_one_eye_is_late(length, fps):
    def blink(m, t):
        return replace(m, right_closed=held(t, 0, length, 0.05), left_closed=held(t, 0.04, length - 0.04, 0.05))

    assert seen(frames(fps, (length, blink)), GestureRules()) == []


def test_talking_and_laughing_make_none():
    def talk(m, t):
        word = 0.12 + 0.12 * math.sin(2 * math.pi * 3 * t)
        moved = replace(m, mouth=word, pitch=m.pitch + 9 * math.sin(2 * math.pi * 1.5 * t))
        return replace(moved, right_closed=0.9 * held(t % 2, 0.5, 0.4), left_closed=0.2 * held(t % 2, 0.5, 0.4))

    assert seen(frames(15, (10.0, talk)), GestureRules()) == []


def test_a_late_lid_in_a_pause_between_words_is_no_wink():
    """At 5 fps a blink of which one frame shows one eye only, a second after the mouth moved."""

    def pause(m, t):
        moved = replace(m, mouth=0.4) if t < 0.1 else m
        return replace(moved, right_closed=0.92 if 1.05 < t < 1.25 else 0.02)

    stream = [(BEFORE_S + i / 5, pause(REST, i / 5 - 0.0)) for i in range(12)]
    assert seen([*[(i / 5, REST) for i in range(15)], *stream], GestureRules()) == []


@pytest.mark.parametrize("fps", [10, 15, 30])
@pytest.mark.parametrize("length", [0.4, 0.6])
@pytest.mark.parametrize(("gap", "found"), [(0.1, []), (0.2, []), (0.6, ["wink_left"])])
def test_an_eye_that_shuts_again_at_once_is_no_wink(fps, length, gap, found):
    """Eyes that laugh are narrow, and their lids are read as shut again and again."""

    def laugh(m, t):
        shut, one = held(t, 0, 0.2, 0.01), held(t, 0.2 + gap, length, 0.01)
        return replace(m, right_closed=shut, left_closed=max(shut, one))

    whole = 0.2 + gap + length
    assert [name for _, name in seen(frames(fps, (whole, laugh)), GestureRules(use=("wink_left",)))] == found


@pytest.mark.parametrize("aside", [-15.0, 0.0, 15.0])
@pytest.mark.parametrize("fps", [10, 15, 30])
def test_a_small_shake_counts_wherever_the_head_turned_before(aside, fps):
    def act(m, t):
        return replace(m, yaw=m.yaw + aside * held(t, 0, 1.0, ease=0.3) + 8 * wave(t, 4.0, 2, 0.6))

    assert [name for _, name in seen(frames(fps, (5.2, act)), GestureRules())] == ["shake"]


def test_a_look_aside_is_no_shake_and_a_look_down_no_nod():
    def aside(m, t):
        return replace(m, yaw=m.yaw + 35 * held(t, 0, 2.0, 0.3), pitch=m.pitch + 20 * held(t, 2.5, 2.0, 0.3))

    assert seen(frames(15, (5.0, aside)), GestureRules()) == []


def test_a_yawn_is_no_open_mouth():
    yawn = (4.0, lambda m, t: both(replace(m, mouth=m.mouth + 0.8 * held(t, 0, 4.0, 0.4)), held(t, 0.5, 3.0)))
    assert seen(frames(15, yawn), EVERYTHING) == []


def test_eyes_shut_for_longer_are_sleep_and_no_gesture():
    assert seen(frames(15, (4.0, lambda m, t: both(m, held(t, 0, 4.0)))), EVERYTHING) == []


@pytest.mark.parametrize("what", ["face", "eyes"])
def test_a_face_that_is_lost_in_the_middle_makes_none(what):
    stream = list(frames(15, ACTS["wink_left"]))
    middle = [i for i, (t, _) in enumerate(stream) if BEFORE_S + 0.1 < t < BEFORE_S + 0.6]
    for i in middle:
        t, measures = stream[i]
        stream[i] = t, None if what == "face" else replace(measures, right_closed=None, left_closed=None)
    assert seen(stream, GestureRules()) == []


def test_a_turned_head_hides_one_eye_and_does_not_wink():
    turned = replace(REST, yaw=35.0)
    assert seen(frames(15, ACTS["wink_right"], rest=turned), GestureRules()) == []


@pytest.mark.parametrize("fps", [5, 15, 30])
@pytest.mark.parametrize("name", ["tilt_left", "tilt_right"])
@pytest.mark.parametrize("length", [4.0, 7.0, 20.0])
def test_a_head_that_leans_and_stays_is_no_tilt(name, fps, length):
    """Neither when it leans nor when it comes back, however long it stayed."""
    tilt = {"tilt_left": 22.0, "tilt_right": -22.0}[name]
    lean = (length, lambda m, t: replace(m, roll=m.roll + tilt * held(t, 0, length, 0.3)))
    assert seen(frames(fps, lean, after_s=10.0), GestureRules()) == []


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_a_head_turned_from_the_camera_makes_no_tilt(fps):
    """A driver who looks about beside the camera: there roll follows every turn."""
    turned = replace(REST, yaw=42.0)
    assert seen(frames(fps, ACTS["tilt_left"], rest=turned), GestureRules()) == []


def test_a_tilt_is_taken_back_before_it_counts():
    stream = [(t, m) for t, m in frames(15, ACTS["tilt_left"]) if t < BEFORE_S + 0.8]
    assert seen(stream, GestureRules()) == []
    assert seen([*stream, (BEFORE_S + 0.9, None), (BEFORE_S + 1.0, REST)], GestureRules()) == []


def test_only_what_is_asked_for():
    assert seen(frames(15, ACTS["nod"]), GestureRules(use=("shake",))) == []


def test_the_cooldown():
    twice = (2.4, lambda m, t: replace(m, right_closed=held(t % 1.2, 0, 0.5)))
    assert len(seen(frames(15, twice), GestureRules(cooldown_s=0.3))) == 2
    assert len(seen(frames(15, twice), GestureRules(cooldown_s=5.0))) == 1


def test_a_longer_hold():
    rules = GestureRules(hold_s={"wink_right": 0.8})
    assert seen(frames(15, ACTS["wink_right"]), rules) == []
    longer = (1.0, lambda m, t: replace(m, right_closed=held(t, 0, 1.0)))
    assert [name for _, name in seen(frames(15, longer), rules)] == ["wink_right"]


def test_small_movements_with_a_higher_sensitivity():
    small = (1.0, lambda m, t: replace(m, pitch=m.pitch + 3 * wave(t, 0, 2, 0.5)))
    assert seen(frames(15, small), GestureRules()) == []
    assert [name for _, name in seen(frames(15, small), GestureRules(sensitivity=1.8))] == ["nod"]


def test_asleep_until_it_is_woken():
    wink = ACTS["wink_left"][1]

    def acts(m, t):
        moved = wink(m, t) if t < 1 else wink(m, t - 4) if t > 4 else m
        return both(moved, held(t - 2, 0, 1.3)) if 2 <= t < 3.4 else moved

    stream = list(frames(15, (5.0, acts)))
    assert [name for _, name in seen(stream, GestureRules(wake="long_blink"))] == ["wink_left"]
    assert len(seen(stream, GestureRules())) == 3


def test_looking_at_the_camera_wakes():
    away = replace(REST, yaw=20.0)
    wink = ACTS["wink_left"]
    assert seen(frames(15, wink, rest=away), GestureRules(wake="look")) == []
    assert [name for _, name in seen(frames(15, wink), GestureRules(wake="look"))] == ["wink_left"]


def test_it_falls_asleep_again():
    late = (12.0, lambda m, t: replace(m, yaw=20.0) if t < 11 else ACTS["wink_left"][1](replace(m, yaw=20.0), t - 11))
    assert seen(frames(15, late), GestureRules(wake="look", wake_s=8.0)) == []


@pytest.mark.parametrize("pair", [("wink_left", "wink_right"), ("tilt_left", "tilt_right")])
def test_a_mirrored_picture(pair):
    left, right = pair
    stream = [(t, mirrored(m)) for t, m in frames(15, ACTS[left])]
    assert [name for _, name in seen(stream, GestureRules())] == [right]


def test_frames_that_are_not_later_are_left_out():
    recogniser = GestureRecogniser(EVERYTHING)
    stream = list(frames(15, ACTS["wink_left"]))
    found = []
    for t, measures in stream:
        found += recogniser.update(t, measures)
        assert recogniser.update(t, measures) == []
        assert recogniser.update(t - 1, measures) == []
    assert found == ["wink_left"]
