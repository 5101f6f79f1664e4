"""The timeline: bounded, with gaps, the same whatever the pace of the frames."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.web.history import NONE, History, Strip
from ferd.types import Alert, Box, EyeMouthState, Face, FaceReading, Fatigue, Reading, Track


def reading(t, label="happiness", closed=0.2, level=None):
    face = FaceReading(
        Track(1, Face(Box(0, 0, 9, 9)), 0.0, t),
        {},
        {},
        label,
        0.8 if label else None,
        0.0,
        EyeMouthState(closed, 0.0, 1.0),
    )
    fatigue = Fatigue(0.9, "none", None, 0.1, 1.0, 10.0, 0.2, 0.3, 0)
    return Reading(t, (face,), 1, fatigue, (Alert("x", level, "y", t),) if level else ())


def test_a_second_of_frames_is_one_bin():
    history = History()
    for i in range(30):
        history.add(100 + i / 10, reading(i / 10, "happiness" if i < 15 else None))
    view = history.view("recent", 102.9)
    assert view["labels"] == ["happiness"]
    assert view["frames"][-3:] == [10, 10, 10]
    assert view["label"][-3:] == [0, 0, NONE]
    assert view["closed"][-1] == 20
    assert view["perclos"][-1] == 10
    assert view["awareness"][-1] == 90
    assert set(view["frames"][:-3]) == {0}


def test_what_was_not_looked_at_is_a_gap():
    history = History()
    history.add(10.0, reading(0.0))
    history.add(15.0, reading(5.0, level="alarm"))
    view = history.view("recent", 15.5)
    assert view["frames"][-6:] == [1, 0, 0, 0, 0, 1]
    assert view["level"][-6:] == [0, 0, 0, 0, 0, 3]


def test_after_a_long_pause_nothing_old_is_shown():
    history = History()
    history.add(10.0, reading(0.0))
    assert sum(history.view("recent", 10_000.0)["frames"]) == 0
    history.add(10_000.0, reading(9.0))
    assert sum(history.view("recent", 10_000.0)["frames"]) == 1


def test_a_day_of_eight_cameras_is_small():
    histories = [History() for _ in range(8)]
    assert sum(strip.nbytes for history in histories for strip in history.strips.values()) < 5e6 / 8


def test_a_day_that_is_sent_is_small():
    history = History()
    for t in range(0, 86400, 20):
        history.add(float(t), reading(float(t)))
    view = history.view("day", 86400.0)
    assert min(view["frames"][1:-1]) > 0
    assert len(json.dumps(view)) < 200_000


@given(st.lists(st.floats(0.01, 400.0), min_size=1, max_size=60))
def test_whatever_the_gaps_the_newest_bins_are_right(steps):
    strip, now, seen = Strip(1.0, 50), 0.0, []
    for step in steps:
        now += step
        seen.append(int(now))
        strip.add(now, reading(now), 0)
    frames = strip.columns(now)["frames"]
    for i, count in enumerate(frames):
        assert count == seen.count(int(now) - 49 + i)


@pytest.mark.parametrize("labels", [300])
def test_labels_without_end_are_not_kept(labels):
    history = History()
    for i in range(labels):
        history.add(float(i), reading(float(i), f"label {i}"))
    assert len(history.labels) == 250
