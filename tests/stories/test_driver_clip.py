"""A drawn driver before the whole chain: from the eyes shut on the frame to the alert, with the shipped models."""

import functools

import pytest
from driver_clips import clip, frame, readings
from drivers import Act

FPS = 10
SHUT_AT = 6.0


@functools.cache
def _shut(folder):
    return readings(clip([Act(SHUT_AT, SHUT_AT + 5, "shut")], 14, FPS), folder=folder)


@pytest.fixture(scope="module")
def asleep(tmp_path_factory):
    """Ten frames a second; from SHUT_AT on the eyes are shut for 5 s."""
    return _shut(tmp_path_factory.mktemp("asleep"))


def begin(told, level):
    return next(reading.t for reading in told if any(alert.level == level for alert in reading.alerts))


@pytest.mark.parametrize(("level", "seconds"), [("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)])
def test_from_shut_eyes_to_the_alert(asleep, level, seconds):
    """At most the rule's seconds and two frames; what the computation takes comes on top (docs/fatigue.md)."""
    assert SHUT_AT + seconds - 1 / FPS <= begin(asleep, level) <= SHUT_AT + seconds + 2 / FPS


@pytest.mark.parametrize("shut_at", [3.0, 9.0, 18.0])
def test_in_whatever_pose_the_driver_falls_asleep(tmp_path, shut_at):
    """The drawn driver sways: how well the eyes' places are found differs from moment to moment."""
    told = readings(clip([Act(shut_at, shut_at + 4, "shut")], shut_at + 4, FPS), folder=tmp_path)
    for level, seconds in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        assert shut_at + seconds - 1 / FPS <= begin(told, level) <= shut_at + seconds + 2 / FPS


def test_open_eyes_end_it(asleep):
    assert asleep[-1].alerts == ()
    over = next(r.t for r in asleep if r.t > SHUT_AT + 5 and not r.alerts)
    assert over <= SHUT_AT + 5 + 1.6


def test_awake_nothing_is_told(asleep):
    assert not [reading for reading in asleep if reading.t < SHUT_AT + 0.9 and reading.alerts]


def test_a_yawn_is_counted_and_not_told(tmp_path):
    told = readings(clip([Act(4, 8, "yawn")], 10, FPS), folder=tmp_path)
    assert told[-1].fatigue.yawns == 1
    assert all(reading.alerts == () for reading in told)


def test_a_passenger_leans_in(tmp_path):
    """Larger and nearer for ten seconds: the driver stays the main face, and what the driver does is told."""

    def scene(i):
        doing = "shut" if 90 <= i < 120 else ""
        return frame(i / FPS, doing, driver=(180.0, 1.0), passenger=30 <= i < 130)

    told = readings(map(scene, range(140)), folder=tmp_path)
    driver = told[20].main
    assert any(len(reading.faces) == 2 for reading in told)
    assert {reading.main for reading in told[10:]} == {driver}
    assert begin(told, "warning") == pytest.approx(10.5, abs=0.3)


def test_the_driver_leaves(tmp_path):
    told = readings(clip([Act(4, 20, "away")], 16, FPS), folder=tmp_path)
    assert told[-1].alerts[0].reason == "not_seen"
    assert {alert.level for reading in told for alert in reading.alerts} == {"notice"}
