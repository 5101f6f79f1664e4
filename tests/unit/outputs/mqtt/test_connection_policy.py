from __future__ import annotations

import logging

import pytest

from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.connection_policy import TAKEN_WAITS_S, Backoff, ConnectionPolicy, Ending
from ferd.outputs.mqtt.server_limits import ServerLimits


def test_the_limit_doubles_up_to_a_minute_and_starts_again():
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next() == 1


def test_the_jitter_is_full():
    assert Backoff(chance=lambda: 0.0).next() == 0


def test_slow_is_half_a_minute_to_a_minute():
    assert [Backoff(chance=lambda c=c: c).slow() for c in (0.0, 1.0)] == [30, 60]


def test_a_client_that_took_our_connection_keeps_it_for_a_while_and_a_second_time_the_broker_is_suspected(
    caplog: pytest.LogCaptureFixture,
):
    """`ferd doctor` must have time to finish. With use_username_as_clientid another id does not help."""
    caplog.set_level(logging.INFO)
    policy = ConnectionPolicy(BrokerSettings("broker", 1883), "ferd_abcdef-pi", Backoff(chance=lambda: 0.0))
    pauses = []
    for _ in range(5):
        policy.connected("5", ServerLimits())
        taken = Ending("taken", "Session taken over", 2.0)
        policy.ended(taken)
        pauses.append(policy.pause_s(taken))
    assert TAKEN_WAITS_S[0] <= pauses[0] <= TAKEN_WAITS_S[1]
    assert pauses[1:] == [30.0] * 4
    said = [it.getMessage() for it in caplog.records if it.getMessage().startswith("taken over")]
    assert len(said) == 2
    assert "node.name" in said[0]
    assert "use_username_as_clientid" in said[1]
    assert policy.client_id.startswith("ferd_abcdef-pi-")


def test_a_connection_that_is_taken_once_a_day_is_no_war():
    policy = ConnectionPolicy(BrokerSettings("broker", 1883), "ferd_abcdef-pi", Backoff(chance=lambda: 0.0))
    for _ in range(5):
        taken = Ending("taken", "Session taken over", 86_400.0)
        policy.ended(taken)
        assert policy.pause_s(taken) <= TAKEN_WAITS_S[1]
