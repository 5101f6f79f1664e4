"""scripts/bench-cluster: how it judges a run, and a short run with a real cluster."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIB = Path(__file__).parents[2] / "scripts/lib"
sys.path.insert(0, str(LIB))

import bench_cluster  # noqa: E402
import cpu_shares  # noqa: E402
import rabbit_cluster  # noqa: E402
from bench_cluster import Heard, Phase, judge, table, times_back  # noqa: E402
from cpu_shares import CpuShares  # noqa: E402
from fleet_node import MOST_PER_PROCESS, Sent, per_process  # noqa: E402

A, B = "10.0.0.1:1883", "10.0.0.2:1883"


def sent(**more: object) -> Sent:
    found = Sent(events=["one", "two"], changes=["three"], acknowledged=["one", "three"])
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_node_is_back_with_its_first_connection_after_the_fault():
    connections = [("x", 1.0, A), ("y", 1.0, B), ("z", 2.0, A), ("x", 11.0, ""), ("x", 14.0, B), ("x", 15.0, "")]
    phase = Phase("kill -9", 10.0, (A,), 10.0, 20.0)
    assert times_back(phase, connections) == {"x": 4.0, "z": None}


@pytest.mark.parametrize("text", ["0", "-1", "many", str(MOST_PER_PROCESS + 1)])
def test_a_process_is_not_given_more_nodes_than_it_can_wait_for(text):
    assert per_process(str(MOST_PER_PROCESS)) == MOST_PER_PROCESS
    with pytest.raises(argparse.ArgumentTypeError, match="more processes"):
        per_process(text)


def test_what_happened_before_the_quorum_was_there_again_does_not_count():
    connections = [("x", 1.0, A), ("x", 11.0, ""), ("x", 12.0, A), ("x", 13.0, ""), ("x", 31.0, A)]
    assert times_back(Phase("quorum lost", 10.0, (A,), 30.0, 40.0), connections) == {"x": 1.0}


def test_a_node_that_was_early_is_back():
    connections = [("x", 1.0, A), ("x", 11.0, ""), ("x", 29.0, B)]
    assert times_back(Phase("quorum lost", 10.0, (A,), 30.0, 40.0), connections) == {"x": 0.0}


def test_only_what_was_acknowledged_can_be_lost():
    heard = Heard(events=[("one", 1.0, 1.2), ("one", 1.0, 1.4)])
    result = judge(sent(), heard, [Phase("steady", 0.0, ended=9.0)])
    assert result["lost_acknowledged"] == 1  # three
    assert result["unsent"] == 1  # two
    assert result["repeated"] == 1
    assert result["phases"][0]["delay_max_ms"] == pytest.approx(400)


def test_connections_to_a_sound_broker_that_broke_are_counted():
    connections = [("x", 1.0, A), ("y", 1.0, B), ("y", 12.0, ""), ("y", 13.0, B)]
    result = judge(sent(connections=connections), Heard(), [Phase("cut off", 10.0, (A,), 10.0, 20.0)])
    row = result["phases"][0]
    assert (row["connections"], row["also_lost"], row["also_last_s"], row["not_back"]) == (1, 1, 1.0, 1)
    assert "cut off" in table(result)


def test_a_node_that_stays_away_counts_though_nothing_was_done_to_its_broker():
    """493 of 500 nodes were away at the end of a run, and the table showed no late one."""
    connections = [("x", 1.0, B), ("y", 1.0, B), ("x", 12.0, ""), ("y", 13.0, ""), ("y", 93.0, A)]
    result = judge(sent(connections=connections), Heard(), [Phase("restart 1", 10.0, (A,), 10.0, 20.0)])
    assert (result["not_back"], result["late_back"]) == (1, 1)


def test_it_says_what_was_the_limit():
    busy = Phase("restart 1", 0.0, cpu={"brokers": 0.6, "nodes": 0.2, "other work": 0.18, "idle": 0.02})
    calm = Phase("steady", 0.0, cpu={"brokers": 0.1, "nodes": 0.1, "other work": 0.1, "idle": 0.7})
    assert bench_cluster.limit([calm, busy]).startswith("restart 1: the processor, mostly brokers (brokers 60 %")
    assert "not the processor" in bench_cluster.limit([calm])


def test_the_processor_is_shared_out(tmp_path: Path):
    used = [[1.0, 2.0], [1.0, 2.0], [3.0, 0.5], [3.5]]
    shares = CpuShares({"brokers": lambda: used.pop(0) if len(used) > 1 else used[0]}, 100)
    try:
        before = shares.totals()
        time.sleep(0.2)
        after = shares.totals()
        assert 0 <= after["brokers"] - before["brokers"] <= 2.5  # the second process began again: 2 and 0.5
        parts = cpu_shares.shares(
            {"brokers": 1.0, "all": 10.0, "idle": 4.0}, {"brokers": 3.0, "all": 20.0, "idle": 9.0}
        )
        assert parts == pytest.approx({"brokers": 0.2, "other work": 0.3, "idle": 0.5})
    finally:
        shares.stop()


def test_without_rabbitmq_it_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rabbit_cluster, "PROGRAM", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "argv", ["bench-cluster"])
    with pytest.raises(SystemExit, match="apt install rabbitmq-server"):
        bench_cluster.main()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(rabbit_cluster.missing()), reason=rabbit_cluster.missing())
@pytest.mark.skipif(not os.environ.get("FERD_TEST_CLUSTER"), reason="starts three RabbitMQ: set FERD_TEST_CLUSTER=1")
def test_a_killed_node_loses_nothing_that_was_acknowledged():
    command = [sys.executable, str(LIB / "bench_cluster.py"), "--nodes", "9", "--per-process", "5", "--every", "2"]
    environ = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    run = subprocess.run(
        [*command, "--minutes", "0.2", "--faults", "kill", "--json"],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
    )
    assert run.stdout, run.stderr
    result = json.loads(run.stdout)
    assert result["acknowledged"] > 0
    assert result["lost_acknowledged"] == result["unknown"] == result["not_back"] == result["offline_at_the_end"] == 0
