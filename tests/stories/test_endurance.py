"""scripts/soak, fuzz-broker and fuzz-models in seconds instead of minutes: they run, and ferd holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LIB = Path(__file__).parents[2] / "scripts/lib"


def run(name: str, *arguments: str) -> dict[str, Any]:
    environ = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    child = subprocess.run(
        [sys.executable, str(LIB / f"{name}.py"), "--json", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env=environ,
    )
    assert child.returncode == 0, child.stdout[-3000:] + child.stderr[-3000:]
    result: dict[str, Any] = json.loads(child.stdout)
    assert result["faults"] == []
    return result


def test_disturbances_of_half_a_minute_lose_nothing(tmp_path: Path) -> None:
    result = run("soak", "--minutes", "0.6", "--seed", "3")
    assert result["alerts_expected"] > 0
    assert result["alerts_made"] > 0
    assert result["compared"] > 0
    assert result["messages"] > 0
    assert sum(result["done"].values()) >= 3


def test_nonsense_from_a_broker_is_survived() -> None:
    result = run("fuzz_broker", "--minutes", "0.2", "--seed", "2")
    assert sum(result["sent"].values()) > 50
    assert result["rounds"] >= 2
    assert result["damaged"] > 0


def test_damaged_models_are_refused_or_run() -> None:
    result = run("fuzz_models", "--count", "12", "--seed", "1")
    assert result["cases"] == 12
    assert len(result["outcomes"]) > 3
