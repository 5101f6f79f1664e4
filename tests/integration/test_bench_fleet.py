"""scripts/bench-fleet with a fleet of five: it runs, and loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts/lib/bench_fleet.py"


def test_five_nodes_and_a_restart_of_the_broker_lose_nothing():
    command = [sys.executable, str(BENCH), "--nodes", "5", "--per-process", "3", "--every", "1"]
    environ = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    run = subprocess.run(
        [*command, "--seconds", "2", "--away", "0.5", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
        env=environ,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    assert result["nodes"] == 5
    assert result["told_events"] >= result["events"] > 0
    assert result["lost_events"] == result["wrong_states"] == result["not_back"] == 0
    assert result["delay_p50_ms"] <= result["delay_p99_ms"]
    assert result["back_last_s"] is not None
