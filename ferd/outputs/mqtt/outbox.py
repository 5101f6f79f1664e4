"""Hold what is to be published: the last value of each retained topic, and the events that wait.

Nothing is queued without bounds while the broker is away. Of a retained topic only the last value waits. Events wait
at most EVENT_WAITS_S in a ring of EVENT_RING; events of alerts wait until they are sent. With an event store they go
there instead and wait until the broker has acknowledged them. What one camera publishes is rate-limited: while it is
over its limit, changes of the expression are merged into one, and the last value of a topic always arrives.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ferd.payloads import Event
from ferd.topics import EVENT, EVENT_EXPIRES_S, FATIGUE, IMAGE, RESPONSE_EXPIRES_S, STATE, Message, mark_late

if TYPE_CHECKING:
    from ferd.outputs.mqtt.event_store import EventStore

EVENT_RING = 32
EVENT_WAITS_S = 60.0
ALERTS_KEPT = 1000
"""Events of alerts that wait for the broker. More of them would be days old."""
ANSWERS_KEPT = 1000
LATE_AFTER_S = 2.0
"""An event that waited for the broker for longer than this is marked late. The rate limit's delay is not counted."""
EVERY_S = 1.0
"""Minimum interval between two values of a rate-limited retained topic."""
A_MINUTE = 30
"""Rate limit of one camera, in messages per minute."""
AT_ONCE = 10
"""Size of a burst. The rest of the minute's share is spread over the minute."""
PAUSE_S = 60 / (A_MINUTE - AT_ONCE)
LAST_VALUE_WAITS_S = 4 * PAUSE_S
"""Longest wait of a last value for the rate limit: an older event, and the other limited topic of its camera with an
older event of its own, may go before it."""

ALWAYS = float("-inf")
Observer = Callable[[Message], None]

log = logging.getLogger("ferd.outputs.mqtt.outbox")


class TokenBucket:
    """Limit the rate of all limited messages of one camera together. ``now`` is in monotonic seconds.

    In any 60 s at most AT_ONCE + 60 / PAUSE_S = A_MINUTE pass.
    """

    def __init__(self) -> None:
        self._full_at = float("-inf")  # when a whole burst may pass again

    def free_at(self) -> float:
        """Return the earliest moment at which one more may pass."""
        return self._full_at - (AT_ONCE - 1) * PAUSE_S

    def left(self, now: float) -> int:
        """Return how many may pass at once now."""
        missing = max(0.0, self._full_at - now) / PAUSE_S
        return max(0, int(AT_ONCE - missing + 1e-9))

    def pay(self, now: float) -> None:
        """Take one token out."""
        self._full_at = max(self._full_at, now) + PAUSE_S


@dataclass(slots=True)
class Waiting:
    """An event that waits. ``since``: when the first of the events that were merged into this one began to wait."""

    put_at: float
    since: float
    message: Message


