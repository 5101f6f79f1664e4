"""Store and forward: messages wait here until the broker has acknowledged them, over restarts and power cuts.

What the broker acknowledges within BATCH_S never touches the disk. The rest is written in one commit for all, so a
card sees at most one write a second however lively the faces are; an alert is written at once. So a power cut costs
what is younger than BATCH_S. Whoever is killed between the broker's acknowledgement and the note of it sends the
message once more, with the same id. Without its file (full, read-only, broken) the journal goes on in memory.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from ferd.fs import state_dir
from ferd.outputs.mqtt.backlog import Backlog
from ferd.outputs.mqtt.event_file import EventFile, EventFileBrokenError, EventFileError, Row
from ferd.outputs.mqtt.topics import Message

BATCH_S = 1.0
FORGET_S = 5.0
"""What the broker has is taken out of the file this much later, in one go: a kill meanwhile repeats it, no more."""
RETRY_S = 60.0
STOP_WAITS_S = 2.0
"""A card that hangs must not hold up the end."""

log = logging.getLogger("ferd.outputs.mqtt.event_store")


class EventStore:
    """Thread-safe. ``now`` is in monotonic seconds, the same clock for all calls; ``limit`` counts messages.

    ``start`` comes before the first ``put``. The file is kept up to date in a thread of its own: a card may be slow,
    and nobody else waits for it. All that waits is in memory as well.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._file: EventFile | None = EventFile(path)
        self._limit = limit
        self._lock = threading.Lock()
        self._backlog = Backlog()
        self._in_file: set[int] = set()  # what is not in the file is newer than all that is
        self._write_at: float | None = None
        self._forget_at: float | None = None
        self._full = self._failing = False
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, node_id: str | None, limit: int) -> EventStore:
        """In the state folder. ``node_id``: [node] id, for several ferds on one machine."""
        return cls(state_dir() / (f"journal-{node_id}.db" if node_id else "journal.db"), limit)

    def __len__(self) -> int:
        return len(self._backlog)

    def start(self) -> None:
        """Opens the file and begins to keep it up to date."""
        self.open()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when all that the broker has not is on the disk, or after STOP_WAITS_S."""
        if self._thread is not None:
            self._stopping.set()
            self._wake.set()
            self._thread.join(STOP_WAITS_S)
            if self._thread.is_alive():
                log.warning("the disk hangs: what waits in memory is lost count=%d", len(self._backlog))
                return
            self._thread = None
        self.flush(float("inf"))
        if self._file is not None:
            self._file.close()

    def open(self) -> None:
        """Reads what an earlier run left. Never raises: what is wrong with the file is logged with its remedy."""
        if self._file is None:
            return
        try:
            self._take_over(self._open_or_begin_anew(self._file))
        except EventFileError as error:
            self._give_up_file(error)

    def put(self, message: Message, now: float) -> None:
        """Takes a message from any thread and returns at once."""
        with self._lock:
            self._backlog.put(message, now)
            self._bound(now)
            self._write_at = _earlier(self._write_at, now if message.urgent else now + BATCH_S)
        self._wake.set()

    def due(self, now: float, room: int) -> list[Message]:
        """What may go now, at most ``room`` of it, in the order in which it was put."""
        with self._lock:
            return self._backlog.due(now, room)

    def next_at(self) -> float | None:
        """When ``due`` will have something (monotonic seconds, possibly past), None while nothing waits."""
        with self._lock:
            return self._backlog.next_at()

    def acknowledge(self, message: Message, now: float) -> None:
        """The broker has a message that ``due`` gave; does nothing for any other."""
        with self._lock:
            numbers = self._backlog.acknowledge(message)
            self._forget(numbers, now)
            if not self._backlog:
                self._full = False
                self._write_at = None
        if numbers:
            self._wake.set()

    def rewind(self) -> None:
        """Makes all that was not acknowledged due once more, the oldest first. For a new connection."""
        with self._lock:
            self._backlog.rewind()

    def flush(self, now: float) -> None:
        """Brings the file up to date if that is due. Never raises. One thread at a time."""
        if self._file is None or (at := self.flush_at()) is None or at > now:
            return
        with self._lock:
            numbers = list(takewhile(lambda number: number not in self._in_file, self._backlog.newest_first()))
            new = [_row(number, self._backlog.message(number)) for number in reversed(numbers)]
            gone = {number for number in self._in_file if number not in self._backlog}
            self._write_at = self._forget_at = None
        if not new and not gone:
            return
        try:
            self._file.write(new, gone)
        except EventFileError as error:
            self._not_written(self._file, error, now)
            return
        with self._lock:
            self._in_file.update(numbers)
            self._in_file -= gone
            self._forget(numbers, now)
        if self._failing:
            self._failing = False
            log.info("writes again")

    def flush_at(self) -> float | None:
        """When ``flush`` will have something to do, None while it has not."""
        with self._lock:
            return _earlier(self._write_at, self._forget_at)

    def _run(self) -> None:
        while not self._stopping.is_set():
            at = self.flush_at() if self._file is not None else None
            self._wake.wait(None if at is None else max(0.0, at - time.monotonic()))
            self._wake.clear()
            self.flush(time.monotonic())

    def _open_or_begin_anew(self, file: EventFile) -> list[Row]:
        try:
            return file.open()
        except EventFileBrokenError as error:
            return self._begin_anew(file, error)

    def _begin_anew(self, file: EventFile, error: EventFileError) -> list[Row]:
        log.warning("begins anew: %s. The old file is kept as %s", error, file.set_aside())
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
                self._begin_anew(file, error)
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
                log.warning('full, the oldest events go limit=%d remedy="raise mqtt.persist_max_events"', self._limit)

    def _forget(self, numbers: Iterable[int], now: float) -> None:
        """Some of ``numbers`` may be in the file and no longer in the backlog."""
        if any(number in self._in_file and number not in self._backlog for number in numbers):
            self._forget_at = _earlier(self._forget_at, now + FORGET_S)


def _earlier(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _row(number: int, message: Message) -> Row:
    return Row(number, message.topic, message.payload)


def _message(row: Row) -> Message | None:
    """None for what no ferd wrote: it would break the connection on which it is sent."""
    try:
        readable = isinstance(json.loads(row.payload), dict) and row.topic.startswith("ferd/")
    except (TypeError, ValueError, AttributeError):
        return None
    return Message(row.topic, row.payload, qos=1) if readable and not set("+#\0") & set(row.topic) else None
