"""Head or eyes off the road: own straight-ahead, one long look or many short ones; off unless asked for."""

import pytest
from drivers import changes

from ferd.policy.attention import PITCH, SHARING_S, YAW, Attention, off_road
from ferd.policy.drowsiness import DrowsinessLimits, DrowsinessPolicy
from ferd.policy.head import Pose
from ferd.types import EyeMouthState

ON = DrowsinessLimits(attention=True)


def drive(pose, seconds=60.0, fps=10, limits=ON, eyes=lambda t: 0.98 if t % 4 < 0.2 else 0.03):
    """The policy; `pose(t)` gives yaw and pitch, or None for no face."""
    policy, results = DrowsinessPolicy(limits), []
    for i in range(int(seconds * fps)):
        t = i / fps
        now = pose(t)
        state = None if now is None else EyeMouthState(eyes(t), 0.02, yaw=now[0], pitch=now[1], roll=0.0)
        results.append((t, policy.update(t, state)))
    return results


def looks(begin, end, aside, ahead=(0.0, 0.0)):
    return lambda t: aside if begin <= t < end else ahead


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize("aside", [(40.0, 0.0), (-60.0, 0.0), (0.0, 25.0), (28.0, -5.0)])
def test_a_look_of_three_seconds_is_reported(fps, aside):
    results = changes(drive(looks(30, 36, aside), 45, fps))
    assert results[0][1:] == ("warning", "distracted")
    assert results[0][0] == pytest.approx(33.0, abs=0.35)
    assert results[-1][1] == "none"
    assert results[-1][0] <= 36 + 1.6


def test_a_shorter_look_is_not():
    assert changes(drive(looks(30, 32.7, (50.0, 0.0)))) == []


def test_the_own_straight_ahead_is_learned():
    """The camera sees the driver from 35 degrees aside: looking into it is looking off the road."""
    assert changes(drive(lambda _t: (35.0, 10.0))) == []
    results = changes(drive(looks(30, 36, (0.0, 10.0), (35.0, 10.0))))
    assert (results[0][1], results[0][2]) == ("warning", "distracted")


def test_a_minute_aside_does_not_become_the_road():
    results = drive(looks(30, 90, (50.0, 0.0)), 89)
    assert results[-1][1].reason == "distracted"


def test_many_short_looks_add_up():
    """2 s in 3, for half a minute."""
    results = changes(drive(lambda t: (24.5, 0.0) if t >= 30 and t % 3 < 2 else (0.0, 0.0), 60))
    assert results[0][1:] == ("warning", "distracted")
    assert results[0][0] == pytest.approx(30 + SHARING_S * 3 / 2, abs=2.0)


def test_lids_lowered_over_a_bowed_head_look_down():
    assert off_road(Pose(0.0, 12.0), away=False, bowed=True, lids=0.4, closed=False)
    assert not off_road(Pose(0.0, 12.0), away=False, bowed=True, lids=0.9, closed=False)
    assert not off_road(Pose(0.0, 3.0), away=False, bowed=False, lids=0.4, closed=False)


@pytest.mark.parametrize(("yaw", "pitch", "off"), [(YAW - 1, 0, False), (-YAW - 1, 0, True), (0, PITCH + 1, True)])
def test_the_limits(yaw, pitch, off):
    assert off_road(Pose(yaw, pitch), away=False, bowed=False, lids=None, closed=False) is off


def test_it_is_off_unless_asked_for():
    results = drive(looks(30, 36, (40.0, 0.0)), limits=DrowsinessLimits())
    assert changes(results) == []
    assert {fatigue.attention for _, fatigue in results} == {None}


def test_nothing_is_said_without_a_pose():
    policy = DrowsinessPolicy(ON)
    for i in range(300):
        fatigue = policy.update(i / 10, EyeMouthState(0.98 if i % 40 < 2 else 0.03, 0.02))
    assert (fatigue.attention, fatigue.level) == (None, "none")


def test_a_driver_who_is_not_seen_is_not_distracted():
    results = drive(lambda t: None if t >= 30 else (0.0, 0.0))
    assert "distracted" not in {fatigue.reason for _, fatigue in results}


def test_the_value_falls_from_one_to_nothing():
    attention = Attention(3.0)
    assert attention.value is None
    values = []
    for i in range(40):
        attention.add(i / 10, (i + 1) / 10, i >= 5, lost=False)
        values.append(attention.value)
    assert values[4] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.0
