from __future__ import annotations

import itertools
import json
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.mqtt.outbox import EVENT_RING, Outbox
from ferd.outputs.mqtt.token_bucket import AT_ONCE, PAUSE_S
from ferd.outputs.mqtt.topics import Message

STATE = "ferd/hall/desk/state"


def state(number: int, topic: str = STATE) -> Message:
    return Message(topic, str(number).encode(), retain=True, qos=1)


def event(number: int) -> Message:
    return Message("ferd/hall/desk/event", json.dumps({"n": number}).encode(), qos=1, expires_s=60)


def numbers(messages: list[Message]) -> list[int]:
    return [json.loads(m.payload)["n"] for m in messages]


def test_a_message_goes_once():
    board = Outbox()
    board.put(state(1), now=0)
    assert board.due(0) == [state(1)]
    assert board.due(9) == []
    assert board.next_at() is None


def test_of_a_retained_topic_only_the_last_value_waits():
    board = Outbox()
    for number in range(5):
        board.put(state(number), now=number)
    assert board.due(5) == [state(4)]


def test_a_camera_state_goes_at_most_once_a_second_and_the_last_one_arrives():
    board = Outbox()
    board.put(state(1), now=0)
    assert board.due(0) == [state(1)]
    board.put(state(2), now=0.2)
    board.put(state(3), now=0.4)
    assert board.due(0.9) == []
    assert board.next_at() == 1.0
    assert board.due(1.0) == [state(3)]


def test_other_topics_are_not_limited():
    board = Outbox()
    for number in range(3):
        board.put(state(number, "ferd/hall/desk/status"), now=0)
        assert len(board.due(0)) == 1


def test_after_a_reconnect_each_last_value_goes_once_and_at_once():
    board = Outbox()
    board.put(state(1), now=0)
    board.put(state(7, "ferd/hall/info"), now=0)
    board.due(0)
    board.put(state(2), now=0.1)
    board.replay_all()
    assert board.due(0.1) == [state(2), state(7, "ferd/hall/info")]
    assert board.due(0.2) == []


def test_everything_retained_can_be_told_once_more():
    board = Outbox()
    board.put(state(1), now=0)
    board.put(event(1), now=0)
    board.due(0)
    board.tell_again()
    assert board.due(5) == [state(1)]


def test_events_wait_in_order_at_most_a_minute_and_are_then_late():
    board = Outbox()
    for at in (0, 10, 69):
        board.put(event(at), now=at)
    due = board.due(70)
    assert numbers(due) == [10, 69]
    assert ["late" in json.loads(m.payload) for m in due] == [True, False]
    assert [m.expires_s for m in due] == [1, 60]


def test_the_ring_drops_the_oldest_event():
    board = Outbox()
    for number in range(EVENT_RING + 8):
        board.put(event(number), now=0)
    sent = board.due(0)
    while (at := board.next_at()) is not None and at < 59:
        sent += board.due(at)
    assert numbers(sent)[0] == 8


def test_what_was_not_acknowledged_waits_again_before_the_others_for_the_rest_of_its_time():
    board = Outbox()
    board.put(event(1), now=0)
    sent = board.due(30)
    board.put(event(2), now=40)
    board.give_back([(30.0, message) for message in [*sent, state(1)]])
    assert numbers(board.due(50)) == [1, 2]
    board.give_back([(30.0, message) for message in sent])
    assert board.due(61) == []


def test_no_more_is_due_than_there_is_room_for():
    board = Outbox()
    for number in range(3):
        board.put(state(number, f"ferd/hall/{number}/status"), now=0)
        board.put(event(number), now=0)
    assert [len(board.due(0, room=4)), len(board.due(0, room=4)), len(board.due(0, room=0))] == [4, 2, 0]


def test_observers_see_what_is_put_even_when_one_of_them_fails():
    board = Outbox()
    seen: list[Message] = []

    def broken(message: Message) -> None:
        raise ValueError(message.topic)

    board.subscribe(broken)
    end = board.subscribe(seen.append)
    board.put(state(1), now=0)
    board.put(state(2), now=0)
    end()
    board.put(state(3), now=0)
    assert seen == [state(1), state(2)]


