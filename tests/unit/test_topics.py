from __future__ import annotations

from ferd import topics
from ferd.payloads import Event, State, adapter
from ferd.topics import encode


def test_only_events_are_not_retained_and_only_they_expire():
    event = topics.event_message("hall", "desk", Event("face_left", "i", 1, None, None, None, 3, 0))
    state = topics.state_message("hall", "desk", State(None, None, 0, 0, 1))
    assert (event.topic, event.retain, event.expires_s) == ("ferd/hall/desk/event", False, 60)
    assert (state.topic, state.retain, state.expires_s) == ("ferd/hall/desk/state", True, None)


def test_late_is_said_once_and_last():
    event = topics.event_message("hall", "desk", Event("face_left", "i", 1, None, None, None, 3, 0))
    late = topics.mark_late(event)
    assert late.encoded().endswith(b',"late":true}')
    assert topics.mark_late(late) == late


def test_a_farewell_ends_with_the_node():
    assert [(m.topic, m.encoded()) for m in topics.offline_messages("hall", ["a", "b"])] == [
        ("ferd/hall/a/status", b"offline"),
        ("ferd/hall/b/status", b"offline"),
        ("ferd/hall/status", b"offline"),
    ]


def test_once_prepared_no_payload_is_parsed_any_more():
    adapter.cache_clear()
    topics.prepare()
    parsed = adapter.cache_info().misses
    for topic in topics.PUBLISHED:
        for example in topic.examples:
            encode(example)
    assert adapter.cache_info().misses == parsed


def test_a_picture_is_only_named_on_a_terminal():
    assert topics.printable("ferd/hall/desk/image", b"\xff\xd8\x1b[2J") == "(6 bytes, JPEG)"
    assert topics.printable("ferd/hall/desk/state", b"{}") == "{}"
    assert topics.printable("ferd/hall/desk/image", b"") == ""
