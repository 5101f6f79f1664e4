from __future__ import annotations

import itertools
import json
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.mqtt.outbox import AT_ONCE, EVENT_RING, LAST_VALUE_WAITS_S, PAUSE_S, Outbox
from ferd.payloads import Event
from ferd.topics import Message

STATE = "ferd/hall/desk/state"


def state(number: int, topic: str = STATE) -> Message:
    return Message(topic, str(number).encode(), retain=True, qos=1)


def event(number: int) -> Message:
    return Message("ferd/hall/desk/event", {"n": number}, qos=1, expires_s=60)


def numbers(messages: list[Message]) -> list[int]:
    return [json.loads(m.encoded())["n"] for m in messages]


def test_a_message_goes_once():
    outbox = Outbox()
    outbox.put(state(1), now=0)
    assert outbox.due(0) == [state(1)]
    assert outbox.due(9) == []
    assert outbox.next_at() is None


def test_of_a_retained_topic_only_the_last_value_waits():
    outbox = Outbox()
    for number in range(5):
        outbox.put(state(number), now=number)
    assert outbox.due(5) == [state(4)]


def test_a_camera_state_goes_at_most_once_a_second_and_the_last_one_arrives():
    outbox = Outbox()
    outbox.put(state(1), now=0)
    assert outbox.due(0) == [state(1)]
    outbox.put(state(2), now=0.2)
    outbox.put(state(3), now=0.4)
    assert outbox.due(0.9) == []
    assert outbox.next_at() == 1.0
    assert outbox.due(1.0) == [state(3)]


def test_other_topics_are_not_limited():
    outbox = Outbox()
    for number in range(3):
        outbox.put(state(number, "ferd/hall/desk/status"), now=0)
        assert len(outbox.due(0)) == 1


def test_after_a_reconnect_each_last_value_goes_once_and_at_once():
    outbox = Outbox()
    outbox.put(state(1), now=0)
    outbox.put(state(7, "ferd/hall/info"), now=0)
    outbox.due(0)
    outbox.put(state(2), now=0.1)
    outbox.replay_all()
    assert outbox.due(0.1) == [state(2), state(7, "ferd/hall/info")]
    assert outbox.due(0.2) == []


def test_everything_retained_can_be_published_again():
    outbox = Outbox()
    outbox.put(state(1), now=0)
    outbox.put(event(1), now=0)
    outbox.due(0)
    outbox.republish()
    assert outbox.due(5) == [state(1)]


def test_events_wait_in_order_at_most_a_minute_and_are_then_late():
    outbox = Outbox()
    for at in (0, 10, 69):
        outbox.put(event(at), now=at)
    due = outbox.due(70)
    assert numbers(due) == [10, 69]
    assert ["late" in json.loads(m.encoded()) for m in due] == [True, False]
    assert [m.expires_s for m in due] == [1, 60]


def test_how_many_events_wait_is_known():
    outbox = Outbox()
    outbox.put(state(1), now=0)
    assert outbox.waiting() == 0
    for number in range(3):
        outbox.put(event(number), now=0)
    assert outbox.waiting() == 3
    outbox.due(0, room=2)
    assert outbox.waiting() == 2  # the state was the first of the two
    outbox.due(0)
    assert outbox.waiting() == 0


def test_the_ring_drops_the_oldest_event():
    outbox = Outbox()
    for number in range(EVENT_RING + 8):
        outbox.put(event(number), now=0)
    sent = outbox.due(0)
    while (at := outbox.next_at()) is not None and at < 59:
        sent += outbox.due(at)
    assert numbers(sent)[0] == 8


def test_what_was_not_acknowledged_waits_again_before_the_others_for_the_rest_of_its_time():
    outbox = Outbox()
    outbox.put(event(1), now=0)
    sent = outbox.due(30)
    outbox.put(event(2), now=40)
    outbox.give_back([(30.0, message) for message in [*sent, state(1)]])
    assert numbers(outbox.due(50)) == [1, 2]
    outbox.give_back([(30.0, message) for message in sent])
    assert outbox.due(62) == []


def test_no_more_is_due_than_there_is_room_for():
    outbox = Outbox()
    for number in range(3):
        outbox.put(state(number, f"ferd/hall/{number}/status"), now=0)
        outbox.put(event(number), now=0)
    assert [len(outbox.due(0, room=4)), len(outbox.due(0, room=4)), len(outbox.due(0, room=0))] == [4, 2, 0]


def test_observers_see_what_is_put_even_when_one_of_them_fails():
    outbox = Outbox()
    seen: list[Message] = []

    def broken(message: Message) -> None:
        raise ValueError(message.topic)

    outbox.subscribe(broken)
    end = outbox.subscribe(seen.append)
    outbox.put(state(1), now=0)
    outbox.put(state(2), now=0)
    end()
    outbox.put(state(3), now=0)
    assert seen == [state(1), state(2)]


