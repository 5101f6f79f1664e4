"""Heat: what is made of the board's own words, and when all pictures are read again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.throttle import CALM_S, COOL_C, LOOK_EVERY_S, ThrottleMonitor, ThrottleState, judge


@pytest.fixture
def board(tmp_path: Path):
    """Files of sysfs as a Pi has them; call it to change what they say."""
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("cpu-thermal\n")

    def says(bits: str, celsius: float) -> None:
        (tmp_path / "get_throttled").write_text(bits + "\n")
        (zone / "temp").write_text(f"{celsius * 1000:.0f}\n")

    says("0", 50)
    return tmp_path, says


def test_it_slows_down_and_comes_back_and_tells_both_once(board, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    folder, says = board
    heat = ThrottleMonitor(folder, folder / "get_throttled")
    assert not heat.look(0)
    says("e0008", 81)
    assert not heat.look(LOOK_EVERY_S - 1), "looked before its time"
    assert heat.look(10)
    assert heat.look(20)
    says("e0000", 70)  # what was since boot is over
    assert heat.look(30)
    assert heat.look(30 + CALM_S - 1)
    assert not heat.look(40 + CALM_S)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "reasons=soft_temperature_limit temperature_c=81" in said[0]
    assert "all pictures are read temperature_c=70" in said[1]


def test_a_board_that_stays_hot_stays_slowed(board):
    folder, says = board
    heat = ThrottleMonitor(folder, folder / "get_throttled")
    says("4", 82)
    assert heat.look(0)
    says("0", COOL_C + 1)
    assert all(heat.look(t) for t in range(10, 600, 10))


@pytest.mark.parametrize("bits", ["1", "50005x", "", "10000"])
def test_under_voltage_alone_and_nonsense_slow_nothing(board, bits: str):
    folder, says = board
    says(bits, 90)
    assert not ThrottleMonitor(folder, folder / "get_throttled").look(0)


def test_a_machine_that_tells_nothing_is_never_slowed(tmp_path: Path):
    assert not ThrottleMonitor(tmp_path / "none", tmp_path / "none").look(0)


@given(st.lists(st.tuples(st.booleans(), st.floats(40, 90)), max_size=60))
def test_it_is_let_go_only_after_a_calm_while(told: list[tuple[bool, float]]):
    """Whatever the board says: while it says slowed, it is; and let go only when all was well for CALM_S."""
    strain, unwell_at = ThrottleState(), float("-inf")
    for step, (throttled, celsius) in enumerate(told):
        now = step * LOOK_EVERY_S * 2
        before, strain = strain, judge(strain, ["throttled"] if throttled else [], celsius, now)
        if throttled or celsius >= COOL_C:
            unwell_at = now
        assert strain.slowed or not throttled
        if before.slowed and not strain.slowed:
            assert now - unwell_at >= CALM_S
