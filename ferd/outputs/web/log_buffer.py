"""The last lines of the log, for the page."""

from __future__ import annotations

import logging
from collections import deque

KEPT = 200
LONGEST = 1000


class LogBuffer(logging.Handler):
    """Keeps warnings and news; what the page's own server says stays out."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[dict[str, object]] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("uvicorn"):
            return
        try:
            text = record.getMessage()[:LONGEST]
        except Exception:  # noqa: BLE001  # a line that cannot be written is none
            return
        self._lines.append({"at": round(record.created, 1), "level": record.levelname.lower(), "text": text})

    def lines(self) -> list[dict[str, object]]:
        """The oldest first."""
        self.acquire()
        try:
            return list(self._lines)
        finally:
            self.release()