class Outbox:
    """Pass messages from the threads that publish to the one that sends. Thread-safe.

    The sender asks ``due`` for what may go now and sends it. What it could not send it returns with ``give_back``,
    what the broker has it reports with ``acknowledge``; after a new connection it calls ``replay_all``. ``now`` is in
    monotonic seconds, the same clock for all calls. The owner of ``store`` starts and stops it. ``on_cleared`` is
    called with each retained topic that the broker has cleared, in the thread that acknowledges. ``event_expiry_s``:
    what the broker is asked to keep an event for; may be changed at any time, for the events that follow.
    """

    def __init__(
        self,
        store: EventStore | None = None,
        on_cleared: Callable[[str], None] = lambda _topic: None,
        event_expiry_s: int = EVENT_EXPIRES_S,
    ) -> None:
        self.event_expiry_s = event_expiry_s
        self._store, self._on_cleared = store, on_cleared
        self._lock = threading.Lock()
        self._last: dict[str, Message] = {}
        self._unsent: dict[str, float] = {}  # retained topics, in order, and since when they wait
        self._events: deque[Waiting] = deque(maxlen=EVENT_RING)
        self._alerts: deque[Waiting] = deque(maxlen=ALERTS_KEPT)
        self._answers: deque[Waiting] = deque(maxlen=ANSWERS_KEPT)
        self._images: dict[str, Waiting] = {}  # the newest of each topic
        self._buckets: dict[str, TokenBucket] = {}
        self._sent_at: dict[str, float] = {}
        self._yielded: set[str] = set()  # cameras whose last values let an older event go first: now it is their turn
        self._observers: tuple[Observer, ...] = ()

    def put(self, message: Message, now: float) -> None:
        """Accept a message from any thread and return at once; the observers run in the caller's thread."""
        if _is_event(message) and message.expires_s is not None:
            message = replace(message, expires_s=self.event_expiry_s)
        with self._lock:
            if message.retain:
                self._last[message.topic] = message
                self._unsent.setdefault(message.topic, now)
            elif _is_image(message):
                self._images[message.topic] = Waiting(now, now, message)
            elif not _is_event(message):
                self._answers.append(Waiting(now, now, message))
            elif message.urgent:
                self._put_alert(message, now)
            else:
                self._put_event(message, now)
            self._move_to_store(now)
        self.show(message)

    def show(self, message: Message) -> None:
        """Call the observers with a message that does not pass through the outbox (the node's own status)."""
        for observer in self._observers:
            try:
                observer(message)
            except Exception:  # a broken screen must not stop the camera
                log.exception("observer failed topic=%s", message.topic)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` with every message as it is put: before any limit, and whether or not a broker is there.

        It runs in the thread that puts, so it must be quick. Returns a function that ends the subscription.
        """
        with self._lock:
            self._observers = (*self._observers, observer)

        def end() -> None:
            with self._lock:
                self._observers = tuple(other for other in self._observers if other is not observer)

        return end

    def due(self, now: float, room: int = EVENT_RING, *, at_the_end: bool = False) -> list[Message]:
        """Return what may go now, at most ``room`` messages: retained topics as they changed, then events.

        What is returned counts as sent. ``at_the_end``: ferd stops, so nothing waits for the rate limit.
        """
        with self._lock:
            if at_the_end:
                self._sent_at.clear()
                self._buckets.clear()
            taken = self._take_retained(now, room)
            for waiting in (self._alerts, self._answers, self._events):
                if waiting is not self._events or self._store is None:
                    taken += self._take(waiting, now, room - len(taken))
            if self._store is not None:
                self._move_to_store(now)
                taken += self._store.due(now, room - len(taken))
            return taken + self._take_images(now, room - len(taken))

    def next_at(self) -> float | None:
        """Return when ``due`` will have something (monotonic seconds, possibly past); None while nothing waits."""
        with self._lock:
            if self._alerts or self._answers or self._images:
                return ALWAYS
            waits = [self._retained_free_at(topic) for topic in self._unsent]
            waits += [self._bucket(event.message).free_at() for event in self._events]
            if self._store is not None and (at := self._store.next_at()) is not None:
                waits.append(at)
            return min(waits, default=None)

    def replay_all(self) -> None:
        """Make every retained last value due again, without a limit: after a connect the broker may be a new one."""
        with self._lock:
            self._sent_at.clear()
            self._unsent = dict.fromkeys(self._last, ALWAYS)
            if self._store is not None:
                self._store.rewind()

    def republish(self) -> None:
        """Make every retained last value due again on the connection that there is."""
        with self._lock:
            self._unsent |= dict.fromkeys(self._last, ALWAYS)

    def resend(self, topic: str) -> None:
        """Make the last value of one retained topic due again."""
        with self._lock:
            if topic in self._last:
                self._unsent.setdefault(topic, ALWAYS)

    def clear(self) -> list[str]:
        """Forget everything; return the retained topics that had a value."""
        with self._lock:
            topics = [topic for topic, message in self._last.items() if not message.clears]
            for kept in (self._last, self._unsent, self._events, self._alerts, self._answers, self._images):
                kept.clear()
            return topics

    def give_back(self, sent: Iterable[tuple[float, Message]]) -> None:
        """Take back what was due but not acknowledged: pairs of (when it was sent, message), the oldest first.

        Only what is not retained waits again, for the rest of its time, and no picture. Retained topics and stored
        events are due again after ``replay_all``.
        """
        with self._lock:
            lost = [pair for pair in sent if not pair[1].retain and not _is_image(pair[1])]
            back = [Waiting(at, at, message) for at, message in map(self._with_put_at, lost)]
            events = [] if self._store is not None else [it for it in back if _is_event(it.message)]
            self._answers.extendleft(it for it in reversed(back) if not _is_event(it.message))
            self._alerts.extendleft(it for it in reversed(events) if it.message.urgent)
            ring = [it for it in events if not it.message.urgent]
            self._events = deque([*ring, *self._events], maxlen=EVENT_RING)

    def acknowledge(self, message: Message, now: float) -> None:
        """Note that the broker has a message that was due. A topic that it cleared is forgotten."""
        if message.retain and message.clears:
            with self._lock:
                if self._last.get(message.topic) is message:
                    del self._last[message.topic]
                    self._unsent.pop(message.topic, None)
            self._on_cleared(message.topic)
        if self._store is not None:
            self._store.acknowledge(message, now)

    def finish(self, now: float) -> None:
        """End of this run: move the events that wait for the rate limit to the store, if there is one."""
        with self._lock:
            self._move_to_store(now, everything=True)

    def waiting(self) -> int:
        """Return how many events and alerts wait: for the broker, its acknowledgement (only stored ones) or a limit."""
        with self._lock:
            return len(self._events) + len(self._alerts) + (0 if self._store is None else len(self._store))

    def last(self, topic: str) -> Message | None:
        """Return the last value of a retained topic."""
        with self._lock:
            return self._last.get(topic)

    def _put_alert(self, message: Message, now: float) -> None:
        if self._store is not None:
            self._store.put(message, now)
        else:
            self._alerts.append(Waiting(now, now, message))

    def _put_event(self, message: Message, now: float) -> None:
        waiting = [event for event in self._events if event.message.topic == message.topic]
        if _is_change(message) and len(waiting) >= self._bucket(message).left(now):
            before = next((event for event in reversed(waiting) if _is_change(event.message)), None)
            if before is not None:
                self._events.remove(before)
                self._events.append(Waiting(now, before.since, _merge(before.message, message)))
                return
        self._events.append(Waiting(now, now, message))

    def _move_to_store(self, now: float, *, everything: bool = False) -> None:
        """Hand over what the rate limit lets pass: the store keeps it until the broker has it."""
        if self._store is None:
            return
        for event in list(self._events):
            if everything or self._bucket(event.message).free_at() <= now:
                self._events.remove(event)
                if not _is_cancelled(event.message):
                    self._store.put(event.message, min(now, self._pay(event, now)))

    def _take_retained(self, now: float, room: int) -> list[Message]:
        """A state goes before the event that was put with it, but not before one that waits for longer.

        It gives way once: a camera with many events would otherwise show an old state until all of them have gone.
        """
        events = [] if self._store is not None else self._events
        taken: list[Message] = []
        for topic, since in list(self._unsent.items()):
            message = self._last[topic]
            camera = limited_camera(message)
            if len(taken) >= room or self._retained_free_at(topic) > now:
                continue
            is_scarce = camera is not None and self._bucket(message).left(now) < 2
            is_older = any(it.since < since and limited_camera(it.message) == camera for it in events)
            if is_scarce and is_older and camera is not None and camera not in self._yielded:
                self._yielded.add(camera)
                continue
            del self._unsent[topic]
            self._sent_at[topic] = now
            if camera is not None:
                self._yielded.discard(camera)
                self._bucket(message).pay(now)
            taken.append(message)
        return taken

    def _take(self, waiting: deque[Waiting], now: float, room: int) -> list[Message]:
        taken: list[Message] = []
        for event in list(waiting):
            message, waited = event.message, now - event.put_at
            if waited > min(EVENT_WAITS_S, self._life_s(message)) and not message.urgent:
                waiting.remove(event)
            elif len(taken) < room and (limited_camera(message) is None or self._bucket(message).free_at() <= now):
                waiting.remove(event)
                if not _is_cancelled(message):
                    is_late = now - self._pay(event, now) > LATE_AFTER_S
                    taken.append(_after_waiting(message, waited) if is_late else message)
        return taken

    def _life_s(self, message: Message) -> float:
        """Return the expiry of a message that was just put."""
        return self.event_expiry_s if _is_event(message) else RESPONSE_EXPIRES_S

    def _with_put_at(self, sent: tuple[float, Message]) -> tuple[float, Message]:
        """When a message was put that was sent then: its remaining life shows how long it had waited."""
        at, message = sent
        if message.expires_s is None:
            return at, message
        return at - max(0.0, self._life_s(message) - message.expires_s), message

    def _pay(self, event: Waiting, now: float) -> float:
        """Take a token of the camera; return since when the event might have gone."""
        if limited_camera(event.message) is None:
            return event.put_at
        bucket = self._bucket(event.message)
        free_at = max(event.put_at, bucket.free_at())
        bucket.pay(now)
        return free_at

    def _take_images(self, now: float, room: int) -> list[Message]:
        """Pictures go last, and one that waited for the broker for too long does not go at all."""
        self._images = {topic: it for topic, it in self._images.items() if now - it.put_at <= EVENT_WAITS_S}
        return [self._images.pop(topic).message for topic in list(self._images)[: max(0, room)]]

    def _bucket(self, message: Message) -> TokenBucket:
        return self._buckets.setdefault(limited_camera(message) or "", TokenBucket())

    def _retained_free_at(self, topic: str) -> float:
        message = self._last[topic]
        if limited_camera(message) is None:
            return ALWAYS
        return max(self._sent_at.get(topic, ALWAYS) + EVERY_S, self._bucket(message).free_at())


def limited_camera(message: Message) -> str | None:
    """Return the camera whose rate limit a message counts for. None: no limit (alerts, switches, status)."""
    if message.urgent:
        return None
    for topic in (STATE, FATIGUE, EVENT):
        if names := topic.names_in(message.topic):
            return f"{names['node']}/{names['camera']}"
    return None


def _merge(first: Message, then: Message) -> Message:
    """Make one of two successive expression_changed: from the old expression of the first to the new of the second."""
    assert isinstance(first.payload, Event)
    assert isinstance(then.payload, Event)
    return replace(then, payload=replace(then.payload, old=first.payload.old))


def _is_cancelled(message: Message) -> bool:
    """Whether a merged expression_changed is back where it began, so that there is nothing to publish."""
    event = message.payload
    return isinstance(event, Event) and _is_change(message) and event.old == event.new


def _is_change(message: Message) -> bool:
    """Whether it is an expression_changed: the only kind of event of which the latest is enough."""
    return isinstance(message.payload, Event) and message.payload.event_type == "expression_changed"


def _is_image(message: Message) -> bool:
    return IMAGE.names_in(message.topic) is not None


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