def test_many_threads_may_put():
    board = Outbox()

    def put(camera: int) -> None:
        for number in range(500):
            board.put(state(number, f"ferd/hall/{camera}/status"), now=0)

    threads = [threading.Thread(target=put, args=(camera,)) for camera in range(4)]
    for thread in threads:
        thread.start()
    sent: list[Message] = []
    while any(thread.is_alive() for thread in threads):
        sent += board.due(0)
    sent += board.due(0)
    last = {message.topic: message.payload for message in sent}
    assert set(last.values()) == {b"499"}
    assert len(last) == 4


def change(old: str, new: str, camera: str = "desk") -> Message:
    payload = {"event_type": "expression_changed", "from": old, "to": new}
    return Message(
        f"ferd/hall/{camera}/event", json.dumps(payload, separators=(",", ":")).encode(), qos=1, expires_s=60
    )


def alert(number: int) -> Message:
    return Message("ferd/hall/desk/event", json.dumps({"n": number}).encode(), qos=1, expires_s=60, urgent=True)


def spend(board: Outbox, now: float) -> None:
    """Uses up what the camera may say at once."""
    for number in range(AT_ONCE):
        board.put(event(number), now)
    assert len(board.due(now)) == AT_ONCE


def test_changes_of_the_expression_become_one_while_the_camera_is_over_its_budget():
    board = Outbox()
    spend(board, 0)
    for old, new in [("joy", "fear"), ("fear", "anger"), ("anger", "neutral")]:
        board.put(change(old, new), 1)
    assert board.due(1) == []
    (told,) = board.due(PAUSE_S)
    assert (json.loads(told.payload)["from"], json.loads(told.payload)["to"]) == ("joy", "neutral")
    assert "late" not in json.loads(told.payload), "it waited for its budget, not for the broker"


def test_changes_that_cancel_out_are_not_told():
    board = Outbox()
    spend(board, 0)
    board.put(change("joy", "fear"), 1)
    board.put(change("fear", "joy"), 1)
    assert board.due(PAUSE_S) == []
    assert board.next_at() is None


def test_while_the_broker_is_away_events_are_not_merged_as_long_as_there_is_budget():
    board = Outbox()
    for number in range(AT_ONCE):
        board.put(change(f"{number}", f"{number + 1}"), number)
    assert len(board.due(AT_ONCE)) == AT_ONCE


def test_all_that_one_camera_says_is_counted_together_and_the_other_camera_is_not():
    board = Outbox()
    spend(board, 0)
    board.put(state(1), 0)
    board.put(state(1, "ferd/hall/desk/fatigue"), 0)
    board.put(state(1, "ferd/hall/door/state"), 0)
    assert [m.topic for m in board.due(0)] == ["ferd/hall/door/state"]
    assert board.next_at() == pytest.approx(PAUSE_S)


def test_who_waits_for_longer_goes_first():
    board = Outbox()
    spend(board, 0)
    board.put(event(77), 0.5)
    board.put(state(1), 1)
    assert numbers(board.due(PAUSE_S)) == [77]
    assert board.due(2 * PAUSE_S) == [state(1)]


def test_alerts_are_never_held_back():
    board = Outbox()
    spend(board, 0)
    for number in range(40):
        board.put(alert(number), 0)
        board.put(Message("ferd/hall/desk/alert", b"%d" % number, retain=True, qos=1, urgent=True), 0)
        assert len(board.due(0)) == 2


def test_alerts_wait_until_they_are_told_and_are_then_late():
    board = Outbox()
    board.put(alert(1), 0)
    board.put(event(2), 0)
    (told,) = board.due(86400)
    assert (json.loads(told.payload), told.expires_s) == ({"n": 1, "late": True}, None)
    board.give_back([(86400.0, told)])
    assert numbers(board.due(90000)) == [1]


