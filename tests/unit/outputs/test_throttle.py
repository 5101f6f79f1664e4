"""Thermal throttling: what follows from the board's state, and when the full frame rate returns."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.throttle import CALM_S, COOL_C, LOOK_EVERY_S, ThrottleMonitor, ThrottleState, judge


@pytest.fixture
def board(tmp_path: Path):
    """Files of sysfs as a Pi has them, and a function that changes their content."""
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("cpu-thermal\n")

    def says(bits: str, celsius: float) -> None:
        (tmp_path / "get_throttled").write_text(bits + "\n")
        (zone / "temp").write_text(f"{celsius * 1000:.0f}\n")

    says("0", 50)
    return tmp_path, says


def test_throttling_starts_and_is_cleared_and_both_are_logged_once(board, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    folder, says = board
    monitor = ThrottleMonitor(folder, folder / "get_throttled")
    assert not monitor.look(0)
    says("e0008", 81)
    assert not monitor.look(LOOK_EVERY_S - 1), "not due yet"
    assert monitor.look(10)
    assert monitor.look(20)
    says("e0000", 70)  # the upper bits say what happened since boot
    assert monitor.look(30)
    assert monitor.look(30 + CALM_S - 1)
    assert not monitor.look(40 + CALM_S)
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 2
    assert "reasons=soft_temperature_limit temperature_c=81" in logged[0]
    assert "full frame rate restored temperature_c=70" in logged[1]


def test_a_board_that_stays_hot_stays_throttled(board):
    folder, says = board
    monitor = ThrottleMonitor(folder, folder / "get_throttled")
    says("4", 82)
    assert monitor.look(0)
    says("0", COOL_C + 1)
    assert all(monitor.look(t) for t in range(10, 600, 10))


@pytest.mark.parametrize("bits", ["1", "50005x", "", "10000"])
def test_under_voltage_alone_and_nonsense_throttle_nothing(board, bits: str):
    folder, says = board
    says(bits, 90)
    assert not ThrottleMonitor(folder, folder / "get_throttled").look(0)


def test_a_machine_without_sensors_is_never_throttled(tmp_path: Path):
    assert not ThrottleMonitor(tmp_path / "none", tmp_path / "none").look(0)


@given(st.lists(st.tuples(st.booleans(), st.floats(40, 90)), max_size=60))
def test_throttling_is_cleared_only_after_a_calm_while(samples: list[tuple[bool, float]]):
    """While the board reports throttling the state says so, and it ends only when all was well for CALM_S."""
    state, hot_at = ThrottleState(), float("-inf")
    for step, (throttled, celsius) in enumerate(samples):
        now = step * LOOK_EVERY_S * 2
        before, state = state, judge(state, ["throttled"] if throttled else [], celsius, now)
        if throttled or celsius >= COOL_C:
            hot_at = now
        assert state.throttled or not throttled
        if before.throttled and not state.throttled:
            assert now - hot_at >= CALM_S
