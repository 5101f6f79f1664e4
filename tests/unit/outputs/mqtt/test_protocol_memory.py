from __future__ import annotations

import random

from ferd.outputs.mqtt.protocol_memory import NEWER_AGAIN, ProtocolMemory


def never() -> float:
    return 0.99


def test_after_two_refusals_the_older_version_comes_first():
    memory = ProtocolMemory(chance=never)
    memory.accepted("3.1.1", other_was_refused=True)
    assert memory.first() == "5", "a broker that starts may close one connection"
    memory.accepted("3.1.1", other_was_refused=True)
    assert memory.first() == "3.1.1"


def test_silence_is_no_refusal():
    memory = ProtocolMemory(chance=never)
    for _ in range(5):
        memory.accepted("3.1.1")
    assert memory.first() == "5"


def test_an_upgraded_broker_is_found_and_remembered():
    memory = ProtocolMemory(chance=random.Random(1).random)
    for _ in range(2):
        memory.accepted("3.1.1", other_was_refused=True)
    tries = [memory.first() for _ in range(2000)]
    assert 0.5 < tries.count("5") / (2000 * NEWER_AGAIN) < 2
    memory.accepted("5")
    assert {memory.first() for _ in range(100)} == {"5"}


def test_what_is_preferred_is_kept_where_nothing_is_known():
    assert ProtocolMemory("3.1.1", never).first() == "3.1.1"