def test_many_threads_may_put():
    outbox = Outbox()

    def put(camera: int) -> None:
        for number in range(500):
            outbox.put(state(number, f"ferd/hall/{camera}/status"), now=0)

    threads = [threading.Thread(target=put, args=(camera,)) for camera in range(4)]
    for thread in threads:
        thread.start()
    sent: list[Message] = []
    while any(thread.is_alive() for thread in threads):
        sent += outbox.due(0)
    sent += outbox.due(0)
    last = {message.topic: message.payload for message in sent}
    assert set(last.values()) == {b"499"}
    assert len(last) == 4


def change(old: str, new: str, camera: str = "desk") -> Message:
    payload = Event("expression_changed", "a", 1, old, new, 0.8, 1.0, 0.0)
    return Message(f"ferd/hall/{camera}/event", payload, qos=1, expires_s=60)


def alert(number: int) -> Message:
    return Message("ferd/hall/desk/event", {"n": number}, qos=1, expires_s=60, urgent=True)


def spend(outbox: Outbox, now: float) -> None:
    """Uses up what the camera may say at once."""
    for number in range(AT_ONCE):
        outbox.put(event(number), now)
    assert len(outbox.due(now)) == AT_ONCE


def test_changes_of_the_expression_become_one_while_the_camera_is_over_its_budget():
    outbox = Outbox()
    spend(outbox, 0)
    for old, new in [("joy", "fear"), ("fear", "anger"), ("anger", "neutral")]:
        outbox.put(change(old, new), 1)
    assert outbox.due(1) == []
    (sent,) = outbox.due(PAUSE_S)
    assert (json.loads(sent.encoded())["from"], json.loads(sent.encoded())["to"]) == ("joy", "neutral")
    assert "late" not in json.loads(sent.encoded()), "it waited for its budget, not for the broker"


def test_changes_that_cancel_out_are_not_published():
    outbox = Outbox()
    spend(outbox, 0)
    outbox.put(change("joy", "fear"), 1)
    outbox.put(change("fear", "joy"), 1)
    assert outbox.due(PAUSE_S) == []
    assert outbox.next_at() is None


def test_while_the_broker_is_away_events_are_not_merged_as_long_as_there_is_budget():
    outbox = Outbox()
    for number in range(AT_ONCE):
        outbox.put(change(f"{number}", f"{number + 1}"), number)
    assert len(outbox.due(AT_ONCE)) == AT_ONCE


def test_all_messages_of_one_camera_share_its_limit():
    outbox = Outbox()
    spend(outbox, 0)
    outbox.put(state(1), 0)
    outbox.put(state(1, "ferd/hall/desk/fatigue"), 0)
    outbox.put(state(1, "ferd/hall/door/state"), 0)
    assert [m.topic for m in outbox.due(0)] == ["ferd/hall/door/state"]
    assert outbox.next_at() == pytest.approx(PAUSE_S)


def test_the_message_that_waits_longer_goes_first():
    outbox = Outbox()
    spend(outbox, 0)
    outbox.put(event(77), 0.5)
    outbox.put(state(1), 1)
    assert numbers(outbox.due(PAUSE_S)) == [77]
    assert outbox.due(2 * PAUSE_S) == [state(1)]


def test_a_last_value_gives_way_to_one_older_event_only():
    """With many events an old state used to stay for as long as all of them waited."""
    outbox = Outbox()
    spend(outbox, 0)
    for number in range(5):
        outbox.put(event(number), 0.5)
    outbox.put(state(1), 1)
    assert numbers(outbox.due(PAUSE_S)) == [0]
    assert outbox.due(2 * PAUSE_S) == [state(1)]
    outbox.put(state(2), 2 * PAUSE_S)
    assert numbers(outbox.due(3 * PAUSE_S)) == [1]
    assert outbox.due(4 * PAUSE_S) == [state(2)]
    assert numbers(outbox.due(5 * PAUSE_S)) == [2], "the events go on"


def test_at_the_end_nothing_waits_for_the_limit():
    outbox = Outbox()
    spend(outbox, 0)
    outbox.put(event(7), 0.5)
    outbox.put(state(1), 1)
    assert outbox.due(1) == []
    assert outbox.due(1, at_the_end=True) == [state(1), event(7)]
    assert outbox.next_at() is None


