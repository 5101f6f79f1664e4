"""What is done with a command, what is answered, and what a flood of them ends in."""

from __future__ import annotations

import logging
import threading

import pytest

from ferd.commands import ANSWERS_KEPT, REPLACED, CommandHandler, CommandQueue
from ferd.errors import ConfigError
from ferd.snapshot import Command


class Target:
    def __init__(self):
        self.done = []
        self.error = None

    def __getattr__(self, method):
        def do(*arguments):
            self.done.append((method, *arguments))
            if self.error:
                raise self.error
            return None if method == "reload" else {"did": method}

        return do


@pytest.fixture
def target():
    return Target()


@pytest.fixture
def handler(target):
    return CommandHandler(target)


@pytest.fixture
def queue():
    return CommandQueue(threading.Event())


def asked(verb, camera=None, value=None):
    answers = []
    return Command(verb, camera, value, lambda error, data: answers.append((error, data))), answers


@pytest.mark.parametrize(
    ("verb", "value", "call"),
    [
        ("restart", None, ("restart", 5.0)),
        ("republish", None, ("republish",)),
        ("snooze", 60.0, ("snooze", 60.0)),
        ("log_level", "debug", ("log_level", "debug")),
    ],
)
def test_each_request_is_done_and_answered(handler, target, verb, value, call):
    command, answers = asked(verb, value=value)
    handler.handle(command, 5.0)
    assert target.done == [call]
    assert answers == [(None, {"did": verb})]


def test_a_reload_answers_later_by_itself(handler, target):
    command, answers = asked("reload")
    handler.handle(command, 0.0)
    assert target.done == [("reload", command)]
    assert answers == []


def test_a_switch_is_set(handler, target):
    command, answers = asked("enabled", "desk", value=False)
    handler.handle(command, 0.0)
    assert target.done == [("set_switch", "desk", "enabled", False)]
    assert answers == [(None, {"did": "set_switch"})]


def test_a_failure_with_a_remedy_is_the_answer(handler, target):
    target.error = ConfigError("ferd.toml:3: unknown key")
    command, answers = asked("reload")
    handler.handle(command, 0.0)
    assert answers == [("ferd.toml:3: unknown key", {})]


def test_a_bug_is_logged_and_answered_without_its_text(handler, target, caplog):
    target.error = ZeroDivisionError("oops")
    command, answers = asked("republish")
    handler.handle(command, 0.0)
    assert "oops" not in answers[0][0]
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_fails_harms_nothing(handler, target, caplog):
    def broken(_error, _data):
        raise OSError("gone")

    handler.handle(Command("republish", reply=broken), 0.0)
    assert target.done == [("republish",)]
    assert "not answered" in caplog.text


def test_a_flood_ends_in_the_last_value(queue):
    """1,500 sensitivities that end in 77, and a flood of ON and OFF that ends in OFF."""
    for number in range(1500):
        queue.submit(Command("sensitivity", "desk", float(number % 100)))
        queue.submit(Command("enabled", "desk", number % 2 == 0))
    queue.submit(Command("sensitivity", "desk", 77.0))
    assert [(command.verb, command.value) for command in queue.take()] == [("enabled", False), ("sensitivity", 77.0)]
    assert queue.take() == []


def test_switches_of_two_cameras_do_not_replace_each_other(queue):
    queue.submit(Command("enabled", "desk", False))
    queue.submit(Command("enabled", "door", True))
    assert [(command.camera, command.value) for command in queue.take()] == [("desk", False), ("door", True)]


def test_who_was_replaced_is_answered(queue):
    first, answers = asked("enabled", "desk", value=True)
    queue.submit(first)
    queue.submit(Command("enabled", "desk", False))
    queue.take()
    assert answers == [(REPLACED, {})]


def test_what_waits_to_be_answered_is_bounded(queue):
    answers = []
    for number in range(5 * ANSWERS_KEPT):
        queue.submit(Command("enabled", "desk", True, lambda *_it, n=number: answers.append(n)))
    queue.take()
    assert answers == list(range(4 * ANSWERS_KEPT - 1, 5 * ANSWERS_KEPT - 1))


def test_a_flood_does_not_fill_the_log(handler, target, caplog):
    caplog.set_level(logging.INFO)
    for number in range(1000):
        handler.handle(Command("sensitivity", "desk", 1.0), number / 100)
    assert len(caplog.records) <= 3 * 10
    caplog.clear()
    target.error = ConfigError("no")
    for number in range(120):
        handler.handle(Command("snooze", None, 1.0), 100.0 + number)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2
