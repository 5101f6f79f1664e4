"""The board between those who see and the one who sends: the last value of each topic, and a few that wait.

Nothing is queued blindly while the broker is away. Of a retained topic only the last value waits. Events wait at most
EVENT_WAITS_S in a ring of EVENT_RING; those of alerts until they are told. With a journal events go there instead, and
wait until the broker has them. What a camera says is limited (limits.py): while it is over its budget, changes of the
expression become one, and the last value of a topic always arrives.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ferd.outputs.mqtt.event_store import EventStore
from ferd.outputs.mqtt.token_bucket import EVERY_S, TokenBucket, is_change, is_nothing, limited_camera, merged
from ferd.outputs.mqtt.topics import EVENT, Message, mark_late

EVENT_RING = 32
EVENT_WAITS_S = 60.0
ALERTS_KEPT = 1000
"""Events of alerts that wait for the broker. More of them would be days old."""
ANSWERS_KEPT = 1000
LATE_AFTER_S = 2.0
"""An event that waited for the broker for longer than this is marked late. What its budget held back is not."""

ALWAYS = float("-inf")
Observer = Callable[[Message], None]

log = logging.getLogger("ferd.outputs.mqtt.outbox")


@dataclass(slots=True)
class Waiting:
    """An event that waits. ``since``: when the first of those began to wait that became this one."""

    put_at: float
    since: float
    message: Message


class Outbox:
    """Thread-safe. ``now`` is in monotonic seconds, the same clock for all calls.

    Many threads put, one sends: it asks ``due`` for what may go now and sends it. What it could not hand over it
    gives back with ``give_back``, what the broker has it tells with ``acknowledge``; after a new connection it calls
    ``replay_all``. ``journal``: whoever made it starts and stops it. ``on_cleared`` hears
    which retained topic the broker has cleared, in the thread of the one who acknowledges.
    """

    def __init__(
        self, journal: EventStore | None = None, on_cleared: Callable[[str], None] = lambda _topic: None
    ) -> None:
        self._journal, self._on_cleared = journal, on_cleared
        self._lock = threading.Lock()
        self._last: dict[str, Message] = {}
        self._unsent: dict[str, float] = {}  # retained topics, in order, and since when they wait
        self._events: deque[Waiting] = deque(maxlen=EVENT_RING)
        self._alerts: deque[Waiting] = deque(maxlen=ALERTS_KEPT)
        self._answers: deque[Waiting] = deque(maxlen=ANSWERS_KEPT)
        self._budgets: dict[str, TokenBucket] = {}
        self._sent_at: dict[str, float] = {}
        self._observers: tuple[Observer, ...] = ()

    def put(self, message: Message, now: float) -> None:
        """Takes a message from any thread and returns at once; tells the observers in the caller's thread."""
        with self._lock:
            if message.retain:
                self._last[message.topic] = message
                self._unsent.setdefault(message.topic, now)
            elif not _is_event(message):
                self._answers.append(Waiting(now, now, message))
            elif message.urgent:
                self._put_alert(message, now)
            else:
                self._put_event(message, now)
            self._admit_to_journal(now)
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
            told = self._take_retained(now, room)
            for waiting in (self._alerts, self._answers, self._events):
                if waiting is not self._events or self._journal is None:
                    told += self._take(waiting, now, room - len(told))
            if self._journal is not None:
                self._admit_to_journal(now)
                told += self._journal.due(now, room - len(told))
            return told

    def next_at(self) -> float | None:
        """When ``due`` will have something (monotonic seconds, possibly past), None while nothing waits."""
        with self._lock:
            if self._alerts or self._answers:
                return ALWAYS
            waits = [self._retained_free_at(topic) for topic in self._unsent]
            waits += [self._budget(event.message).free_at() for event in self._events]
            if self._journal is not None and (at := self._journal.next_at()) is not None:
                waits.append(at)
            return min(waits, default=None)

    def replay_all(self) -> None:
        """Makes every retained last value due once more, at once. For a new connection: the broker may be a new one."""
        with self._lock:
            self._sent_at.clear()
            self._unsent = dict.fromkeys(self._last, ALWAYS)
            if self._journal is not None:
                self._journal.rewind()

    def tell_again(self) -> None:
        """Makes every retained last value due once more, for somebody new on the connection that there is."""
        with self._lock:
            self._unsent |= dict.fromkeys(self._last, ALWAYS)

    def clear(self) -> list[str]:
        """Forgets everything; returns the retained topics that had a value."""
        with self._lock:
            topics = [topic for topic, message in self._last.items() if message.payload]
            for kept in (self._last, self._unsent, self._events, self._alerts, self._answers):
                kept.clear()
            return topics

    def give_back(self, sent: Iterable[tuple[float, Message]]) -> None:
        """Takes back what was due but never acknowledged: pairs of (when it was sent, message).

        Only what is not retained waits again, for what remains of its time. Retained topics and the journal need it
        not: see ``replay_all``.
        """
        with self._lock:
            lost = [pair for pair in sent if not pair[1].retain]
            back = [Waiting(at, at, message) for at, message in map(_with_put_at, lost)]
            events = [] if self._journal is not None else [it for it in back if _is_event(it.message)]
            self._answers.extendleft(it for it in reversed(back) if not _is_event(it.message))
            self._alerts.extendleft(it for it in reversed(events) if it.message.urgent)
            ring = [it for it in events if not it.message.urgent]
            self._events = deque([*ring, *self._events], maxlen=EVENT_RING)

    def acknowledge(self, message: Message, now: float) -> None:
        """The broker has a message that was due. Of a topic that is cleared there is nothing left to say."""
        if message.retain and not message.payload:
            with self._lock:
                if self._last.get(message.topic) is message:
                    del self._last[message.topic]
                    self._unsent.pop(message.topic, None)
            self._on_cleared(message.topic)
        if self._journal is not None:
            self._journal.acknowledge(message, now)

    def finish(self, now: float) -> None:
        """Nothing more will be said in this run: what waits for its turn goes to the journal, if there is one."""
        with self._lock:
            self._admit_to_journal(now, everything=True)

    def last(self, topic: str) -> Message | None:
        """The last value of a retained topic."""
        with self._lock:
            return self._last.get(topic)

    def _put_alert(self, message: Message, now: float) -> None:
        if self._journal is not None:
            self._journal.put(message, now)
        else:
            self._alerts.append(Waiting(now, now, message))

    def _put_event(self, message: Message, now: float) -> None:
        waiting = [event for event in self._events if event.message.topic == message.topic]
        if is_change(message) and len(waiting) >= self._budget(message).left(now):
            before = next((event for event in reversed(waiting) if is_change(event.message)), None)
            if before is not None:
                self._events.remove(before)
                self._events.append(Waiting(now, before.since, merged(before.message, message)))
                return
        self._events.append(Waiting(now, now, message))

    def _admit_to_journal(self, now: float, *, everything: bool = False) -> None:
        """What the budget lets through is kept until the broker has it, whether or not it is there."""
        if self._journal is None:
            return
        for event in list(self._events):
            if everything or self._budget(event.message).free_at() <= now:
                self._events.remove(event)
                if not is_nothing(event.message):
                    self._journal.put(event.message, min(now, self._pay(event, now)))

    def _take_retained(self, now: float, room: int) -> list[Message]:
        """A state goes before the event that was put with it, but not before one that waits for longer."""
        events = [] if self._journal is not None else self._events
        told: list[Message] = []
        for topic, since in list(self._unsent.items()):
            message = self._last[topic]
            is_limited = limited_camera(message) is not None
            if len(told) >= room or self._retained_free_at(topic) > now:
                continue
            if is_limited and self._budget(message).left(now) < 2:
                camera = limited_camera(message)
                if any(event.since < since and limited_camera(event.message) == camera for event in events):
                    continue
            del self._unsent[topic]
            self._sent_at[topic] = now
            if is_limited:
                self._budget(message).pay(now)
            told.append(message)
        return told

    def _take(self, waiting: deque[Waiting], now: float, room: int) -> list[Message]:
        told: list[Message] = []
        for event in list(waiting):
            message, waited = event.message, now - event.put_at
            if waited > EVENT_WAITS_S and not message.urgent:
                waiting.remove(event)
            elif len(told) < room and (limited_camera(message) is None or self._budget(message).free_at() <= now):
                waiting.remove(event)
                if not is_nothing(message):
                    is_late = now - self._pay(event, now) > LATE_AFTER_S
                    told.append(_after_waiting(message, waited) if is_late else message)
        return told

    def _pay(self, event: Waiting, now: float) -> float:
        """Takes it from the camera's budget; returns since when it might have gone."""
        if limited_camera(event.message) is None:
            return event.put_at
        budget = self._budget(event.message)
        might_go_at = max(event.put_at, budget.free_at())
        budget.pay(now)
        return might_go_at

    def _budget(self, message: Message) -> TokenBucket:
        return self._budgets.setdefault(limited_camera(message) or "", TokenBucket())

    def _retained_free_at(self, topic: str) -> float:
        message = self._last[topic]
        if limited_camera(message) is None:
            return ALWAYS
        return max(self._sent_at.get(topic, ALWAYS) + EVERY_S, self._budget(message).free_at())


def _is_event(message: Message) -> bool:
    return EVENT.names_in(message.topic) is not None


def _after_waiting(message: Message, waited: float) -> Message:
    if not _is_event(message):
        return message
    if message.urgent:
        return mark_late(replace(message, expires_s=None))
    if message.expires_s is not None:
        message = replace(message, expires_s=max(1, round(message.expires_s - waited)))
    return mark_late(message)


def _with_put_at(sent: tuple[float, Message]) -> tuple[float, Message]:
    """When a message was put that was sent then: its remaining life tells how long it had waited."""
    at, message = sent
    return at if message.expires_s is None else at - (EVENT_WAITS_S - message.expires_s), message