@given(
    st.lists(st.tuples(st.floats(0, 4), st.sampled_from(["state", "fatigue", "event", "change"])), max_size=120),
)
def test_no_last_value_waits_for_longer_than_is_promised(steps: list[tuple[float, str]]):
    outbox, now = Outbox(), 0.0
    waits_since: dict[str, float] = {}

    def send(until: float) -> float:
        at = now
        while (next_at := outbox.next_at()) is not None and max(at, next_at) <= until:
            at = max(at, next_at)
            for message in outbox.due(at):
                if message.retain:
                    assert at - waits_since.pop(message.topic) <= LAST_VALUE_WAITS_S + 1e-6
        return until

    for number, (gap, kind) in enumerate(steps):
        now = send(now + gap)
        if kind in ("state", "fatigue"):
            message = state(number, f"ferd/hall/desk/{kind}")
            waits_since.setdefault(message.topic, now)
        else:
            message = event(number) if kind == "event" else change(f"{number}", f"{number + 1}")
        outbox.put(message, now)
    send(now + LAST_VALUE_WAITS_S + 0.1)
    assert not waits_since, "each last value has gone"


@given(st.lists(st.tuples(st.sampled_from(["put", "send", "take", "acknowledge", "lose"]), st.integers(0, 2))))
def test_the_last_value_wins_at_whichever_broker_is_used_next(steps: list[tuple[str, int]]):
    """A lost connection may or may not have carried what was in flight; the next one begins with the last values."""
    outbox, now, last = Outbox(), 0.0, {}
    flying: list[tuple[float, Message]] = []
    broker: dict[str, Message] = {}
    for number, (step, which) in enumerate([*steps, ("lose", 0), ("send", 0), ("take", 2), ("acknowledge", 2)]):
        now += 10
        if step == "put":
            message = state(number, f"ferd/hall/{which}/state")
            last[message.topic] = message
            outbox.put(message, now)
            outbox.put(event(number), now)
        elif step == "send":
            flying += [(now, message) for message in outbox.due(now)]
        elif step == "take":
            broker |= {message.topic: message for _, message in flying if message.retain}
        elif step == "acknowledge":
            for _, message in flying:
                outbox.acknowledge(message, now)
            flying = []
        else:
            outbox.give_back(flying)
            outbox.replay_all()
            flying = []
            broker = {} if which else broker  # another node of a cluster, with values of its own
    assert broker == last


def test_alerts_are_never_held_back():
    outbox = Outbox()
    spend(outbox, 0)
    for number in range(40):
        outbox.put(alert(number), 0)
        outbox.put(Message("ferd/hall/desk/alert", b"%d" % number, retain=True, qos=1, urgent=True), 0)
        assert len(outbox.due(0)) == 2


def test_alerts_wait_without_a_limit_and_are_then_late():
    outbox = Outbox()
    outbox.put(alert(1), 0)
    outbox.put(event(2), 0)
    (sent,) = outbox.due(86400)
    assert (json.loads(sent.encoded()), sent.expires_s) == ({"n": 1, "late": True}, None)
    outbox.give_back([(86400.0, sent)])
    assert numbers(outbox.due(90000)) == [1]


def test_answers_are_not_limited_and_not_late():
    outbox = Outbox()
    spend(outbox, 0)
    answer = Message("ferd/hall/response/reload", b"{}", qos=1, expires_s=60)
    outbox.put(answer, 0)
    outbox.put(answer, 0)
    assert outbox.due(30) == [answer, answer]
    outbox.put(answer, 0)
    assert outbox.due(62) == []


def test_a_camera_that_may_not_speak_yet_does_not_make_the_sender_spin():
    outbox = Outbox()
    spend(outbox, 0)
    outbox.put(event(1), 0)
    outbox.put(state(1, "ferd/hall/door/state"), 0.1)
    while (at := outbox.next_at()) is not None and at <= 0.2:
        assert outbox.due(0.2), "what is due must go"


