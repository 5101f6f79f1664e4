from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from published import Payload, Recorder
from readings import face, reading

from ferd.event_builder import CONFIDENCE_STEP
from ferd.payloads import AlertEvent, Event, State
from ferd.types import Reading


def update_all(builder: Recorder, *readings: Reading) -> list[Payload]:
    return [payload for each in readings for payload in builder.update(each, wall=each.t)]


def states(published: list[Payload]) -> list[dict[str, Any]]:
    return [json.loads(it.to_json()) for it in published if isinstance(it, State)]


def events(published: list[Payload], kind: str = "") -> list[dict[str, Any]]:
    found = [json.loads(it.to_json()) for it in published if isinstance(it, Event | AlertEvent)]
    return [event for event in found if kind in event["event_type"]]


def test_the_first_reading_is_told_at_once():
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


def test_since_is_when_the_expression_began_not_when_it_was_told():
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


def test_a_face_lost_for_a_moment_is_not_told():
    builder = Recorder()
    update_all(builder, reading(0, face()), reading(1, face()))
    assert update_all(builder, reading(1.1), reading(1.4), reading(1.5, face())) == []


def test_a_face_that_leaves_is_told_with_all_that_follows_in_one_go():
    builder = Recorder()
    update_all(builder, reading(0, face()), reading(9, face()), reading(9.1))
    published = update_all(builder, reading(9.6))
    assert [(s["expression"], s["faces"]) for s in states(published)] == [(None, 0)]
    assert [e["event_type"] for e in events(published)] == ["expression_changed", "face_left"]
    assert events(published)[1]["held_s"] == 9.0
    assert len(builder.now.events) == 2


def test_confidence_alone_is_told_seldom():
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
    for event in events(published, "face_"):
        appeared = event["event_type"] == "face_appeared"
        assert (event["track"] in present) is not appeared
        present ^= {event["track"]}
    ids = [e["id"] for e in events(published)]
    assert len(set(ids)) == len(ids)
