"""Limit log lines that repeat: a flood of commands, or a fault in a loop, must not fill the disk of a small board."""

from __future__ import annotations

import logging

A_SECOND = 3
"""Lines of one kind (one logger, one text before its values are filled in) that pass in one second."""
KINDS = 1000
"""Kinds of lines that are counted. Texts that already contain their values could be many."""


class RepeatFilter(logging.Filter):
    """Let at most A_SECOND lines of one kind pass in a second; the next one that passes says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._counted: dict[tuple[str, object], tuple[int, int]] = {}  # kind -> second, lines in it
        self._left_out: dict[tuple[str, object], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, second = (record.name, record.msg), int(record.created)
        if len(self._counted) >= KINDS:
            self._counted = {other: it for other, it in self._counted.items() if it[0] == second}
        began, lines = self._counted.get(kind, (second, 0))
        lines = lines + 1 if began == second else 1
        self._counted[kind] = (second, lines)
        if lines > A_SECOND:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        if left_out := self._left_out.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} left_out={left_out}", ()
        return True
