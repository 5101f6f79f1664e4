from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from readings import face, reading

from ferd.event_builder import CONFIDENCE_STEP, EventBuilder
from ferd.outputs.mqtt.topics import Message
from ferd.types import Reading


def tell_all(narrator: EventBuilder, *readings: Reading) -> list[Message]:
    return [message for each in readings for message in narrator.tell(each, wall=each.t)]


def states(messages: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic.endswith("/state")]


def events(messages: list[Message], kind: str = "") -> list[dict[str, Any]]:
    told = [json.loads(m.payload) for m in messages if m.topic.endswith("/event")]
    return [event for event in told if kind in event["event_type"]]


def test_the_first_reading_is_told_at_once():
    narrator = EventBuilder("hall", "desk")
    messages = narrator.tell(reading(3.0), wall=1000.0)
    assert states(messages) == [
        {
            "v": 1,
            "expression": None,
            "confidence": None,
            "faces": 0,
            "since": "1970-01-01T00:16:40.000Z",
            "seq": 1,
        }
    ]
    assert events(messages) == []


def test_a_smile_comes_and_goes():
    narrator = EventBuilder("hall", "desk")
    messages = tell_all(
        narrator,
        reading(0.0, face(expression="neutral", confidence=0.7)),
        reading(12.4, face(expression="happiness", since=12.4)),
    )
    assert [(s["expression"], s["seq"]) for s in states(messages)] == [("neutral", 1), ("happiness", 2)]
    change = events(messages, "expression_changed")[-1]
    assert (change["from"], change["to"], change["held_s"], change["track"]) == (
        "neutral",
        "happiness",
        12.4,
        1,
    )
    assert narrator.state is not None
    assert narrator.state.since == 12.4


def test_since_is_when_the_expression_began_not_when_it_was_told():
    narrator = EventBuilder("hall", "desk")
    narrator.tell(reading(10.0, face(since=8.0)), wall=1000.0)
    assert narrator.state is not None
    assert narrator.state.since == 998.0


def test_a_second_face_must_stay_before_it_counts():
    narrator = EventBuilder("hall", "desk")
    one, two = face(1), face(2)
    messages = tell_all(narrator, reading(0, one), reading(1, one, two), reading(1.4, one), reading(2, one, two))
    assert [s["faces"] for s in states(messages)] == [1]
    messages = tell_all(narrator, reading(2.5, one, two))
    assert [s["faces"] for s in states(messages)] == [2]
    assert [e["track"] for e in events(messages, "face_appeared")] == [2]


def test_a_face_lost_for_a_moment_is_not_told():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, reading(0, face()), reading(1, face()))
    assert tell_all(narrator, reading(1.1), reading(1.4), reading(1.5, face())) == []


def test_a_face_that_leaves_is_told_with_all_that_follows_in_one_go():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, reading(0, face()), reading(9, face()), reading(9.1))
    messages = tell_all(narrator, reading(9.6))
    assert [(s["expression"], s["faces"]) for s in states(messages)] == [(None, 0)]
    assert [e["event_type"] for e in events(messages)] == ["expression_changed", "face_left"]
    assert events(messages)[1]["held_s"] == 9.0
    assert len(narrator.events) == 2


def test_confidence_alone_is_told_seldom():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, reading(0, face(confidence=0.6)))
    assert tell_all(narrator, reading(4.9, face(confidence=0.9)), reading(6, face(confidence=0.74))) == []
    assert [s["confidence"] for s in states(tell_all(narrator, reading(7, face(confidence=0.75))))] == [0.75]


def test_a_source_that_starts_again_does_not_confuse_the_times():
    narrator = EventBuilder("hall", "desk")
    tell_all(narrator, reading(100, face()), reading(101, face()))
    assert tell_all(narrator, reading(0.1), reading(0.3)) == []
    assert states(tell_all(narrator, reading(0.6)))[0]["faces"] == 0


def test_ids_differ_between_events_runs_and_cameras():
    ids = set()
    for camera, wall in [("desk", 0.0), ("desk", 1.0), ("door", 0.0)]:
        narrator = EventBuilder("hall", camera)
        narrator.tell(reading(0, face(1), face(2)), wall)
        ids |= {event.id for event in narrator.events}
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
    assert tell_all(EventBuilder("hall", "desk"), *readings) == tell_all(EventBuilder("hall", "desk"), *readings)


@given(FACES, st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_unchanged_readings_never_give_a_second_message(faces: Any, gaps: list[float]):
    first, *others = story([(gap, faces) for gap in [0.0, *gaps]])
    narrator = EventBuilder("hall", "desk")
    assert narrator.tell(first, first.t)
    assert tell_all(narrator, *others) == []


@given(STEPS, FACES)
def test_the_last_state_equals_the_last_stable_reading(steps: Any, last: Any):
    narrator = EventBuilder("hall", "desk")
    readings = story([*steps, (1.0, last), (0.3, last), (0.3, last), (5.0, last)])
    messages = tell_all(narrator, *readings)
    told, main = states(messages)[-1], readings[-1].main_face
    assert narrator.state is not None
    assert told == json.loads(narrator.state.to_json())
    assert told["faces"] == len(last)
    assert told["expression"] == (main.expression if main else None)
    if main and main.confidence is not None:
        assert narrator.state.confidence is not None
        assert abs(narrator.state.confidence - main.confidence) < CONFIDENCE_STEP + 1e-6


@given(STEPS)
def test_states_and_events_agree(steps: Any):
    messages = tell_all(EventBuilder("hall", "desk"), *story(steps))
    told = states(messages)
    assert [s["seq"] for s in told] == list(range(1, len(told) + 1))
    assert all(s["faces"] > 0 or s["expression"] is None for s in told)
    expressions = [None, *(s["expression"] for s in told)]
    changes = [(a, b) for a, b in itertools.pairwise(expressions) if a != b]
    assert [(e["from"], e["to"]) for e in events(messages, "expression_changed")] == changes
    present: set[int] = set()
    for event in events(messages, "face_"):
        appeared = event["event_type"] == "face_appeared"
        assert (event["track"] in present) is not appeared
        present ^= {event["track"]}
    ids = [e["id"] for e in events(messages)]
    assert len(set(ids)) == len(ids)
