"""What is done with a command, and what is answered."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from ferd.commands import AT_A_TIME, INBOX, CommandHandler, CommandQueue
from ferd.errors import ConfigError
from ferd.outputs.mqtt.requests import IncomingMessage


class Helm:
    def __init__(self):
        self.done = []
        self.error = None

    def __getattr__(self, deed):
        def do(*arguments):
            self.done.append((deed, *arguments))
            if self.error:
                raise self.error
            return {"deed": deed}

        return do


@pytest.fixture
def helm():
    return Helm()


@pytest.fixture
def control(helm):
    return CommandHandler("hall", helm)


def handle(control, topic, payload=b"", now=0.0, **more):
    return [
        (message.topic, json.loads(message.payload))
        for message in control.handle(IncomingMessage(f"ferd/hall/{topic}", payload, **more), ("desk",), now)
    ]


@pytest.mark.parametrize(
    ("verb", "payload", "deed"),
    [
        ("restart", b"", ("restart",)),
        ("republish", b"{}", ("republish",)),
        ("reload", b"", ("reload",)),
        ("snooze", b"60", ("snooze", 60.0)),
        ("log_level", b"debug", ("log_level", "debug")),
    ],
)
def test_each_request_is_done_and_answered(control, helm, verb, payload, deed):
    ((topic, answer),) = handle(control, f"request/{verb}", payload)
    assert helm.done == [deed]
    assert topic == f"ferd/hall/response/{verb}"
    assert (answer["status"], answer["data"]) == ("ok", {"deed": verb})


def test_a_switch_is_answered_by_its_own_topic_unless_somebody_wants_more(control, helm):
    assert handle(control, "desk/enabled/set", b"OFF") == []
    assert helm.done == [("switch", "desk", "enabled", False)]
    ((topic, answer),) = handle(control, "desk/enabled/set", b'{"value":"ON","transaction":5}')
    assert (topic, answer["transaction"]) == ("ferd/hall/response/enabled", 5)


def test_what_fails_on_purpose_is_the_answer(control, helm):
    helm.error = ConfigError("ferd.toml:3: unknown key")
    ((_, answer),) = handle(control, "request/reload", b'{"transaction":"a"}')
    assert answer == {
        "v": 1,
        "status": "error",
        "error": "ferd.toml:3: unknown key",
        "data": {},
        "transaction": "a",
    }


def test_what_fails_by_mistake_is_logged_and_answered(control, helm, caplog):
    helm.error = ZeroDivisionError("oops")
    ((_, answer),) = handle(control, "request/reload")
    assert answer["status"] == "error"
    assert "oops" not in answer["error"]
    assert "ZeroDivisionError" in caplog.text


def test_retained_does_nothing(control, helm):
    assert handle(control, "request/restart", retained=True) == []
    assert helm.done == []


def test_a_wrong_switch_is_answered_with_its_camera(control, helm):
    ((topic, answer),) = handle(control, "desk/enabled/set", b"perhaps")
    assert (topic, answer["data"], answer["error"]) == (
        "ferd/hall/response/enabled",
        {"camera": "desk"},
        "send ON or OFF",
    )
    assert helm.done == []


def test_rubbish_does_not_fill_the_log(control, caplog):
    caplog.set_level(logging.INFO)
    for second in range(120):
        assert handle(control, "desk/enabled/set", b"rubbish", now=float(second))
    assert len(caplog.records) == 2


def test_who_sends_too_much_is_not_heard(caplog):
    wake = threading.Event()
    inbox = CommandQueue(wake)
    for number in range(INBOX + 10):
        inbox.put(IncomingMessage(str(number), b""))
    taken = []
    while wake.is_set():
        wake.clear()
        batch = inbox.take(0.0)
        assert len(batch) <= AT_A_TIME, "the next picture must have its turn"
        taken += batch
    assert [heard.topic for heard in taken] == [str(number) for number in range(INBOX)]
    assert caplog.text.count("dropped=10") == 1


def test_a_huge_payload_does_not_wait_in_memory(control):
    inbox = CommandQueue(threading.Event())
    inbox.put(IncomingMessage("ferd/hall/request/reload", b"x" * 10_000_000))
    (heard,) = inbox.take(0.0)
    assert len(heard.payload) < 5000
    (message,) = control.handle(heard, (), 0.0)
    assert b"too long" in message.payload
