from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.mqtt.requests import (
    MAX_PAYLOAD,
    REQUESTS,
    SNOOZE_S,
    CommandReceiver,
    IncomingMessage,
    ParsedCommand,
    Refusal,
    ReplyInfo,
    Value,
    filters,
    parse,
    respond,
)
from ferd.snapshot import Command
from ferd.switches import SWITCHES
from ferd.topics import TAKEN, Message

NODE, CAMERAS = "hall", ("desk", "door")
EVERY_TOPIC = [f"ferd/hall/desk/{switch}/set" for switch in SWITCHES] + [f"ferd/hall/request/{it}" for it in REQUESTS]


def parsed(topic: str, payload: bytes | str | dict[str, object], **more: object) -> ParsedCommand | Refusal | None:
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    data = payload.encode() if isinstance(payload, str) else payload
    return parse(NODE, CAMERAS, IncomingMessage(topic, data, **more))  # type: ignore[arg-type]


def value(topic: str, payload: bytes | str | dict[str, object]) -> Value:
    command = parsed(topic, payload)
    assert isinstance(command, ParsedCommand), command
    return command.value


def error(topic: str, payload: bytes | str | dict[str, object]) -> str:
    refusal = parsed(topic, payload)
    assert isinstance(refusal, Refusal), refusal
    return refusal.error


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((text, True) for text in ("ON", "on", "true", "True", "1", " On\n", '{"value":true}', '{"value":"ON"}')),
        *((text, False) for text in ("OFF", "off", "false", "False", "0", "Off", '{"value":false}', '{"value":0}')),
    ],
)
def test_switches_take_all_usual_words(text: str, meant: bool):
    assert value("ferd/hall/desk/enabled/set", text) is meant
    assert value("ferd/hall/desk/buzzer/set", text) is meant


def test_a_switch_names_its_camera():
    command = parsed("ferd/hall/door/enabled/set", "OFF")
    assert command == ParsedCommand("enabled", "door", False, ReplyInfo())


def test_sensitivity_is_a_number_from_0_to_100():
    assert [value("ferd/hall/desk/sensitivity/set", text) for text in ("0", "72.5", "100")] == [0, 72.5, 100]
    for text in ("-1", "100.1", "nan", "inf", "much", "", "1e999", '{"value":true}', '{"value":[]}', '{"value":null}'):
        assert "number from 0 to 100" in error("ferd/hall/desk/sensitivity/set", text)


@pytest.mark.parametrize("verb", ["restart", "republish", "reload"])
@pytest.mark.parametrize("payload", ["", "PRESS", "{}", '{"transaction":"a1"}'])
def test_requests_without_a_value(verb: str, payload: str):
    command = parsed(f"ferd/hall/request/{verb}", payload)
    assert isinstance(command, ParsedCommand)
    assert command.reply_info.transaction == ("a1" if "a1" in payload else None)
    assert "takes no value" in error(f"ferd/hall/request/{verb}", "now")


def test_a_snooze_has_seconds_or_the_usual_ones():
    assert value("ferd/hall/request/snooze", "PRESS") == SNOOZE_S
    assert value("ferd/hall/request/snooze", {"transaction": 7}) == SNOOZE_S
    assert value("ferd/hall/request/snooze", "60") == 60
    assert value("ferd/hall/request/snooze", {"seconds": 0}) == 0
    assert "0 to 3600" in error("ferd/hall/request/snooze", "4000")


def test_a_log_level_is_required():
    assert value("ferd/hall/request/log_level", "DEBUG") == "debug"
    assert value("ferd/hall/request/log_level", {"level": "info"}) == "info"
    for payload in ("", "PRESS", "loud"):
        assert "debug, info, warning, error" in error("ferd/hall/request/log_level", payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"{" + b" " * MAX_PAYLOAD, "at most 4096 bytes"),
        (b'{"a":' * 700, "JSON"),
        (b'{"v":' + b"9" * 4000 + b"}", "unknown key"),
        (b'{"loud":1}', "unknown key 'loud'; known: transaction"),
        (b'{"transaction":[1]}', "transaction must be"),
        (b'{"transaction":NaN}', "transaction must be"),
        (b'{"transaction":true}', "transaction must be"),
        (b'{"transaction":"\\ud800"}', "transaction must be"),
        (b'{"\\ud800":1}', "unknown key"),
    ],
)
def test_a_wrong_payload_is_refused_with_the_reason(payload: bytes, words: str):
    assert words in error("ferd/hall/request/reload", payload)


