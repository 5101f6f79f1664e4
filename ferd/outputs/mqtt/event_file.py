"""The file of the journal: one table in SQLite, made for SD cards and power cuts. Knows no policy.

- Write-ahead log: a commit appends to one file instead of rewriting pages in two.
- ``synchronous=FULL``: with a write-ahead log, NORMAL would keep the file whole in a power cut but lose the last
  commits (sqlite.org/pragma.html#pragma_synchronous). The caller commits in batches, so that a commit may cost a sync.
- ``locking_mode=EXCLUSIVE``: no shared memory file, and a second ferd on the same file is told.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ferd.errors import FerdError

LAYOUT = 1
LOCK_WAITS_S = 1.0
CHECKPOINT_PAGES = 64
"""So many pages of 4 kB in the write-ahead log before they move into the file itself."""

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another ferd uses it: give one of them another state directory",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_READONLY: "it may not be written: check its owner and mode, and whether the card is read-only",
    sqlite3.SQLITE_CANTOPEN: "it may not be opened: check the owner and mode of its folder",
    sqlite3.SQLITE_IOERR: "the disk fails: check the card (dmesg)",
}


class EventFileError(FerdError):
    """The file cannot be used now: what is wrong and what to do."""


class EventFileBrokenError(EventFileError):
    """It will never work again."""


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` rises with time and is never given twice."""

    number: int
    topic: str
    payload: bytes


class EventFile:
    """Used by one thread at a time. All methods raise EventFileError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> list[Row]:
        """Makes the file if it is not there; returns what is in it, in order."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would let everybody read it
            self._db = sqlite3.connect(self.path, timeout=LOCK_WAITS_S, isolation_level=None, check_same_thread=False)
            return self._prepare(self._db)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise self._told(error) from None
        except EventFileError:
            self.close()
            raise

    def write(self, new: Iterable[Row], gone: Iterable[int]) -> None:
        """Adds and removes, all or nothing; on the disk when it returns."""
        if self._db is None:
            raise EventFileError(f"{self.path} is not open")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            rows = ((row.number, row.topic, row.payload) for row in new)
            self._db.executemany("INSERT OR REPLACE INTO message VALUES (?, ?, ?)", rows)
            self._db.executemany("DELETE FROM message WHERE number = ?", ((number,) for number in gone))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise self._told(error) from None

    def set_aside(self) -> Path:
        """Renames a broken file, so that a new one can take its place; returns where it is now."""
        self.close()
        aside = self.path.with_name(self.path.name + ".broken")
        try:
            self.path.replace(aside)
            for ending in ("-wal", "-shm"):  # they belong to the old file and would be played into the new one
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        except OSError as error:
            raise self._told(error) from None
        return aside

    def close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _prepare(self, db: sqlite3.Connection) -> list[Row]:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
        (layout,) = _values(db, "PRAGMA user_version")
        if layout not in (0, LAYOUT):
            raise EventFileBrokenError(f"{self.path} is of another version of ferd (layout {layout})")
        if _values(db, "PRAGMA quick_check(1)") != ["ok"]:
            raise EventFileBrokenError(f"{self.path} is damaged")
        db.execute("CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY, topic TEXT, payload BLOB)")
        db.execute(f"PRAGMA user_version={LAYOUT}")
        return [Row(*row) for row in db.execute("SELECT number, topic, payload FROM message ORDER BY number")]

    def _told(self, error: Exception) -> EventFileError:
        if not isinstance(error, sqlite3.Error):
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return EventFileError(f"{self.path}: {reason}. Check the owner and mode of its folder")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BROKEN:
            return EventFileBrokenError(f"{self.path} is damaged ({error})")
        return EventFileError(f"{self.path}: {error}. Remedy: {_REMEDIES.get(code, 'see the message')}")


def _values(db: sqlite3.Connection, question: str) -> Sequence[object]:
    with closing(db.execute(question)) as answer:
        return [row[0] for row in answer]
