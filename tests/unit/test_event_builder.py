from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published import Payload, Recorder
from readings import alert, face, fatigue, reading

from ferd.event_builder import CONFIDENCE_STEP, FATIGUE_EVERY_S, NOTICEABLE, EventBuilder, nothing_known
from ferd.names import slug
from ferd.payloads import AlertEvent, AlertState, Event, FatigueState, GestureEvent, State
from ferd.types import LEVELS, Alert, Fatigue, Gesture, Reading, Unjudged


def update_all(builder: Recorder, *readings: Reading) -> list[Payload]:
    return [payload for each in readings for payload in builder.update(each, wall=each.t)]


def states(published: list[Payload]) -> list[dict[str, Any]]:
    return [json.loads(it.to_json()) for it in published if isinstance(it, State)]


def events(published: list[Payload], kind: str = "") -> list[dict[str, Any]]:
    found = [json.loads(it.to_json()) for it in published if isinstance(it, Event | AlertEvent)]
    return [event for event in found if kind in event["event_type"]]


def test_the_first_reading_is_published_at_once():
    builder = Recorder()
    published = builder.update(reading(3.0), wall=1000.0)
    assert states(published) == [
        {
            "v": 1,
            "expression": None,
            "confidence": None,
            "faces": 0,
            "since": "1970-01-01T00:16:40.000Z",
            "seq": 1,
        }
    ]
    assert events(published) == []


def test_a_gesture_is_published_once():
    builder = Recorder()
    nod = Gesture("nod", 1, 1.0)
    made = [replace(reading(t, face()), gestures=(nod,) if t >= 1 else ()) for t in (0.0, 0.5, 1.0, 1.5)]
    found = [json.loads(it.to_json()) for it in update_all(builder, *made) if isinstance(it, GestureEvent)]
    assert [(event["gesture"], event["track"], event["main"]) for event in found] == [("nod", 1, True)]
    assert found[0]["at"] == "1970-01-01T00:00:01.000Z"


def test_a_smile_comes_and_goes():
    builder = Recorder()
    published = update_all(
        builder,
        reading(0.0, face(expression="neutral", confidence=0.7)),
        reading(12.4, face(expression="happiness", since=12.4)),
    )
    assert [(s["expression"], s["seq"]) for s in states(published)] == [("neutral", 1), ("happiness", 2)]
    change = events(published, "expression_changed")[-1]
    assert (change["from"], change["to"], change["held_s"], change["track"]) == (
        "neutral",
        "happiness",
        12.4,
        1,
    )
    assert builder.now.state is not None
    assert builder.now.state.since == 12.4


def test_since_is_when_the_expression_began_not_when_it_was_published():
    builder = Recorder()
    builder.update(reading(10.0, face(since=8.0)), wall=1000.0)
    assert builder.now.state is not None
    assert builder.now.state.since == 998.0


def test_a_second_face_must_stay_before_it_counts():
    builder = Recorder()
    one, two = face(1), face(2)
    published = update_all(builder, reading(0, one), reading(1, one, two), reading(1.4, one), reading(2, one, two))
    assert [s["faces"] for s in states(published)] == [1]
    published = update_all(builder, reading(2.5, one, two))
    assert [s["faces"] for s in states(published)] == [2]
    assert [e["track"] for e in events(published, "face_appeared")] == [2]


def test_a_face_appears_before_its_first_expression_and_its_alerts():
    builder = Recorder()
    builder.update(reading(0.0), wall=0.0)
    sad = replace(reading(0.3, face(1, "sadness")), alerts=(alert("sad"),))
    published = update_all(builder, reading(0.1, face(1, None)), sad)
    assert [e["event_type"] for e in events(published)] == ["face_appeared", "expression_changed", "alert_began"]
    assert [e["event_type"] for e in events(update_all(builder, reading(5.0, face(1, "sadness"))))] == ["alert_ended"]


