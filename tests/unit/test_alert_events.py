from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from readings import alert, face, fatigue, reading

from ferd.alert_events import FATIGUE_EVERY_S, NOTICEABLE
from ferd.event_builder import EventBuilder
from ferd.outputs.mqtt.message import Message, mark_late
from ferd.outputs.mqtt.names import slug
from ferd.types import LEVELS, Alert, Fatigue, Reading


def seen(t: float, *alerts: Alert, tired: Fatigue | None = None) -> Reading:
    return replace(reading(t, face()), alerts=alerts, fatigue=tired)


def told(messages: list[Message], what: str) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic == f"ferd/hall/desk/{what}"]


def turns(messages: list[Message]) -> list[dict[str, Any]]:
    return [event for event in told(messages, "event") if event["event_type"].startswith("alert_")]


def tell_all(narrator: EventBuilder, *readings: Reading) -> list[Message]:
    return [message for each in readings for message in narrator.tell(each, wall=1000 + each.t)]


def test_the_start_clears_what_an_earlier_run_left():
    messages = EventBuilder("hall", "desk").begin(1000.0)
    assert [(m.topic, m.retain, m.urgent) for m in messages] == [("ferd/hall/desk/alert", True, True)]
    assert json.loads(messages[0].payload) == {
        "v": 1,
        "level": "none",
        "reason": None,
        "awareness": None,
        "since": "1970-01-01T00:16:40.000Z",
        "buzzer": False,
        "active": [],
    }


def test_an_alert_is_told_first_and_since_when_its_level_holds():
    narrator = EventBuilder("hall", "desk")
    messages = narrator.tell(seen(10.0, alert(since=8.5, awareness=0.41)), wall=1000.0)
    assert messages[0].topic == "ferd/hall/desk/alert"
    assert json.loads(messages[0].payload) == {
        "v": 1,
        "level": "warning",
        "reason": "eyes_closed",
        "awareness": 0.41,
        "since": "1970-01-01T00:16:38.500Z",
        "buzzer": True,
        "active": ["fatigue"],
    }
    began = next(json.loads(m.payload) for m in messages if m.urgent and m.topic.endswith("/event"))
    assert began.pop("id")
    assert began == {
        "v": 1,
        "event_type": "alert_began",
        "name": "fatigue",
        "level": "warning",
        "reason": "eyes_closed",
        "held_s": None,
        "cause": None,
        "at": "1970-01-01T00:16:40.000Z",
    }


def test_levels_are_told_as_they_change_and_the_end_tells_the_worst():
    narrator = EventBuilder("hall", "desk")
    messages = tell_all(
        narrator,
        seen(0),
        seen(1.0, alert(level="notice", since=1.0)),
        seen(1.5, alert(level="warning", since=1.5)),
        seen(3.0, alert(level="alarm", since=3.0)),
        seen(4.0, alert(level="notice", reason="perclos", since=4.0)),
        seen(6.0),
    )
    assert [state["level"] for state in told(messages, "alert")] == ["notice", "warning", "alarm", "notice", "none"]
    began, ended = turns(messages)
    assert (began["event_type"], began["level"]) == ("alert_began", "notice")
    assert (ended["event_type"], ended["level"], ended["reason"]) == ("alert_ended", "alarm", "eyes_closed")
    assert (ended["held_s"], ended["cause"]) == (5.0, "over")


def test_awareness_alone_is_no_news():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, seen(1, alert(awareness=0.5)))
    assert tell_all(narrator, seen(2, alert(awareness=0.2)), seen(3, alert(awareness=0.1))) == []


def test_all_that_hold_are_named_the_worst_first():
    narrator = EventBuilder("hall", "desk")
    sad = alert("Sad for long", "notice", "sadness", since=2.0, pattern=None)
    first = tell_all(narrator, seen(2, sad))
    both = tell_all(narrator, seen(3, alert("fatigue", since=3.0), sad))
    assert [(s["active"], s["buzzer"]) for s in told(first, "alert")] == [(["sad-for-long"], False)]
    assert [(s["active"], s["level"]) for s in told(both, "alert")] == [(["fatigue", "sad-for-long"], "warning")]
    assert [turn["name"] for turn in turns(both)] == ["fatigue"]


def test_a_rule_that_is_not_for_mqtt_is_not_told():
    quiet = replace(alert("phone", "alarm"), mqtt=False)
    assert (
        tell_all(EventBuilder("hall", "desk"), seen(1))[1:]
        == tell_all(EventBuilder("hall", "desk"), seen(1, quiet))[1:]
    )
    messages = tell_all(EventBuilder("hall", "desk"), seen(1, quiet, alert("sad", "notice")))
    assert [state["active"] for state in told(messages, "alert")] == [["sad"]]


def test_a_lost_camera_ends_the_alert_and_says_why():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, seen(1, alert(since=1.0), tired=fatigue("warning", 0.3)))
    messages = narrator.lost(1005.0)
    assert [state["level"] for state in told(messages, "alert")] == ["none"]
    assert [(turn["event_type"], turn["cause"]) for turn in turns(messages)] == [("alert_ended", "camera_lost")]
    assert [(f["level"], f["awareness"], f["observed"]) for f in told(messages, "fatigue")] == [("none", None, 0.0)]
    kinds = [event.event_type for event in narrator.events]
    assert kinds == ["alert_ended", "expression_changed", "face_left"]
    assert narrator.lost(1006.0) == []


