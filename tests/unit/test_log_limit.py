from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ferd.cli.common import set_up_logging
from ferd.log_limit import A_SECOND, KINDS, RepeatFilter


def record(at: float, text: str = "buzzer snoozed seconds=%d", value: int = 5, name: str = "ferd") -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, __file__, 1, text, (value,), None)
    made.created = at
    return made


def test_lines_of_one_kind_are_limited_whatever_their_values():
    limit = RepeatFilter()
    passed = [limit.filter(record(10 + step / 50, value=step)) for step in range(50)]
    assert sum(passed) == A_SECOND


def test_other_kinds_are_not_affected():
    limit = RepeatFilter()
    for _ in range(50):
        limit.filter(record(10))
    assert limit.filter(record(10, "camera stopped camera=%d"))
    assert limit.filter(record(10, name="ferd.app"))


def test_the_next_line_says_how_many_were_left_out():
    limit = RepeatFilter()
    for _ in range(50):
        limit.filter(record(10))
    later = record(11)
    assert limit.filter(later)
    assert later.getMessage() == f"buzzer snoozed seconds=5 left_out={50 - A_SECOND}"
    assert record(12).getMessage() == "buzzer snoozed seconds=5"


def test_texts_without_an_end_take_no_memory_without_an_end():
    limit = RepeatFilter()
    for step in range(10 * KINDS):
        assert limit.filter(record(step / 100, f"text {step} %d"))
    assert len(limit._counted) <= KINDS


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    root.level, root.handlers[:] = before[0], before[1]


@pytest.mark.usefixtures("_logging_as_before")
def test_the_daemons_log_is_limited(capsys: pytest.CaptureFixture[str]):
    set_up_logging()
    for step in range(100):
        logging.getLogger("ferd.app").info("reloaded changed=%d", step)
    assert len(capsys.readouterr().err.splitlines()) <= 2 * A_SECOND