def test_a_second_face_that_becomes_the_main_one_appears_before_its_expression():
    builder = Recorder()
    published = update_all(
        builder, reading(0.0, face(1, "neutral")), reading(1.0, face(2, "happiness"), face(1, "neutral"))
    )
    kinds = [(e["event_type"], e["track"]) for e in events(published)]
    assert kinds == [
        ("face_appeared", 1), ("expression_changed", 1), ("face_appeared", 2), ("expression_changed", 2),
    ]  # fmt: skip
    later = update_all(builder, reading(2.0, face(2, "happiness"), face(1, "neutral")))
    assert events(later) == [], "it appears once"


def test_a_face_lost_for_a_moment_is_not_published():
    builder = Recorder()
    update_all(builder, reading(0, face()), reading(1, face()))
    assert update_all(builder, reading(1.1), reading(1.4), reading(1.5, face())) == []


def test_a_face_that_leaves_is_published_with_all_its_consequences_at_once():
    builder = Recorder()
    update_all(builder, reading(0, face()), reading(9, face()), reading(9.1))
    published = update_all(builder, reading(9.6))
    assert [(s["expression"], s["faces"]) for s in states(published)] == [(None, 0)]
    assert [e["event_type"] for e in events(published)] == ["expression_changed", "face_left"]
    assert events(published)[1]["held_s"] == 9.0
    assert len(builder.now.events) == 2


def test_confidence_alone_is_published_rarely():
    builder = Recorder()
    update_all(builder, reading(0, face(confidence=0.6)))
    assert update_all(builder, reading(4.9, face(confidence=0.9)), reading(6, face(confidence=0.74))) == []
    assert [s["confidence"] for s in states(update_all(builder, reading(7, face(confidence=0.75))))] == [0.75]


def test_a_source_that_starts_again_does_not_confuse_the_times():
    builder = Recorder()
    update_all(builder, reading(100, face()), reading(101, face()))
    assert update_all(builder, reading(0.1), reading(0.3)) == []
    assert states(update_all(builder, reading(0.6)))[0]["faces"] == 0


def test_ids_differ_between_events_runs_and_cameras():
    ids = set()
    for camera, wall in [("desk", 0.0), ("desk", 1.0), ("door", 0.0)]:
        builder = Recorder("hall", camera)
        builder.update(reading(0, face(1), face(2)), wall)
        ids |= {event.id for event in builder.now.events}
    assert len(ids) == 9


EXPRESSIONS = st.sampled_from([None, "happiness", "sadness", "neutral"])
FACES = st.lists(st.tuples(EXPRESSIONS, st.floats(0, 1)), max_size=3)
STEPS = st.lists(st.tuples(st.floats(0, 3), FACES), min_size=1, max_size=40)


def story(steps: list[tuple[float, list[tuple[str | None, float]]]]) -> list[Reading]:
    t, readings = 0.0, []
    for gap, faces in steps:
        t += gap
        readings.append(reading(t, *(face(i + 1, e, c, since=t) for i, (e, c) in enumerate(faces))))
    return readings


@given(STEPS)
def test_the_same_readings_give_the_same_bytes(steps: Any):
    readings = story(steps)
    assert update_all(Recorder(), *readings) == update_all(Recorder(), *readings)