def test_answers_are_not_limited_and_not_late():
    board = Outbox()
    spend(board, 0)
    answer = Message("ferd/hall/response/reload", b"{}", qos=1, expires_s=60)
    board.put(answer, 0)
    board.put(answer, 0)
    assert board.due(30) == [answer, answer]
    board.put(answer, 0)
    assert board.due(61) == []


def test_a_camera_that_may_not_speak_yet_does_not_make_the_sender_spin():
    board = Outbox()
    spend(board, 0)
    board.put(event(1), 0)
    board.put(state(1, "ferd/hall/door/state"), 0.1)
    while (at := board.next_at()) is not None and at <= 0.2:
        assert board.due(0.2), "what is due must go"


def test_an_hour_of_a_restless_face_stays_in_the_budget_and_the_last_value_is_right():
    """In fast motion: another expression every 0.3 s, a state and an event each."""
    board, sent = Outbox(), []
    chance = random.Random(8322)
    before, now = "joy", 0.0
    for step in range(12_000):
        new = chance.choice([name for name in ("joy", "fear", "anger", "neutral") if name != before])
        board.put(state(step), now)
        board.put(change(before, new), now)
        before, end = new, now + 0.3
        while (at := board.next_at()) is not None and max(at, now) < end:
            now = max(at, now)
            sent += [(now, message) for message in board.due(now)]
        now = end
    while (at := board.next_at()) is not None:
        now = max(at, now)
        sent += [(now, message) for message in board.due(now)]
    times = [at for at, _ in sent]
    assert 1100 <= len(sent) <= 60 * 30
    assert all(b - a >= 60 - 1e-6 for a, b in zip(times, times[30:], strict=False))
    states = [message for _, message in sent if message.retain]
    events = [json.loads(message.payload) for _, message in sent if not message.retain]
    assert states[-1] == state(11_999)
    assert events[-1]["to"] == before
    assert all(one["to"] == other["from"] for one, other in itertools.pairwise(events)), "the chain has no gap"
    assert len(states) > 300
    assert len(events) > 300


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1)), max_size=150))
def test_the_limits_hold_and_the_last_value_always_arrives(steps: list[tuple[float, int]]):
    board, now, put = Outbox(), 0.0, {}
    sent: list[tuple[float, Message]] = []
    for number, (gap, camera) in enumerate(steps):
        now += gap
        put[camera] = state(number, f"ferd/hall/{camera}/state")
        board.put(put[camera], now)
        sent += [(now, message) for message in board.due(now)]
    while (at := board.next_at()) is not None:
        now = max(now, at)
        sent += [(now, message) for message in board.due(now)]
    for camera, last in put.items():
        mine: list[tuple[float, Any]] = [(at, m) for at, m in sent if m.topic == last.topic]
        assert mine[-1][1] == last
        times = [at for at, _ in mine]
        assert all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(times)), camera
        assert all(b - a >= 60 - 1e-9 for a, b in zip(times, times[30:], strict=False))


def test_a_topic_that_the_broker_has_cleared_is_not_told_again():
    cleared: list[str] = []
    board = Outbox(on_cleared=cleared.append)
    gone, other = Message("ferd/hall/door/alert", b"", retain=True, qos=1), state(1)
    for message in (gone, other):
        board.put(message, now=0)
    board.replay_all()
    assert board.due(0) == [gone, other]
    board.replay_all()
    assert board.due(10) == [gone, other], "nobody has acknowledged it"
    for message in (gone, other):
        board.acknowledge(message, now=11)
    board.replay_all()
    assert board.due(20) == [other]
    assert cleared == [gone.topic]


def test_a_topic_that_came_back_while_it_was_being_cleared_stays():
    board = Outbox()
    gone, back = Message(STATE, b"", retain=True, qos=1), state(2)
    board.put(gone, now=0)
    assert board.due(0) == [gone]
    board.put(back, now=1)
    board.acknowledge(gone, now=2)
    assert board.due(30) == [back]
    assert board.last(STATE) == back
