"""A drawn driver before the whole pipeline with the shipped models: from closed eyes in a frame to the alert."""

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
    """Ten frames a second; from SHUT_AT on the eyes are closed for 5 s."""
    return _shut(tmp_path_factory.mktemp("asleep"))


def begin(results, level):
    return next(reading.t for reading in results if any(alert.level == level for alert in reading.alerts))


@pytest.mark.parametrize(("level", "seconds"), [("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)])
def test_from_closed_eyes_to_the_alert(asleep, level, seconds):
    """At most the rule's seconds and two frames; what the computation takes comes on top (docs/fatigue.md)."""
    assert SHUT_AT + seconds - 1 / FPS <= begin(asleep, level) <= SHUT_AT + seconds + 2 / FPS


@pytest.mark.parametrize("shut_at", [3.0, 9.0, 18.0])
def test_the_pose_of_the_driver_does_not_matter(tmp_path, shut_at):
    """The drawn driver sways: how well the eyes' places are found differs from moment to moment."""
    results = readings(clip([Act(shut_at, shut_at + 4, "shut")], shut_at + 4, FPS), folder=tmp_path)
    for level, seconds in (("notice", 1.0), ("warning", 1.5), ("alarm", 3.0)):
        assert shut_at + seconds - 1 / FPS <= begin(results, level) <= shut_at + seconds + 2 / FPS


def test_open_eyes_end_it(asleep):
    assert asleep[-1].alerts == ()
    over = next(r.t for r in asleep if r.t > SHUT_AT + 5 and not r.alerts)
    assert over <= SHUT_AT + 5 + 1.6


def test_awake_nothing_is_reported(asleep):
    assert not [reading for reading in asleep if reading.t < SHUT_AT + 0.9 and reading.alerts]


def test_a_yawn_is_counted_and_not_reported(tmp_path):
    results = readings(clip([Act(4, 8, "yawn")], 10, FPS), folder=tmp_path)
    assert results[-1].fatigue.yawns == 1
    assert all(reading.alerts == () for reading in results)


def test_a_passenger_leans_in(tmp_path):
    """Larger and nearer for ten seconds: the driver stays the main face, and the driver's closed eyes are reported."""

    def scene(i):
        doing = "shut" if 90 <= i < 120 else ""
        return frame(i / FPS, doing, driver=(180.0, 1.0), passenger=30 <= i < 130)

    results = readings(map(scene, range(140)), folder=tmp_path)
    driver = results[20].main
    assert any(len(reading.faces) == 2 for reading in results)
    assert {reading.main for reading in results[10:]} == {driver}
    assert begin(results, "warning") == pytest.approx(10.5, abs=0.3)


def test_the_driver_leaves(tmp_path):
    results = readings(clip([Act(4, 20, "away")], 16, FPS), folder=tmp_path)
    assert results[-1].alerts[0].reason == "not_seen"
    assert {alert.level for reading in results for alert in reading.alerts} == {"notice"}
