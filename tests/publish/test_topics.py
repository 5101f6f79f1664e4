from __future__ import annotations

import json

import numpy as np
import pytest

from ferd.publish import topics
from ferd.publish.topics import Event, State


def test_a_state_reads_as_it_is_documented():
    state = State("happiness", 0.8333, 1, since=1795347453.12, seq=412)
    assert state.to_json() == (
        b'{"v":1,"expression":"happiness","confidence":0.83,"faces":1,"since":"2026-11-22T11:37:33.120Z","seq":412}'
    )


def test_no_face_is_null():
    assert json.loads(State(None, None, 0, 0.0, 1).to_json())["expression"] is None


def test_an_event_reads_as_it_is_documented():
    event = Event("expression_changed", "abc", 7, "neutral", "happiness", 0.83, 12.41, at=0.0)
    assert event.to_json() == (
        b'{"v":1,"event_type":"expression_changed","id":"abc","track":7,"from":"neutral","to":"happiness",'
        b'"confidence":0.83,"held_s":12.4,"at":"1970-01-01T00:00:00.000Z"}'
    )


def test_numbers_of_numpy_are_told_too():
    assert b'"confidence":0.83,' in State("joie", np.float32(0.83), 1, 0.0, 1).to_json()  # type: ignore[arg-type]


@pytest.mark.parametrize(("wall", "text"), [(1.2339, "00:00:01.234Z"), (0.9999, "00:00:01.000Z"), (1.233, "01.233Z")])
def test_times_have_milliseconds(wall: float, text: str):
    assert topics.iso(wall).endswith(text)


def test_only_events_are_not_retained_and_only_they_expire():
    event = topics.event_message("hall", "desk", Event("face_left", "i", 1, None, None, None, 3, 0))
    state = topics.state_message("hall", "desk", State(None, None, 0, 0, 1))
    assert (event.topic, event.retain, event.expires_s) == ("ferd/hall/desk/event", False, 60)
    assert (state.topic, state.retain, state.expires_s) == ("ferd/hall/desk/state", True, None)


def test_late_is_said_once_and_last():
    event = topics.event_message("hall", "desk", Event("face_left", "i", 1, None, None, None, 3, 0))
    late = topics.mark_late(event)
    assert late.payload.endswith(b',"late":true}')
    assert topics.mark_late(late) == late


def test_a_farewell_ends_with_the_node():
    assert [(m.topic, m.payload) for m in topics.farewell("hall", ["a", "b"])] == [
        ("ferd/hall/a/status", b"offline"),
        ("ferd/hall/b/status", b"offline"),
        ("ferd/hall/status", b"offline"),
    ]
