from __future__ import annotations

import logging

import pytest

from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.connection_policy import (
    SHORT_LIVES,
    STABLE_AFTER_S,
    TAKEN_WAITS_S,
    Backoff,
    ConnectionPolicy,
    Ending,
)
from ferd.outputs.mqtt.server_limits import ServerLimits


def test_the_limit_doubles_up_to_45_s_and_starts_again():
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 45, 45]
    backoff.reset()
    assert backoff.next() == 1


def test_the_jitter_is_full():
    assert Backoff(chance=lambda: 0.0).next() == 0


def test_slow_is_half_of_the_longest_to_all_of_it():
    assert [Backoff(chance=lambda c=c: c).slow() for c in (0.0, 1.0)] == [22.5, 45]


OWN = "ferd_abcdef-pi"


def policy_of(servers: int = 1) -> ConnectionPolicy:
    names = tuple((f"b{number}", 1883) for number in range(servers)) if servers > 1 else ()
    return ConnectionPolicy(BrokerSettings("b0", 1883, servers=names), OWN, Backoff(chance=lambda: 0.0))


def end(policy: ConnectionPolicy, *endings: Ending) -> None:
    for ending in endings:
        if ending.lasted_s is not None:
            policy.connected("3.1.1", ServerLimits())
        policy.ended(ending)


def said(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.getMessage().startswith(word)]


TAKEN = Ending("taken", "Session taken over", 2.0)
KICKED = Ending("lost", "connection lost", 2.0, served=True)
DROPPED = Ending("lost", "connection lost", 2.0)
LASTED = Ending("lost", "connection lost", STABLE_AFTER_S + 1, served=True)
ABSENT = Ending("absent", "Connection refused")


def test_a_client_that_took_our_connection_keeps_it_for_a_while_and_a_second_time_we_take_another_id(
    caplog: pytest.LogCaptureFixture,
):
    """`ferd doctor` must have time to finish. With use_username_as_clientid another id does not help."""
    caplog.set_level(logging.INFO)
    policy, pauses, ids = policy_of(), [], []
    for _ in range(6):
        end(policy, TAKEN)
        pauses.append(policy.pause_s(TAKEN))
        ids.append(policy.client_id)
    assert all(TAKEN_WAITS_S[0] <= pause_s <= TAKEN_WAITS_S[1] for pause_s in pauses[:2])
    assert pauses[2:] == [22.5] * 4
    assert ids[0] == OWN
    assert ids[1] == ids[2] != OWN
    assert ids[3:] == [OWN] * 3, "another id did not help"
    assert len(said(caplog, "using another id")) == 1
    assert "node.name" in said(caplog, "no connection lasts client_id")[0]
    assert "use_username_as_clientid" in said(caplog, "no connection lasts with another id either")[0]


def test_a_session_that_a_cluster_still_holds_elsewhere_is_no_other_client():
    """Taken over once, soon after the move, and again only after a connection that lasted."""
    policy = policy_of(3)
    end(policy, TAKEN, LASTED, TAKEN, LASTED, TAKEN)
    assert policy.client_id == OWN


@pytest.mark.parametrize("servers", [1, 3])
def test_connections_that_a_broker_serves_and_closes_again_and_again_are_evidence(servers: int):
    policy = policy_of(servers)
    end(policy, *[KICKED] * (SHORT_LIVES * servers - 1))
    assert policy.client_id == OWN
    end(policy, KICKED)
    assert policy.client_id.startswith(f"{OWN}-")


@pytest.mark.parametrize("trouble", [ABSENT, DROPPED, Ending("silent", "no answer"), Ending("unwilling", "busy")])
def test_a_storm_is_no_other_client(trouble: Ending, caplog: pytest.LogCaptureFixture):
    """993 of 1000 nodes of an overloaded cluster used to take another id."""
    caplog.set_level(logging.INFO)
    policy = policy_of()
    end(policy, *[KICKED, KICKED, trouble] * 20)
    end(policy, *[DROPPED] * 20)
    assert policy.client_id == OWN
    assert not said(caplog, "using another id")
    assert len(said(caplog, "no connection lasts")) <= 1
    assert len(said(caplog, "lost")) < 10


def test_that_no_connection_lasts_is_reported_once_without_blaming_another_client(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    policy = policy_of()
    end(policy, *[DROPPED] * 20)
    assert len(said(caplog, "no connection lasts")) == 1
    assert "overload" in said(caplog, "no connection lasts")[0]


def test_servers_that_fail_in_different_ways_are_reported_once_each_until_one_works(caplog: pytest.LogCaptureFixture):
    """One unreachable and one half-dead server used to write a line for each attempt."""
    caplog.set_level(logging.INFO)
    policy = policy_of(2)
    end(policy, LASTED, *[ABSENT, Ending("silent", "no answer to our connect")] * 50)
    assert [len(said(caplog, word)) for word in ("lost", "absent", "silent")] == [1, 1, 1]
    end(policy, LASTED, ABSENT)
    assert [len(said(caplog, word)) for word in ("lost", "absent", "silent")] == [2, 2, 1]


def test_three_nodes_that_restart_in_turn_are_no_other_client():
    policy = policy_of(3)
    for _ in range(5):
        end(policy, LASTED, KICKED, KICKED, LASTED)
    assert policy.client_id == OWN


def test_another_id_that_a_broker_refuses_is_given_up():
    policy = policy_of()
    end(policy, *[KICKED] * SHORT_LIVES)
    assert policy.client_id != OWN
    end(policy, Ending("unwilling", "Client identifier not valid"))
    assert policy.client_id == OWN
    end(policy, *[KICKED] * 20)
    assert policy.client_id == OWN


def test_another_id_that_helps_stays():
    policy = policy_of()
    end(policy, *[KICKED] * SHORT_LIVES)
    other = policy.client_id
    end(policy, LASTED, Ending("unwilling", "busy"), DROPPED)
    assert policy.client_id == other


def test_a_connection_that_is_taken_once_a_day_is_no_war():
    policy = ConnectionPolicy(BrokerSettings("broker", 1883), "ferd_abcdef-pi", Backoff(chance=lambda: 0.0))
    for _ in range(5):
        taken = Ending("taken", "Session taken over", 86_400.0)
        policy.ended(taken)
        assert policy.pause_s(taken) <= TAKEN_WAITS_S[1]