def test_events_of_alerts_that_waited_are_marked_late():
    narrator = EventBuilder("hall", "desk")
    messages = [m for m in tell_all(narrator, seen(1, alert()), seen(2)) if m.urgent and not m.retain]
    assert len(messages) == 2
    assert all(json.loads(mark_late(m).payload)["late"] is True for m in messages)


def test_without_fatigue_nothing_is_told_of_it():
    assert told(tell_all(EventBuilder("hall", "desk"), seen(0), seen(100)), "fatigue") == []


def test_fatigue_is_told_at_once_when_its_level_changes_else_seldom():
    narrator = EventBuilder("hall", "desk")
    messages = tell_all(
        narrator,
        seen(0.0, tired=fatigue()),
        seen(1.0, tired=fatigue(awareness=0.5)),
        seen(2.0, tired=fatigue("notice", 0.4)),
        seen(11.9, tired=fatigue("notice", 0.1)),
        seen(12.0, tired=fatigue("notice", 0.1)),
        seen(40.0, tired=fatigue("notice", 0.1)),
    )
    awareness = [(state["level"], state["awareness"]) for state in told(messages, "fatigue")]
    assert awareness == [("none", 1.0), ("notice", 0.4), ("notice", 0.1)]


def test_no_limit_holds_back_a_level_of_fatigue_that_changed():
    """Else an alarm of three seconds would be over before its level is told."""
    levels = ("none", "none", "warning", "alarm", "alarm", "none")
    steps = [seen(20.0 * n, tired=fatigue(level, 1 - 0.1 * n)) for n, level in enumerate(levels)]
    messages = [m for m in tell_all(EventBuilder("hall", "desk"), *steps) if m.topic.endswith("/fatigue")]
    assert [m.urgent for m in messages] == [False, False, True, True, False, True]


NAMES = st.sampled_from(["fatigue", "Sad for long", "phone"])
ALERTS = st.lists(
    st.builds(alert, NAMES, st.sampled_from(LEVELS[1:]), st.sampled_from(["a", "b"])),
    max_size=3,
    unique_by=lambda it: it.name,
).map(lambda them: sorted(them, key=lambda it: -LEVELS.index(it.level)))
STEPS = st.lists(st.tuples(st.floats(0, 5), ALERTS), min_size=1, max_size=40)


def story(steps: list[tuple[float, list[Alert]]]) -> list[Reading]:
    t, readings, since = 0.0, [], {}
    for gap, alerts in steps:
        t += gap
        since = {it.name: since.get(it.name, t) for it in alerts}
        readings.append(seen(t, *(replace(it, since=since[it.name]) for it in alerts)))
    return readings


@given(STEPS)
def test_the_last_alert_told_is_what_holds(steps: Any):
    readings = story(steps)
    narrator = EventBuilder("hall", "desk")
    messages = [*narrator.begin(0.0), *tell_all(narrator, *readings)]
    last, alerts = told(messages, "alert")[-1], readings[-1].alerts
    assert last["level"] == (alerts[0].level if alerts else "none")
    assert last["reason"] == (alerts[0].reason if alerts else None)
    assert last["active"] == [slug(it.name) for it in alerts]
    assert narrator.alert is not None
    assert narrator.alert.to_dict() == last


@given(STEPS)
def test_every_alert_begins_once_and_ends_once(steps: Any):
    narrator = EventBuilder("hall", "desk")
    readings = story(steps)
    messages = [*tell_all(narrator, *readings), *narrator.lost(2000.0)]
    holding: dict[str, dict[str, Any]] = {}
    for turn in turns(messages):
        if turn["event_type"] == "alert_began":
            assert turn["name"] not in holding
            holding[turn["name"]] = turn
        else:
            began = holding.pop(turn["name"])
            assert LEVELS.index(turn["level"]) >= LEVELS.index(began["level"])
            assert turn["held_s"] >= 0
    assert holding == {}
    assert all(not it.alerts for it in readings) or told(messages, "alert")[-1]["level"] == "none"


@given(STEPS)
def test_two_alert_messages_in_a_row_differ(steps: Any):
    states = told(tell_all(EventBuilder("hall", "desk"), *story(steps)), "alert")
    for one, other in itertools.pairwise(states):
        assert {**one, "since": 0, "awareness": 0} != {**other, "since": 0, "awareness": 0}


TIRED = st.builds(fatigue, st.sampled_from(LEVELS), st.floats(0, 1), st.none() | st.floats(0, 1))


@given(st.lists(st.tuples(st.floats(0, 20), TIRED), min_size=1, max_size=40))
def test_the_told_fatigue_is_never_far_from_the_true_one(steps: Any):
    narrator, told_at, level = EventBuilder("hall", "desk"), None, None
    times = itertools.accumulate(gap for gap, _ in steps)
    for t, (_, tired) in zip(times, steps, strict=True):
        said = told(narrator.tell(seen(t, tired=tired), t), "fatigue")
        if said and told_at is not None and tired.level == level:
            assert t - told_at >= FATIGUE_EVERY_S
        if said:
            told_at, level = t, tired.level
        assert narrator.fatigue is not None
        assert narrator.fatigue.level == tired.level
        assert told_at is not None
        if t - told_at >= FATIGUE_EVERY_S:
            assert narrator.fatigue.awareness is not None
            assert abs(narrator.fatigue.awareness - tired.awareness) < NOTICEABLE["awareness"] + 1e-6