def test_a_wrong_request_keeps_its_transaction():
    refusal = parsed("ferd/hall/request/snooze", {"transaction": "a1", "seconds": "long"})
    assert isinstance(refusal, Refusal)
    assert refusal.reply_info.transaction == "a1"


def test_an_unknown_name_is_refused_with_the_known_ones():
    assert "known: desk, door" in error("ferd/hall/attic/enabled/set", "ON")
    assert "known: enabled, buzzer, sensitivity" in error("ferd/hall/desk/zoom/set", "ON")
    assert "known: restart" in error("ferd/hall/request/explode", "")


@pytest.mark.parametrize("topic", EVERY_TOPIC)
def test_what_is_retained_is_not_for_us(topic: str):
    assert parsed(topic, "ON", retained=True) is None


@pytest.mark.parametrize(
    "topic",
    [
        "ferd/door/request/restart",
        "ferd/hall/desk/state",
        "ferd/hall/request",
        "ferd/hall/request/restart/now",
        "ferd/hall/request/REBOOT",
        "",
        "/",
        "homeassistant/status",
    ],
)
def test_other_topics_are_not_for_us(topic: str):
    assert parsed(topic, "") is None


@pytest.mark.parametrize("topic", EVERY_TOPIC)
def test_ten_thousand_random_payloads_on_each_topic(topic: str):
    """Whatever comes is understood or refused with a reason; nothing raises, and every answer is good JSON."""
    chance = random.Random(topic)
    pieces = [b"{", b"}", b'"transaction"', b'"value"', b'"seconds"', b'"level"', b":", b",", b"[", b"1e9", b"NaN"]
    pieces += [b"ON", b"off", b"50", b"-", b"\x00", b"\xff", b"\xed\xa0\x80", b"\\u", b"d800", b"null", b"true", b" "]
    for _ in range(10_000):
        if chance.random() < 0.5:
            payload = chance.randbytes(int(chance.expovariate(1 / 40)))
        else:
            payload = b"".join(chance.choices(pieces, k=chance.randrange(12)))
        understood = parsed(topic, payload, reply_to="ferd/hall/response/b", correlation=b"\x00")
        assert isinstance(understood, ParsedCommand | Refusal)
        if isinstance(understood, Refusal):
            for message in respond(NODE, understood.verb, understood.reply_info, error=understood.error):
                assert json.loads(message.encoded())["status"] == "error"


@given(st.binary(max_size=200), st.sampled_from(EVERY_TOPIC), st.text(max_size=20))
def test_nothing_raises(payload: bytes, topic: str, reply_to: str):
    assert parsed(topic, payload, reply_to=reply_to) is not None


def test_every_topic_that_is_documented_is_understood_and_subscribed():
    ours = [topic for topic in TAKEN if topic.pattern.startswith("ferd/")]
    patterns = [pattern.split("/") for pattern in filters(NODE)]
    for topic in ours:
        name = topic.at(node=NODE, camera="desk")
        assert name in EVERY_TOPIC
        levels = name.split("/")
        assert any(
            len(levels) == len(it) and all(b in (a, "+") for a, b in zip(levels, it, strict=True)) for it in patterns
        )
    assert len(ours) == len(EVERY_TOPIC)


def test_the_response_carries_the_transaction():
    (message,) = respond(NODE, "reload", ReplyInfo("a1"), data={"changed": "mqtt"})
    assert (message.topic, message.retain, message.qos) == ("ferd/hall/response/reload", False, 1)
    assert json.loads(message.encoded()) == {
        "v": 1,
        "status": "ok",
        "error": None,
        "data": {"changed": "mqtt"},
        "transaction": "a1",
    }


