"""The board between those who see and the one who sends: the last value of each topic, and a short ring of events.

Nothing is queued blindly while the broker is away. Of a retained topic only the last value waits; what is not
retained (events) waits at most EVENT_WAITS_S in a ring of EVENT_RING, the oldest falls out. With a journal events go
there instead, and wait until the broker has them.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from ferd.publish.journal import Journal
from ferd.publish.topics import EVENT, Message, is_camera_state, mark_late

EVENT_RING = 32
EVENT_WAITS_S = 60.0
LATE_AFTER_S = 2.0
"""An event that left later than this after it was put is marked late."""
STATE_EVERY_S = 1.0
STATES_A_MINUTE = 30

Observer = Callable[[Message], None]

log = logging.getLogger("ferd.publish.board")


class Limit:
    """At most one a second and thirty a minute."""

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=STATES_A_MINUTE)

    def free_at(self) -> float:
        """The earliest moment at which one more may go (monotonic seconds; minus infinity: at any time)."""
        if not self._sent:
            return float("-inf")
        next_second = self._sent[-1] + STATE_EVERY_S
        return max(next_second, self._sent[0] + 60) if len(self._sent) == STATES_A_MINUTE else next_second

    def note(self, now: float) -> None:
        self._sent.append(now)


class Board:
    """Thread-safe. ``now`` is in monotonic seconds, the same clock for all calls.

    Many threads put, one sends: it asks ``due`` for what may go now and sends it. What it could not hand over it
    gives back with ``give_back``, what the broker has it tells with ``acknowledge``; after a new connection it calls
    ``replay_all``. ``journal``: whoever made it starts and stops it.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._last: dict[str, Message] = {}
        self._unsent: dict[str, None] = {}  # an ordered set of retained topics
        self._events: deque[tuple[float, Message]] = deque(maxlen=EVENT_RING)
        self._limits: dict[str, Limit] = {}
        self._observers: tuple[Observer, ...] = ()

    def put(self, message: Message, now: float) -> None:
        """Takes a message from any thread and returns at once; tells the observers in the caller's thread."""
        with self._lock:
            if message.retain:
                self._last[message.topic] = message
                self._unsent[message.topic] = None
            elif self._journal is not None and _is_event(message):
                self._journal.put(message, now)
            else:
                self._events.append((now, message))
        self.show(message)

    def show(self, message: Message) -> None:
        """Tells the observers of a message that takes another way than over the board (the node's own status)."""
        for observer in self._observers:
            try:
                observer(message)
            except Exception:  # a broken screen must not stop the one who sees
                log.exception("observer failed topic=%s", message.topic)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Shows ``observer`` every message as it is put: before any limit, and whether or not a broker is there.

        It runs in the thread of the one who puts, so it must be quick. Returns a function that ends it.
        """
        with self._lock:
            self._observers = (*self._observers, observer)

        def end() -> None:
            with self._lock:
                self._observers = tuple(other for other in self._observers if other is not observer)

        return end

    def due(self, now: float, room: int = EVENT_RING) -> list[Message]:
        """What may go now, at most ``room`` of it, and counts as sent: retained topics as they changed, then events."""
        with self._lock:
            topics = [topic for topic in self._unsent if self._free_at(topic) <= now][:room]
            for topic in topics:
                del self._unsent[topic]
                if is_camera_state(topic):
                    self._limits.setdefault(topic, Limit()).note(now)
            states = [self._last[topic] for topic in topics]
            told = states + self._take_events(now, room - len(states))
            return told + self._journal.due(now, room - len(told)) if self._journal is not None else told

    def next_at(self) -> float | None:
        """When ``due`` will have something (monotonic seconds, possibly past), None while nothing waits."""
        with self._lock:
            if self._events:
                return float("-inf")
            journal_at = self._journal.next_at() if self._journal is not None else None
            waits = [self._free_at(topic) for topic in self._unsent]
            return min(waits if journal_at is None else [*waits, journal_at], default=None)

    def replay_all(self) -> None:
        """Makes every retained last value due once more, at once. For a new connection: the broker may be a new one.

        The limits start afresh, so that a lively camera does not wait a minute for its first state.
        """
        with self._lock:
            self._limits.clear()
            self._unsent = dict.fromkeys(self._last)
            if self._journal is not None:
                self._journal.rewind()

    def tell_again(self) -> None:
        """Makes every retained last value due once more, for somebody new on the connection that there is."""
        with self._lock:
            self._unsent |= dict.fromkeys(self._last)

    def clear(self) -> list[str]:
        """Forgets everything; returns the retained topics that had a value."""
        with self._lock:
            topics = [topic for topic, message in self._last.items() if message.payload]
            self._last.clear()
            self._unsent.clear()
            self._events.clear()
            return topics

    def give_back(self, sent: Iterable[tuple[float, Message]]) -> None:
        """Takes back what was due but never acknowledged: pairs of (when it was sent, message).

        Only events wait again, for what remains of their time. Retained topics and the journal need it not: see
        ``replay_all``.
        """
        with self._lock:
            ring = [pair for pair in sent if not pair[1].retain and (self._journal is None or not _is_event(pair[1]))]
            back = [(_put_at(message, when), message) for when, message in ring]
            self._events = deque([*back, *self._events], maxlen=EVENT_RING)

    def acknowledge(self, message: Message, now: float) -> None:
        """The broker has a message that was due."""
        if self._journal is not None:
            self._journal.acknowledge(message, now)

    def last(self, topic: str) -> Message | None:
        """The last value of a retained topic."""
        with self._lock:
            return self._last.get(topic)

    def _free_at(self, topic: str) -> float:
        limit = self._limits.get(topic)
        return limit.free_at() if limit else float("-inf")

    def _take_events(self, now: float, room: int) -> list[Message]:
        taken: list[Message] = []
        while self._events and len(taken) < room:
            put_at, message = self._events.popleft()
            waited = now - put_at
            if waited <= EVENT_WAITS_S:
                taken.append(_after_waiting(message, waited))
        return taken


def _is_event(message: Message) -> bool:
    return EVENT.names_in(message.topic) is not None


def _after_waiting(message: Message, waited: float) -> Message:
    if waited <= LATE_AFTER_S:
        return message
    if message.expires_s is not None:
        message = replace(message, expires_s=max(1, round(message.expires_s - waited)))
    return mark_late(message)


def _put_at(message: Message, sent_at: float) -> float:
    """When a message that was sent at ``sent_at`` was put: its remaining life tells how long it had waited."""
    return sent_at if message.expires_s is None else sent_at - (EVENT_WAITS_S - message.expires_s)
