"""Store and forward: events wait here until the broker has acknowledged them, over restarts and power cuts.

What the broker acknowledges within BATCH_S never touches the disk. The rest is written in one commit, so that a card
sees at most one write per second however lively the faces are; an alert is written at once. A power cut therefore
costs what is younger than BATCH_S. An event that was acknowledged just before the process is killed may be sent again,
with the same id. Without its file (full, read-only, damaged) the store goes on in memory.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from ferd.errors import FerdError
from ferd.fs import state_dir
from ferd.topics import Message, mark_late

BATCH_S = 1.0
FORGET_S = 5.0
"""Acknowledged events are deleted from the file this much later, in one go: a kill meanwhile only repeats them."""
RETRY_S = 60.0
LATE_AFTER_S = 2.0
"""A message that is sent later than this after it was put is marked late."""
LATE_A_SECOND = 100
"""Limit of late messages per second: a broker that comes back is not flooded by a whole fleet."""
EARLIER_RUN = float("-inf")
"""When a message of an earlier run was put: it is late in any case."""
LAYOUT = 1
"""Version of the table (PRAGMA user_version)."""
LOCK_WAITS_S = 1.0
CHECKPOINT_PAGES = 64
"""Pages of 4 kB in the write-ahead log before they are moved into the file itself."""

Storage = Callable[[Callable[[], None]], None]
"""Runs a job soon, one after the other, in the storage thread."""

log = logging.getLogger("ferd.outputs.mqtt.event_store")


class EventStore:
    """Keep events in memory and on disk until they are acknowledged. Thread-safe.

    ``limit``: number of events; beyond it the oldest are dropped. ``start`` comes before the first ``put``. The file is
    written by jobs that are given to ``storage``, at most one at a time: a card may be slow, and nobody waits for it.
    ``tick`` submits the job when a write is due; ``put`` and ``acknowledge`` call it too. ``now`` is in seconds of
    ``clock``.
    """

    def __init__(
        self, path: Path, limit: int, storage: Storage | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file: EventFile | None = EventFile(path)
        self._limit = limit
        self._storage, self._clock = storage, clock
        self._lock = threading.Lock()
        self._backlog = Backlog()
        self._in_file: set[int] = set()  # what is not in the file is newer than all that is
        self._write_at: float | None = None
        self._forget_at: float | None = None
        self._full = self._failing = self._is_submitted = False

    @classmethod
    def of(cls, node_id: str | None, limit: int, storage: Storage | None = None) -> EventStore:
        """Use the file in the state folder. ``node_id``: [node] id, for several ferds on one machine."""
        return cls(state_dir() / (f"journal-{node_id}.db" if node_id else "journal.db"), limit, storage)

    def __len__(self) -> int:
        return len(self._backlog)

    def start(self) -> None:
        """Read what an earlier run left. Never raises: an error of the file is logged with its remedy."""
        if self._file is None:
            return
        try:
            self._take_over(self._open_or_replace(self._file))
        except EventFileError as error:
            self._give_up_file(error)

    def close(self) -> None:
        """Write all that the broker has not, and close the file. Call it in the storage thread."""
        self.flush(float("inf"))
        if self._file is not None:
            self._file.close()

    def put(self, message: Message, now: float) -> None:
        """Accept a message from any thread and return at once."""
        with self._lock:
            self._backlog.put(message, now)
            self._bound(now)
            self._write_at = _earlier(self._write_at, now if message.urgent else now + BATCH_S)
        self.tick(now)

    def due(self, now: float, room: int) -> list[Message]:
        """Return what may go now, at most ``room`` messages, in the order in which they were put."""
        with self._lock:
            return self._backlog.due(now, room)

    def next_at(self) -> float | None:
        """Return when ``due`` will have something (monotonic seconds, possibly past); None while nothing waits."""
        with self._lock:
            return self._backlog.next_at()

    def acknowledge(self, message: Message, now: float) -> None:
        """Note that the broker has a message that ``due`` returned; does nothing for any other."""
        with self._lock:
            numbers = self._backlog.acknowledge(message)
            self._forget(numbers, now)
            if not self._backlog:
                self._full = False
                self._write_at = None
        self.tick(now)

    def rewind(self) -> None:
        """Make all that was not acknowledged due again, the oldest first. For a new connection."""
        with self._lock:
            self._backlog.rewind()

    def tick(self, now: float) -> None:
        """Submit a write to the storage thread if one is due and none is submitted yet. Call it at least every second.

        An alert does not depend on it: it is submitted as soon as it is put.
        """
        if self._storage is None or self._file is None:
            return
        with self._lock:
            at = _earlier(self._write_at, self._forget_at)
            if self._is_submitted or at is None or at > now:
                return
            self._is_submitted = True
        self._storage(self._write)

    def flush(self, now: float) -> None:
        """Bring the file up to date if that is due. Never raises. One thread at a time."""
        if self._file is None or (at := self.flush_at()) is None or at > now:
            return
        with self._lock:
            numbers = list(takewhile(lambda number: number not in self._in_file, self._backlog.newest_first()))
            new = [(number, self._backlog.message(number)) for number in reversed(numbers)]
            gone = {number for number in self._in_file if number not in self._backlog}
            self._write_at = self._forget_at = None
        if not new and not gone:
            return
        try:
            self._file.write((Row(number, it.topic, it.encoded()) for number, it in new), gone)
        except EventFileError as error:
            self._not_written(self._file, error, now)
            return
        with self._lock:
            self._in_file.update(numbers)
            self._in_file -= gone
            self._forget(numbers, now)
        if self._failing:
            self._failing = False
            log.info("writing works again")

    def flush_at(self) -> float | None:
        """Return when ``flush`` will have something to do; None while it has not."""
        with self._lock:
            return _earlier(self._write_at, self._forget_at)

    def _write(self) -> None:
        """The job of the storage thread."""
        try:
            self.flush(self._clock())
        finally:
            with self._lock:
                self._is_submitted = False
        self.tick(self._clock())

    def _open_or_replace(self, file: EventFile) -> list[Row]:
        try:
            return file.open()
        except EventFileBrokenError as error:
            return self._replace(file, error)

    def _replace(self, file: EventFile, error: EventFileError) -> list[Row]:
        log.warning("starting a new file: %s. The old file is kept as %s", error, file.set_aside())
        return file.open()

    def _take_over(self, rows: Sequence[Row]) -> None:
        with self._lock:
            for row in rows:
                self._in_file.add(row.number)
                if (message := _message(row)) is not None:
                    self._backlog.restore(row.number, message)
            read = len(self._backlog)
            self._bound(float("-inf"))
            self._forget((row.number for row in rows), float("-inf"))
        if rows:
            log.info("events of an earlier run wait for the broker count=%d unreadable=%d", read, len(rows) - read)

    def _not_written(self, file: EventFile, error: EventFileError, now: float) -> None:
        with self._lock:
            self._write_at = _earlier(self._write_at, now + RETRY_S)
        if isinstance(error, EventFileBrokenError):
            try:
                self._replace(file, error)
            except EventFileError as another:
                self._give_up_file(another)
            with self._lock:
                self._in_file.clear()
                self._write_at = now
        elif not self._failing:
            self._failing = True
            log.warning("not written: %s. Events wait in memory meanwhile", error)

    def _give_up_file(self, error: EventFileError) -> None:
        log.warning("no file: %s. Events wait in memory, and a restart loses them", error)
        self._file = None

    def _bound(self, now: float) -> None:
        while len(self._backlog) > self._limit:
            self._forget([self._backlog.drop_oldest()], now)
            if not self._full:
                self._full = True
                log.warning(
                    'full, the oldest events are dropped limit=%d remedy="raise mqtt.persist_max_events"', self._limit
                )

    def _forget(self, numbers: Iterable[int], now: float) -> None:
        """Some of ``numbers`` may be in the file and no longer in the backlog."""
        if any(number in self._in_file and number not in self._backlog for number in numbers):
            self._forget_at = _earlier(self._forget_at, now + FORGET_S)


class Backlog:
    """Hold messages by number, in order, until they are acknowledged. Pure: no clock, no disk, no thread.

    A number rises with time and is never used twice. ``now`` is in monotonic seconds.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[int, tuple[Message, float]] = OrderedDict()  # the oldest first, with when it was put
        self._last = 0
        self._waiting: deque[int] = deque()  # not handed out on this connection; may name what is gone
        self._handed_out: dict[int, tuple[Message, list[int]]] = {}  # by id() of the message, which is kept beside it
        self._second, self._late_in_it = float("-inf"), 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def newest_first(self) -> Iterator[int]:
        return reversed(self._entries)

    def message(self, number: int) -> Message:
        """Return a message as it was put."""
        return self._entries[number][0]

    def put(self, message: Message, now: float) -> None:
        self.restore(self._last + 1, message, now)

    def restore(self, number: int, message: Message, put_at: float = EARLIER_RUN) -> None:
        """Add a message under the number that it had; numbers must rise."""
        self._last = number
        self._entries[number] = message, put_at
        self._waiting.append(number)

    def due(self, now: float, room: int) -> list[Message]:
        """Return what may go now, at most ``room`` messages, in the order in which they were put."""
        taken: list[Message] = []
        while len(taken) < room and (number := self._first()) is not None:
            message, put_at = self._entries[number]
            if now - put_at > LATE_AFTER_S:
                if not self._may_go_late(now):
                    break
                message = replace(mark_late(message), expires_s=None)
            self._waiting.popleft()
            self._handed_out.setdefault(id(message), (message, []))[1].append(number)
            taken.append(message)
        return taken

    def next_at(self) -> float | None:
        """Return when ``due`` will have something (monotonic seconds, possibly past); None while nothing waits."""
        if self._first() is None:
            return None
        return self._second + 1 if self._late_in_it >= LATE_A_SECOND else float("-inf")

    def acknowledge(self, message: Message) -> list[int]:
        """Forget a message that ``due`` returned; return its numbers, none for any other message."""
        _, numbers = self._handed_out.pop(id(message), (message, []))
        return [number for number in numbers if self._entries.pop(number, None)]

    def drop_oldest(self) -> int:
        number, _ = self._entries.popitem(last=False)
        return number

    def rewind(self) -> None:
        """Make all that was not acknowledged due again, the oldest first. For a new connection."""
        self._handed_out.clear()
        self._waiting = deque(self._entries)

    def _first(self) -> int | None:
        while self._waiting and self._waiting[0] not in self._entries:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def _may_go_late(self, now: float) -> bool:
        if now >= self._second + 1:
            self._second, self._late_in_it = now, 0
        self._late_in_it += 1
        return self._late_in_it <= LATE_A_SECOND