@pytest.mark.parametrize(
    ("reply_to", "topics"),
    [
        ("ferd/hall/response/reload/7", ["ferd/hall/response/reload", "ferd/hall/response/reload/7"]),
        ("my/answers", ["ferd/hall/response/reload"]),
        ("zigbee2mqtt/lock/set", ["ferd/hall/response/reload"]),
        ("ferd/other/response/reload", ["ferd/hall/response/reload"]),
        ("ferd/hall/response/", ["ferd/hall/response/reload"]),
        ("ferd/hall/response/#", ["ferd/hall/response/reload"]),
        ("ferd/hall/response/reload", ["ferd/hall/response/reload"]),
        ("ferd/hall/response/mine", ["ferd/hall/response/reload", "ferd/hall/response/mine"]),
        ("ferd/hall/desk/alert", ["ferd/hall/response/reload"]),
        ("ferd/hall/request/reload", ["ferd/hall/response/reload"]),
        ("homeassistant/device/x/config", ["ferd/hall/response/reload"]),
        ("a/#", ["ferd/hall/response/reload"]),
        ("$SYS/x", ["ferd/hall/response/reload"]),
        ("", ["ferd/hall/response/reload"]),
        ("x" * 300, ["ferd/hall/response/reload"]),
        ("\ud800", ["ferd/hall/response/reload"]),
    ],
)
def test_a_response_topic_is_used_below_our_own_responses_only(reply_to: str, topics: list[str]):
    command = parsed("ferd/hall/request/reload", "", reply_to=reply_to, correlation=b"c")
    assert isinstance(command, ParsedCommand)
    messages = respond(NODE, command.verb, command.reply_info)
    assert [message.topic for message in messages] == topics
    assert messages[-1].correlation == (b"c" if command.reply_info.reply_to else None)


class Desk:
    """What a receiver passes on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.commands: list[Command] = []
        self.messages: list[Message] = []
        self.receiver = CommandReceiver(NODE, CAMERAS, self.commands.append, self.messages.append, lambda: self.now)

    def receive(self, topic: str, payload: bytes = b"", **more: Any) -> list[tuple[str, Any]]:
        self.messages.clear()
        self.receiver.handle(IncomingMessage(topic, payload, **more))
        return self.answers()

    def answers(self) -> list[tuple[str, Any]]:
        return [(message.topic, json.loads(message.encoded())) for message in self.messages]


def test_a_command_is_passed_on_with_a_way_to_answer_it():
    desk = Desk()
    assert (
        desk.receive(
            "ferd/hall/request/log_level", b'{"level":"debug","transaction":5}', reply_to="ferd/hall/response/b"
        )
        == []
    )
    (command,) = desk.commands
    assert (command.verb, command.camera, command.value, command.source) == ("log_level", None, "debug", "mqtt")
    assert command.reply is not None
    command.reply(None, {"level": "debug"})
    answer = {"v": 1, "status": "ok", "error": None, "data": {"level": "debug"}, "transaction": 5}
    assert desk.answers() == [("ferd/hall/response/log_level", answer), ("ferd/hall/response/b", answer)]
    desk.messages.clear()
    command.reply("ferd.toml:3: unknown key", {})
    assert [(it["status"], it["error"]) for _, it in desk.answers()] == [("error", "ferd.toml:3: unknown key")] * 2


def test_a_switch_is_answered_by_its_own_topic_unless_the_sender_wants_more_or_it_fails():
    desk = Desk()
    for payload in (b"OFF", b'{"value":"ON","transaction":5}'):
        desk.receive("ferd/hall/desk/enabled/set", payload)
    bare, asked = (command.reply for command in desk.commands)
    assert bare is not None
    assert asked is not None
    bare(None, {"camera": "desk", "enabled": False})
    assert desk.answers() == []
    asked(None, {"camera": "desk", "enabled": True})
    ((topic, answer),) = desk.answers()
    assert (topic, answer["transaction"]) == ("ferd/hall/response/enabled", 5)
    desk.messages.clear()
    bare("it failed", {})
    ((_, answer),) = desk.answers()
    assert (answer["status"], answer["data"]) == ("error", {"camera": "desk"})


def test_a_refusal_is_answered_at_once_and_not_passed_on():
    desk = Desk()
    ((topic, answer),) = desk.receive("ferd/hall/desk/enabled/set", b"perhaps")
    assert (topic, answer["data"], answer["error"]) == (
        "ferd/hall/response/enabled",
        {"camera": "desk"},
        "send ON or OFF",
    )
    ((_, answer),) = desk.receive("ferd/hall/request/reload", b"x" * 10_000_000)
    assert "too long" in answer["error"]
    assert desk.receive("ferd/hall/request/restart", retained=True) == []
    assert desk.commands == []


def test_rubbish_does_not_fill_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    desk = Desk()
    for second in range(120):
        desk.now = float(second)
        assert desk.receive("ferd/hall/desk/enabled/set", b"rubbish")
    assert len(caplog.records) == 2