def test_an_hour_of_a_restless_face_stays_in_the_budget_and_the_last_value_is_right():
    """In fast motion: another expression every 0.3 s, a state and an event each."""
    outbox, sent = Outbox(), []
    chance = random.Random(8322)
    before, now = "joy", 0.0
    for step in range(12_000):
        new = chance.choice([name for name in ("joy", "fear", "anger", "neutral") if name != before])
        outbox.put(state(step), now)
        outbox.put(change(before, new), now)
        before, end = new, now + 0.3
        while (at := outbox.next_at()) is not None and max(at, now) < end:
            now = max(at, now)
            sent += [(now, message) for message in outbox.due(now)]
        now = end
    while (at := outbox.next_at()) is not None:
        now = max(at, now)
        sent += [(now, message) for message in outbox.due(now)]
    times = [at for at, _ in sent]
    assert 1100 <= len(sent) <= 60 * 30
    assert all(b - a >= 60 - 1e-6 for a, b in zip(times, times[30:], strict=False))
    states = [message for _, message in sent if message.retain]
    events = [json.loads(message.encoded()) for _, message in sent if not message.retain]
    assert states[-1] == state(11_999)
    assert events[-1]["to"] == before
    assert all(one["to"] == other["from"] for one, other in itertools.pairwise(events)), "the chain has no gap"
    assert len(states) > 300
    assert len(events) > 300


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1)), max_size=150))
def test_the_limits_hold_and_the_last_value_always_arrives(steps: list[tuple[float, int]]):
    outbox, now, put = Outbox(), 0.0, {}
    sent: list[tuple[float, Message]] = []
    for number, (gap, camera) in enumerate(steps):
        now += gap
        put[camera] = state(number, f"ferd/hall/{camera}/state")
        outbox.put(put[camera], now)
        sent += [(now, message) for message in outbox.due(now)]
    while (at := outbox.next_at()) is not None:
        now = max(now, at)
        sent += [(now, message) for message in outbox.due(now)]
    for camera, last in put.items():
        mine: list[tuple[float, Any]] = [(at, m) for at, m in sent if m.topic == last.topic]
        assert mine[-1][1] == last
        times = [at for at, _ in mine]
        assert all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(times)), camera
        assert all(b - a >= 60 - 1e-9 for a, b in zip(times, times[30:], strict=False))


def test_a_topic_that_the_broker_has_cleared_is_not_cleared_again():
    cleared: list[str] = []
    outbox = Outbox(on_cleared=cleared.append)
    gone, other = Message("ferd/hall/door/alert", None, retain=True, qos=1), state(1)
    for message in (gone, other):
        outbox.put(message, now=0)
    outbox.replay_all()
    assert outbox.due(0) == [gone, other]
    outbox.replay_all()
    assert outbox.due(10) == [gone, other], "nobody has acknowledged it"
    for message in (gone, other):
        outbox.acknowledge(message, now=11)
    outbox.replay_all()
    assert outbox.due(20) == [other]
    assert cleared == [gone.topic]


def test_a_topic_that_came_back_while_it_was_being_cleared_stays():
    outbox = Outbox()
    gone, back = Message(STATE, None, retain=True, qos=1), state(2)
    outbox.put(gone, now=0)
    assert outbox.due(0) == [gone]
    outbox.put(back, now=1)
    outbox.acknowledge(gone, now=2)
    assert outbox.due(30) == [back]
    assert outbox.last(STATE) == back


def image(number: int, camera: str = "desk") -> Message:
    return Message(f"ferd/hall/{camera}/image", bytes([0xFF, 0xD8, number]))


def test_of_each_cameras_pictures_only_the_newest_waits_and_it_goes_last():
    outbox = Outbox()
    for number in range(100):
        outbox.put(image(number), now=number / 100)
    outbox.put(image(7, "door"), now=1)
    outbox.put(event(1), now=1)
    assert outbox.next_at() is not None
    assert outbox.due(1, room=0) == []
    assert outbox.due(1) == [event(1), image(99), image(7, "door")]
    assert outbox.due(2) == []
    assert outbox.next_at() is None


def test_an_old_picture_is_not_sent_and_none_is_sent_twice():
    outbox = Outbox()
    outbox.put(image(1), now=0)
    assert outbox.due(62) == []
    assert outbox.next_at() is None
    outbox.give_back([(61, image(2))])
    outbox.replay_all()
    assert outbox.due(62) == []


def test_the_expiry_of_events_is_that_of_the_configuration():
    outbox = Outbox(event_expiry_s=3600)
    outbox.put(event(1), now=0)
    (sent,) = outbox.due(0)
    assert sent.expires_s == 3600
    outbox.put(event(2), now=10)
    (late,) = outbox.due(40)
    assert (late.late, late.expires_s) == (True, 3570)
    outbox.event_expiry_s = 90
    outbox.put(event(3), now=50)
    assert [message.expires_s for message in outbox.due(50)] == [90]


def test_a_long_expiry_does_not_lengthen_the_wait_in_memory():
    outbox = Outbox(event_expiry_s=3600)
    outbox.put(event(1), now=0)
    sent = outbox.due(1)
    outbox.give_back([(1, message) for message in sent])
    assert len(outbox.due(59)) == 1
    outbox.give_back([(1, message) for message in sent])
    assert outbox.due(62) == []


def test_a_short_expiry_shortens_it():
    outbox = Outbox(event_expiry_s=10)
    outbox.put(event(1), now=0)
    outbox.put(event(2), now=5)
    assert numbers(outbox.due(11)) == [2]
