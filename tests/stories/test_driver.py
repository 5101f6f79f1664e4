"""What a driver does and which alerts follow. The simulated model errs at measured rates (tests/drivers.py)."""

import random

import pytest
from drivers import (
    CROPS,
    DRIVERS,
    FACES,
    LOSSY,
    MISSING,
    PERFECT,
    Act,
    Reader,
    blinks,
    changes,
    normal_hour,
    risen,
    watch,
)

from ferd.event_builder import EventBuilder
from ferd.policy.drowsiness import DrowsinessLimits, DrowsinessPolicy
from ferd.types import Alert, Fatigue, Reading

HOUR = 3600.0


@pytest.mark.parametrize(("fps", "reader"), [(5, LOSSY), (10, MISSING), (15, PERFECT), (30, LOSSY)])
def test_wide_awake_for_an_hour(fps, reader):
    """Blinks, glances, talking, laughing, a tunnel: no alarm, no warning, and the tunnel the only notice."""
    results = risen(watch(normal_hour(fps), HOUR, fps, reader, seed=fps))
    assert [level for _, level, _ in results] == ["notice"]
    assert results[0][0] == pytest.approx(1808, abs=3)
    assert results[0][2] in ("not_seen", "eyes_not_seen")


@pytest.mark.parametrize(("reader", "most"), [(CROPS, 1), (DRIVERS, 2)])
def test_wide_awake_for_an_hour_with_the_errors_of_the_eyes_model(reader, most):
    """Lowered lids read as closed in a quarter of the frames: that may cause a notice, beside the tunnel's."""
    results = risen(watch(normal_hour(7), HOUR, 10, reader, seed=7))
    assert {level for _, level, _ in results} == {"notice"}
    assert len([reason for _, _, reason in results if reason in ("eyes_closed", "perclos")]) <= most


@pytest.mark.parametrize("seed", [21, 22])
def test_eyes_that_are_misread_now_and_then_are_no_fatigue(seed):
    """3 % of open eyes are read as closed and 29 % unsure: a PERCLOS from few frames varies by chance."""
    results = risen(watch(normal_hour(seed, 2000), 1800, 5, FACES, seed))
    assert [reason for _, _, reason in results].count("perclos") <= 1


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize("per_minute", [10, 20])
def test_blinks_only(fps, per_minute):
    assert changes(watch(blinks(600, random.Random(3), per_minute), 600, fps, LOSSY)) == []


@pytest.mark.parametrize("fps", [5, 10, 15, 30])
@pytest.mark.parametrize("length", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("reader", [LOSSY, MISSING])
def test_microsleep_on_the_motorway(fps, length, reader):
    """Reported every time, and in time, with a tenth of the frames lost, or the face missed on a tenth of them."""
    for seed in range(30):
        begin = 20 + seed / 30
        acts = [*blinks(18, random.Random(seed), 15), Act(begin, begin + length, "shut")]
        results = risen(watch(acts, begin + length + 3, fps, reader, seed))
        assert results, seed
        assert all(t >= begin + 1 - 1 / fps for t, _, _ in results)
        if length == 4.0 and (reader is LOSSY or fps >= 10):
            assert [level for _, level, _ in results] == ["notice", "warning", "alarm"]
            assert results[2][0] <= begin + 3.0 + 5 / fps


def test_slowly_getting_tired_over_ten_minutes():
    """Closures grow from blinks to 0.85 s; none is a microsleep, so PERCLOS must rise: a notice, then a warning."""
    rng, acts, t = random.Random(5), [], 0.0
    while (t := t + rng.uniform(1.2, 2.8)) < 600:
        length = 0.15 + 0.7 * t / 600
        acts.append(Act(t, t + length, "shut"))
        t += length
    results = risen(watch(acts, 600, 10, LOSSY))
    assert [(level, reason) for _, level, reason in results][:2] == [("notice", "perclos"), ("warning", "perclos")]
    assert 150 < results[0][0] < results[1][0]
    assert "alarm" not in {level for _, level, _ in results}


def test_a_long_traffic_light_and_looking_about():
    """Four minutes of looking left, right and down, up to 4 s at a time: at most the eyes are seen too seldom."""
    rng, acts, t = random.Random(2), [], 5.0
    while t < 240:
        length = rng.uniform(1, 4)
        acts.append(Act(t, t + length, rng.choice(["aside", "aside", "down"])))
        t += length + rng.uniform(1.5, 3)
    found = {(level, reason) for _, level, reason in changes(watch(acts, 240, 10, LOSSY)) if reason}
    assert found <= {("notice", "eyes_not_seen")}


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_sunglasses(fps):
    """Eyes that cannot be seen are reported once, and never count as closed although some frames read so."""
    results = watch([Act(0, 600, "dark glasses")], 600, fps, LOSSY)
    assert [(level, reason) for _, level, reason in changes(results)] == [("notice", "eyes_not_seen")]
    assert results[-1][1].perclos is None


def test_sunglasses_off():
    results = changes(watch([Act(0, 60, "dark glasses"), Act(80, 84, "shut")], 86, 10, LOSSY))
    assert [(level, reason) for _, level, reason in results] == [
        ("notice", "eyes_not_seen"), ("none", None), ("notice", "eyes_closed"), ("warning", "eyes_closed"),
        ("alarm", "eyes_closed"), ("none", None),
    ]  # fmt: skip
    assert results[1][0] < 66


def test_talks_and_laughs():
    """Ten minutes of it: the mouth opens in words and laughs, eyes are squeezed; no yawn is counted, no alert."""
    rng, acts, t = random.Random(4), blinks(600, random.Random(1), 15), 3.0
    acts = [act for act in acts if act.start % 20 < 12]
    while t < 590:
        acts.append(Act(t, t + 9, "talk"))
        acts += [Act(t + 10, t + 13, "laugh"), Act(t + 10.5, t + 10.5 + rng.uniform(0.5, 1.4), "shut")]
        t += 20
    results = watch(acts, 600, 10, LOSSY)
    assert changes(results) == []
    assert all(fatigue.yawns == 0 for _, fatigue in results)


def test_a_tired_driver_yawns():
    results = watch([Act(20, 25, "yawn"), Act(60, 64, "yawn"), Act(100, 106, "yawn")], 150, 10, LOSSY)
    assert results[-1][1].yawns == 3


def test_the_clock_jumps_by_an_hour():
    """NTP sets the wall clock in the middle of an alarm: the policy is not affected, and the alarm goes on."""
    policy, builder = DrowsinessPolicy(DrowsinessLimits()), EventBuilder("pi", "car")
    events, levels = [], []
    for t, fatigue in watch([Act(10, 20, "shut")], 30, 10, LOSSY):
        wall = 1e9 + t + (3600 if t > 15 else 0)
        levels.append(fatigue.level)
        results = () if fatigue.level == "none" else (Alert("fatigue", fatigue.level, fatigue.reason or "", t),)
        published = builder.update(Reading(t, fatigue=fatigue, alerts=results), wall)
        events += [event for event in published.events if event.event_type.startswith("alert")]
    assert [event.event_type for event in events] == ["alert_began", "alert_ended"]
    assert events[1].held_s == pytest.approx(10, abs=1.5)
    assert levels[levels.index("alarm") :].index("none") > 60
    assert isinstance(policy.update(0.0, None), Fatigue)


def test_single_misread_frames_raise_no_alarm():
    """One frame in ten misread: blinks without end, but the driver is awake."""
    results = risen(watch([], 600, 10, Reader(open_as_shut=0.08)))
    assert all(reason == "perclos" for _, _, reason in results)
