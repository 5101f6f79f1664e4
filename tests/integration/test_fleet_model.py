"""scripts/bench-fleet --simulate: the model, and what docs/fleet.md quotes of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))

from fleet_model import CONSTANTS, Plan, forecast, report  # noqa: E402


@pytest.mark.parametrize("nodes", [1, 500, 100_000])
def test_every_need_grows_with_the_fleet(nodes: int):
    small, large = forecast(Plan(nodes)), forecast(Plan(10 * nodes))
    for name in ("messages_a_second", "megabit_a_second", "events_a_day", "storage_gb", "cost_a_month", "retained_mb"):
        assert getattr(large, name) > getattr(small, name) > 0, name
    assert large.mosquittos >= small.mosquittos >= 1
    assert large.rabbit_nodes >= small.rabbit_nodes >= 3
    assert large.rabbit_nodes % 2 == 1


def test_it_agrees_with_what_it_was_fitted_to():
    """500 nodes with a face in view sent 54 messages a second, and mosquitto used 0.6 % of a core for one listener."""
    it = forecast(Plan(500, busy=1.0, subscribers=1, use=1.0))
    faces = it.messages_a_second - 500 / 60
    assert faces == pytest.approx(54, rel=0.02)
    core = next(limit.share for limit in it.limits if "core" in limit.name)
    assert core == pytest.approx(0.006 * it.messages_a_second / 54, rel=0.05)


def test_a_quiet_fleet_stores_nothing_and_costs_the_brokers():
    it = forecast(Plan(1000, busy=0.0))
    assert it.events_a_day == it.storage_gb == 0
    assert it.messages_a_second == pytest.approx(1000 / 60)


@pytest.mark.parametrize(("knob", "value"), [("busy", 0.1), ("subscribers", 1), ("broker_gb", 16)])
def test_a_knob_that_is_turned_down_helps(knob: str, value: float):
    plan = Plan(100_000)
    before, after = forecast(plan), forecast(replace(plan, **{knob: value}))
    figures = ("storage_gb", "peak_megabit_a_second", "rabbit_nodes")
    assert any(getattr(after, name) < getattr(before, name) for name in figures)
    assert all(getattr(after, name) <= getattr(before, name) for name in figures)


@pytest.mark.parametrize("wrong", [{"nodes": 0}, {"nodes": 5, "busy": 2.0}, {"nodes": 5, "subscribers": -1}])
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="nodes must be"):
        forecast(Plan(**wrong))


def test_every_constant_names_its_source():
    for name, constant in CONSTANTS.items():
        assert constant.value > 0, name
        assert len(constant.source) > 10, name


def test_the_command_prints_it_without_a_broker():
    command = [sys.executable, str(ROOT / "scripts/lib/bench_fleet.py"), "--simulate"]
    run = subprocess.run([*command, "100000", "--busy", "0.5"], check=True, capture_output=True, text=True)
    assert run.stdout.rstrip() == report(Plan(100_000, busy=0.5))
    wrong = subprocess.run([*command, "0"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "nodes must be 1 or more" in wrong.stderr


def test_the_page_quotes_the_model():
    page = " ".join((ROOT / "docs/fleet.md").read_text().split())
    for nodes in (500, 10_000, 100_000):
        it = forecast(Plan(nodes))
        row = f"| {nodes:,} | {it.messages_a_second:,.0f} / {it.peak_messages_a_second:,.0f} |"
        assert row in page, row
        assert f"| {it.mosquittos} | {it.rabbit_nodes} | {it.storage_gb_a_day:,.2f} |" in page, nodes