class EventFileError(FerdError):
    """The file cannot be used now: what is wrong and what to do."""


class EventFileBrokenError(EventFileError):
    """The file will never work again."""


@dataclass(frozen=True, slots=True)
class Row:
    """One stored message. ``number`` rises with time and is never used twice."""

    number: int
    topic: str
    payload: bytes


class EventFile:
    """Read and write the file: one table in SQLite, made for SD cards and power cuts. Used by one thread at a time.

    - Write-ahead log: a commit appends to one file instead of rewriting pages in two.
    - ``synchronous=FULL``: with a write-ahead log, NORMAL would keep the file whole in a power cut but lose the last
      commits (sqlite.org/pragma.html#pragma_synchronous). The store commits in batches, so a commit may cost a sync.
    - ``locking_mode=EXCLUSIVE``: no shared memory file, and a second ferd on the same file gets an error.

    All methods raise EventFileError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> list[Row]:
        """Create the file if it is missing; return what is in it, in order."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would let everybody read it
            self._db = sqlite3.connect(self.path, timeout=LOCK_WAITS_S, isolation_level=None, check_same_thread=False)
            return self._prepare(self._db)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise self._explained(error) from None
        except EventFileError:
            self.close()
            raise

    def write(self, new: Iterable[Row], gone: Iterable[int]) -> None:
        """Add and remove, all or nothing; on the disk when it returns."""
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
            raise self._explained(error) from None

    def set_aside(self) -> Path:
        """Rename a damaged file, so that a new one can take its place; return where it is now."""
        self.close()
        aside = self.path.with_name(self.path.name + ".broken")
        try:
            self.path.replace(aside)
            for ending in ("-wal", "-shm"):  # they belong to the old file and would be played into the new one
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        except OSError as error:
            raise self._explained(error) from None
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

    def _explained(self, error: Exception) -> EventFileError:
        if not isinstance(error, sqlite3.Error):
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return EventFileError(f"{self.path}: {reason}. Check the owner and mode of its folder")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BROKEN:
            return EventFileBrokenError(f"{self.path} is damaged ({error})")
        return EventFileError(f"{self.path}: {error}. Remedy: {_REMEDIES.get(code, 'see the message')}")


_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another ferd uses it: give one of them another state directory",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_READONLY: "it cannot be written: check its owner and mode, and whether the card is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the owner and mode of its folder",
    sqlite3.SQLITE_IOERR: "the disk fails: check the card (dmesg)",
}


def _values(db: sqlite3.Connection, question: str) -> Sequence[object]:
    with closing(db.execute(question)) as answer:
        return [row[0] for row in answer]


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _message(row: Row) -> Message | None:
    """None for what ferd did not write: it would break the connection on which it is sent."""
    try:
        payload = json.loads(row.payload)
        readable = isinstance(payload, dict) and row.topic.startswith("ferd/")
    except (TypeError, ValueError, AttributeError, RecursionError):
        return None
    return Message(row.topic, payload, qos=1) if readable and not set("+#\0") & set(row.topic) else None