@given(FACES, st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_unchanged_readings_never_give_a_second_message(faces: Any, gaps: list[float]):
    first, *others = story([(gap, faces) for gap in [0.0, *gaps]])
    builder = Recorder()
    assert builder.update(first, first.t)
    assert update_all(builder, *others) == []


@given(STEPS, FACES)
def test_the_last_state_equals_the_last_stable_reading(steps: Any, last: Any):
    builder = Recorder()
    readings = story([*steps, (1.0, last), (0.3, last), (0.3, last), (5.0, last)])
    published = update_all(builder, *readings)
    newest, main = states(published)[-1], readings[-1].main_face
    assert builder.now.state is not None
    assert newest == json.loads(builder.now.state.to_json())
    assert newest["faces"] == len(last)
    assert newest["expression"] == (main.expression if main else None)
    if main and main.confidence is not None:
        assert builder.now.state.confidence is not None
        assert abs(builder.now.state.confidence - main.confidence) < CONFIDENCE_STEP + 1e-6


@given(STEPS)
def test_states_and_events_agree(steps: Any):
    published = update_all(Recorder(), *story(steps))
    found = states(published)
    assert [s["seq"] for s in found] == list(range(1, len(found) + 1))
    assert all(s["faces"] > 0 or s["expression"] is None for s in found)
    expressions = [None, *(s["expression"] for s in found)]
    changes = [(a, b) for a, b in itertools.pairwise(expressions) if a != b]
    assert [(e["from"], e["to"]) for e in events(published, "expression_changed")] == changes
    present: set[int] = set()
    for event in events(published):
        if event["event_type"] == "expression_changed":
            assert event["to"] is None or event["track"] in present, "a face appears before its first expression"
            continue
        appeared = event["event_type"] == "face_appeared"
        assert (event["track"] in present) is not appeared
        present ^= {event["track"]}
    ids = [e["id"] for e in events(published)]
    assert len(set(ids)) == len(ids)


def seen(t: float, *alerts: Alert, tired: Fatigue | None = None) -> Reading:
    return replace(reading(t, face()), alerts=alerts, fatigue=tired)


KINDS = {"alert": AlertState, "state": State, "fatigue": FatigueState, "event": Event | AlertEvent}


def payloads(published: list[Payload], what: str) -> list[dict[str, Any]]:
    return [json.loads(it.to_json()) for it in published if isinstance(it, KINDS[what])]


def alert_events(published: list[Payload]) -> list[dict[str, Any]]:
    return [event for event in payloads(published, "event") if event["event_type"].startswith("alert_")]


def update_from_1000(builder: Recorder, *readings: Reading) -> list[Payload]:
    """At other wall times than those of the source."""
    return [payload for each in readings for payload in builder.update(each, wall=1000 + each.t)]


def test_the_start_clears_what_an_earlier_run_left():
    published = Recorder().begin(1000.0)
    assert payloads(published, "alert") == [
        {
            "v": 1,
            "level": "none",
            "reason": None,
            "awareness": None,
            "since": "1970-01-01T00:16:40.000Z",
            "buzzer": False,
            "active": [],
        }
    ]


def test_an_alert_is_published_first_with_the_begin_of_its_level():
    builder = Recorder()
    published = builder.update(seen(10.0, alert(since=8.5, awareness=0.41)), wall=1000.0)
    assert json.loads(published[0].to_json()) == {
        "v": 1,
        "level": "warning",
        "reason": "eyes_closed",
        "awareness": 0.41,
        "since": "1970-01-01T00:16:38.500Z",
        "buzzer": True,
        "active": ["fatigue"],
    }
    (began,) = alert_events(published)
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


def test_levels_are_published_as_they_change_and_the_end_has_the_worst():
    builder = Recorder()
    published = update_from_1000(
        builder,
        seen(0),
        seen(1.0, alert(level="notice", since=1.0)),
        seen(1.5, alert(level="warning", since=1.5)),
        seen(3.0, alert(level="alarm", since=3.0)),
        seen(4.0, alert(level="notice", reason="perclos", since=4.0)),
        seen(6.0),
    )
    assert [state["level"] for state in payloads(published, "alert")] == [
        "notice",
        "warning",
        "alarm",
        "notice",
        "none",
    ]
    began, ended = alert_events(published)
    assert (began["event_type"], began["level"]) == ("alert_began", "notice")
    assert (ended["event_type"], ended["level"], ended["reason"]) == ("alert_ended", "alarm", "eyes_closed")
    assert (ended["held_s"], ended["cause"]) == (5.0, "over")


def test_awareness_alone_is_no_news():
    builder = Recorder()
    update_from_1000(builder, seen(1, alert(awareness=0.5)))
    assert update_from_1000(builder, seen(2, alert(awareness=0.2)), seen(3, alert(awareness=0.1))) == []


def test_all_that_hold_are_named_the_worst_first():
    builder = Recorder()
    sad = alert("Sad for long", "notice", "sadness", since=2.0, pattern=None)
    first = update_from_1000(builder, seen(2, sad))
    both = update_from_1000(builder, seen(3, alert("fatigue", since=3.0), sad))
    assert [(s["active"], s["buzzer"]) for s in payloads(first, "alert")] == [(["sad-for-long"], False)]
    assert [(s["active"], s["level"]) for s in payloads(both, "alert")] == [(["fatigue", "sad-for-long"], "warning")]
    assert [turn["name"] for turn in alert_events(both)] == ["fatigue"]


def test_a_rule_that_is_not_for_mqtt_is_not_published():
    quiet = replace(alert("phone", "alarm"), mqtt=False)
    assert update_from_1000(Recorder(), seen(1))[1:] == update_from_1000(Recorder(), seen(1, quiet))[1:]
    published = update_from_1000(Recorder(), seen(1, quiet, alert("sad", "notice")))
    assert [state["active"] for state in payloads(published, "alert")] == [["sad"]]


def test_a_reason_why_nobody_can_judge_is_published_at_once():
    builder = EventBuilder("hall", "desk")
    builder.begin(0.0)
    for t, reason in ((0.0, None), (1.0, "eyes_not_seen"), (2.0, "turned_away"), (3.0, None)):
        published = builder.update(replace(reading(t), fatigue=fatigue(unjudged=reason)), t)
        assert published.fatigue is not None
        assert (published.fatigue.judged, published.fatigue.unjudged) == (reason is None, reason)


@pytest.mark.parametrize("reason", ["camera_lost", "frozen"])
def test_a_camera_that_is_gone_or_never_came_is_not_judged(reason: Unjudged):
    builder = EventBuilder("hall", "desk")
    builder.begin(0.0)
    assert builder.lost(1.0, reason).fatigue is None, "fatigue is off"
    never_came = builder.unjudged(reason).fatigue
    builder.update(replace(reading(2.0), fatigue=fatigue()), 2.0)
    gone = builder.lost(3.0, reason).fatigue
    assert never_came == gone == nothing_known(reason)


def test_a_lost_camera_ends_the_alert_and_says_why():
    builder = Recorder()
    update_from_1000(builder, seen(1, alert(since=1.0), tired=fatigue("warning", 0.3)))
    published = builder.lost(1005.0)
    assert [state["level"] for state in payloads(published, "alert")] == ["none"]
    assert [(turn["event_type"], turn["cause"]) for turn in alert_events(published)] == [("alert_ended", "camera_lost")]
    assert [(f["level"], f["awareness"], f["observed"]) for f in payloads(published, "fatigue")] == [
        ("none", None, 0.0)
    ]
    kinds = [event.event_type for event in builder.now.events]
    assert kinds == ["alert_ended", "expression_changed", "face_left"]
    assert builder.lost(1006.0) == []


def test_without_fatigue_nothing_is_published_about_it():
    assert payloads(update_from_1000(Recorder(), seen(0), seen(100)), "fatigue") == []


def test_fatigue_is_published_at_once_when_its_level_changes_else_seldom():
    builder = Recorder()
    published = update_from_1000(
        builder,
        seen(0.0, tired=fatigue()),
        seen(1.0, tired=fatigue(awareness=0.5)),
        seen(2.0, tired=fatigue("notice", 0.4)),
        seen(11.9, tired=fatigue("notice", 0.1)),
        seen(12.0, tired=fatigue("notice", 0.1)),
        seen(40.0, tired=fatigue("notice", 0.1)),
    )
    awareness = [(state["level"], state["awareness"]) for state in payloads(published, "fatigue")]
    assert awareness == [("none", 1.0), ("notice", 0.4), ("notice", 0.1)]


NAMES = st.sampled_from(["fatigue", "Sad for long", "phone"])
ALERTS = st.lists(
    st.builds(alert, NAMES, st.sampled_from(LEVELS[1:]), st.sampled_from(["a", "b"])),
    max_size=3,
    unique_by=lambda it: it.name,
).map(lambda them: sorted(them, key=lambda it: -LEVELS.index(it.level)))
ALERT_STEPS = st.lists(st.tuples(st.floats(0, 5), ALERTS), min_size=1, max_size=40)


def alert_story(steps: list[tuple[float, list[Alert]]]) -> list[Reading]:
    t, readings, since = 0.0, [], {}
    for gap, alerts in steps:
        t += gap
        since = {it.name: since.get(it.name, t) for it in alerts}
        readings.append(seen(t, *(replace(it, since=since[it.name]) for it in alerts)))
    return readings


@given(ALERT_STEPS)
def test_the_last_published_alert_is_what_holds(steps: Any):
    readings = alert_story(steps)
    builder = Recorder()
    published = [*builder.begin(0.0), *update_from_1000(builder, *readings)]
    last, alerts = payloads(published, "alert")[-1], readings[-1].alerts
    assert last["level"] == (alerts[0].level if alerts else "none")
    assert last["reason"] == (alerts[0].reason if alerts else None)
    assert last["active"] == [slug(it.name) for it in alerts]
    assert builder.now.alert is not None
    assert builder.now.alert.to_dict() == last


@given(ALERT_STEPS)
def test_every_alert_begins_once_and_ends_once(steps: Any):
    builder = Recorder()
    readings = alert_story(steps)
    published = [*update_from_1000(builder, *readings), *builder.lost(2000.0)]
    holding: dict[str, dict[str, Any]] = {}
    for turn in alert_events(published):
        if turn["event_type"] == "alert_began":
            assert turn["name"] not in holding
            holding[turn["name"]] = turn
        else:
            began = holding.pop(turn["name"])
            assert LEVELS.index(turn["level"]) >= LEVELS.index(began["level"])
            assert turn["held_s"] >= 0
    assert holding == {}
    assert all(not it.alerts for it in readings) or payloads(published, "alert")[-1]["level"] == "none"


@given(ALERT_STEPS)
def test_two_alert_published_in_a_row_differ(steps: Any):
    states = payloads(update_from_1000(Recorder(), *alert_story(steps)), "alert")
    for one, other in itertools.pairwise(states):
        assert {**one, "since": 0, "awareness": 0} != {**other, "since": 0, "awareness": 0}


TIRED = st.builds(fatigue, st.sampled_from(LEVELS), st.floats(0, 1), st.none() | st.floats(0, 1))


@given(st.lists(st.tuples(st.floats(0, 20), TIRED), min_size=1, max_size=40))
def test_the_published_fatigue_is_never_far_from_the_true_one(steps: Any):
    builder, published_at, level = Recorder(), None, None
    times = itertools.accumulate(gap for gap, _ in steps)
    for t, (_, tired) in zip(times, steps, strict=True):
        fresh = payloads(builder.update(seen(t, tired=tired), t), "fatigue")
        if fresh and published_at is not None and tired.level == level:
            assert t - published_at >= FATIGUE_EVERY_S
        if fresh:
            published_at, level = t, tired.level
        assert builder.now.fatigue is not None
        assert builder.now.fatigue.level == tired.level
        assert published_at is not None
        if t - published_at >= FATIGUE_EVERY_S:
            assert builder.now.fatigue.awareness is not None
            assert abs(builder.now.fatigue.awareness - tired.awareness) < NOTICEABLE["awareness"] + 1e-6
