"""Turn one camera's readings into what is published: its state, its alerts, its fatigue and its events.

Pure: no clock, no broker. The same readings and wall times give the same payloads, byte for byte. ``now`` is a time
line of the builder's own: seconds that never jump back, also when a source starts again at 0.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ferd.names import slug
from ferd.payloads import (
    AlertEvent,
    AlertEventType,
    AlertState,
    AnyEvent,
    Event,
    EventType,
    FatigueState,
    GestureEvent,
    State,
    iso,
)
from ferd.types import LEVELS, Alert, Fatigue, Level, Reading, Unjudged

HOLD_S = 0.5
CONFIDENCE_STEP = 0.15
CONFIDENCE_EVERY_S = 5.0
FATIGUE_EVERY_S = 10.0
NOTICEABLE = {
    "awareness": 0.05,
    "perclos": 0.02,
    "observed": 0.1,
    "blinks": 3.0,
    "blink_s": 0.05,
    "longest_s": 0.3,
    "yawns": 1.0,
    "attention": 0.3,
    "nods": 1.0,
}
"""By how much a measure of fatigue must change before it is published again."""

Cause = Literal["over", "camera_lost"]

_EVENTS = uuid.uuid5(uuid.NAMESPACE_URL, "ferd/event")


@dataclass(frozen=True, slots=True)
class Published:
    """The payloads that hold now, and the events of the last step.

    Attributes:
        state: None before the first reading.
        alert: None before there was anything to publish.
        fatigue: None while fatigue detection is off.
    """

    state: State | None = None
    alert: AlertState | None = None
    fatigue: FatigueState | None = None
    events: tuple[AnyEvent, ...] = ()


class EventBuilder:
    """Build the payloads of one camera.

    A state is published when the main face's expression changes, when another number of faces was seen for ``hold_s``,
    or when the confidence differs by CONFIDENCE_STEP from the published one and CONFIDENCE_EVERY_S have passed. A main
    face that is lost for less than ``hold_s`` changes nothing. Alerts are published as they change; fatigue at once
    when its level changes, otherwise when a measure changed noticeably, at most every FATIGUE_EVERY_S.
    """

    def __init__(self, node: str, camera: str, hold_s: float = HOLD_S) -> None:
        self._node, self._camera, self._hold_s = node, camera, hold_s
        self._state: State | None = None
        self._alerts, self._fatigue = AlertTracker(), FatigueTracker()
        self._now = 0.0
        self._t: float | None = None
        self._count = DebouncedCount(hold_s)
        self._presences: dict[int, Presence] = {}
        self._main_track: int | None = None
        self._main_lost_at: float | None = None
        self._state_at = 0.0
        self._expression_since = 0.0  # on our time line, when the published expression began
        self._event_count = 0

    def begin(self, wall: float) -> Published:
        """Start: an alert that an earlier run left on the broker is over."""
        self._alerts.begin(wall)
        return self._published()

    def update(self, reading: Reading, wall: float) -> Published:
        """Take a reading in. ``wall``: seconds since 1970 that belong to ``reading.t`` (for a file simply its t)."""
        self._move_to(reading.t)
        transitions = self._alerts.update(reading.alerts, reading.t, self._now, wall)
        before = self._state
        state = self._next_state(reading, wall)
        changed = before is None or state.expression != before.expression
        events: tuple[AnyEvent, ...] = (
            *self._appeared(reading, wall, at_once=before is None, expressing=self._main_track if changed else None),
            *(self._expression_changed(before, state, wall) if changed else ()),
            *self._gestures(reading, wall),
            *self._alert_events(transitions, wall),
            *self._left(reading, wall),
        )
        if state != before:
            self._state, self._state_at = state, self._now
        if changed:
            self._expression_since = self._now - _age(reading, state.expression)
        self._fatigue.update(reading.fatigue, self._now)
        return self._published(events)

    def unjudged(self, reason: Unjudged) -> Published:
        """Report that nobody watches the driver, as no reading comes. Call it only while fatigue is on."""
        self._fatigue.lost(self._now, reason)
        return self._published()

    def lost(self, wall: float, reason: Unjudged = "camera_lost") -> Published:
        """Report that the camera is gone, and why: nobody is seen any more, and all alerts end."""
        if self._t is None:
            return self._published()
        transitions = self._alerts.update((), self._t, self._now, wall, "camera_lost")
        if self._fatigue.state is not None:
            self._fatigue.lost(self._now, reason)
        events: list[AnyEvent] = [*self._alert_events(transitions, wall)]
        for t in (self._t, self._t + self._hold_s):
            events += self.update(Reading(t), wall).events
        return self._published(tuple(events))

    def _published(self, events: tuple[AnyEvent, ...] = ()) -> Published:
        return Published(self._state, self._alerts.state, self._fatigue.state, events)

    def _move_to(self, t: float) -> None:
        if self._t is not None:
            self._now += max(0.0, t - self._t)
        self._t = t

    def _next_state(self, reading: Reading, wall: float) -> State:
        """The state after this reading: the published one if nothing changed that is worth publishing."""
        expression, confidence = self._main(reading)
        faces = self._count.update(len(reading.faces), self._now)
        if expression is not None:
            faces = max(faces, 1)  # the expression may be held before the number is
        published = self._state
        if published is None or expression != published.expression:
            since = wall - _age(reading, expression)
            return State(expression, confidence, faces, since, published.seq + 1 if published else 1)
        if faces != published.faces or self._is_noticeable(confidence, published.confidence):
            return State(expression, confidence, faces, published.since, published.seq + 1)
        return published

    def _main(self, reading: Reading) -> tuple[str | None, float | None]:
        """Expression and confidence of the main face; those published while it is lost for less than ``hold_s``."""
        main = reading.main_face
        if main is not None:
            self._main_track, self._main_lost_at = main.track.id, None
            return main.expression, main.confidence if main.expression is not None else None
        if self._main_lost_at is None:
            self._main_lost_at = self._now
        if self._state is not None and self._now - self._main_lost_at < self._hold_s:
            return self._state.expression, self._state.confidence
        return None, None

    def _is_noticeable(self, confidence: float | None, published: float | None) -> bool:
        if self._now - self._state_at < CONFIDENCE_EVERY_S:
            return False
        if confidence is None or published is None:
            return confidence is not published
        return round(abs(confidence - published), 6) >= CONFIDENCE_STEP

    def _appeared(self, reading: Reading, wall: float, *, at_once: bool, expressing: int | None) -> list[Event]:
        """Publish the faces that have stayed for ``hold_s``.

        Args:
            at_once: publish all without waiting.
            expressing: the track whose expression is about to be published: its face has to appear before.
        """
        events = []
        for face in reading.faces:
            presence = self._presences.setdefault(face.track.id, Presence(self._now, self._now))
            presence.last, presence.missing_since = self._now, None
            waited = self._now - presence.first >= self._hold_s
            if not presence.is_published and (at_once or waited or face.track.id == expressing):
                presence.is_published = True
                events.append(self._event("face_appeared", wall, track=face.track.id))
        return events

    def _left(self, reading: Reading, wall: float) -> list[Event]:
        events = []
        present = {face.track.id for face in reading.faces}
        for track, presence in list(self._presences.items()):
            if track in present:
                continue
            if presence.missing_since is None:
                presence.missing_since = self._now
            if not presence.is_published:
                del self._presences[track]  # it must appear without a break
            elif self._now - presence.missing_since >= self._hold_s:
                del self._presences[track]
                held_s = presence.last - presence.first
                events.append(self._event("face_left", wall, track=track, held_s=held_s))
        return events

    def _expression_changed(self, before: State | None, after: State, wall: float) -> list[Event]:
        old = before.expression if before else None
        if after.expression == old:
            return []
        return [
            self._event(
                "expression_changed",
                wall,
                track=self._main_track,
                old=old,
                new=after.expression,
                confidence=after.confidence,
                held_s=self._now - self._expression_since if before else None,
            )
        ]

    def _event(
        self,
        event_type: EventType,
        wall: float,
        *,
        track: int | None,
        old: str | None = None,
        new: str | None = None,
        confidence: float | None = None,
        held_s: float | None = None,
    ) -> Event:
        return Event(event_type, self._next_id(wall), track, old, new, confidence, held_s, wall)

    def _alert_events(self, transitions: Sequence[AlertTransition], wall: float) -> list[AlertEvent]:
        return [
            AlertEvent(it.event_type, self._next_id(wall), it.name, it.level, it.reason, it.held_s, it.cause, wall)
            for it in transitions
        ]

    def _gestures(self, reading: Reading, wall: float) -> list[GestureEvent]:
        return [
            GestureEvent("gesture", self._next_id(wall), one.name, one.track, one.track == reading.main, wall)
            for one in reading.gestures
            if one.t == reading.t
        ]

    def _next_id(self, wall: float) -> str:
        self._event_count += 1
        # With the time: the count starts again with the daemon, and an id must be unique.
        name = f"{self._node}/{self._camera}/{self._event_count}/{iso(wall)}"
        return str(uuid.uuid5(_EVENTS, name))


class DebouncedCount:
    """A number that is taken over once it was seen for ``hold_s`` without a break; the very first one at once."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._number: int | None = None
        self._candidate = 0
        self._since = 0.0

    def update(self, number: int, now: float) -> int:
        """Return the number that holds now."""
        if self._number is None:
            self._number = self._candidate = number
        if number != self._candidate:
            self._candidate, self._since = number, now
        if now - self._since >= self._hold_s:
            self._number = self._candidate
        return self._number


@dataclass(slots=True)
class Presence:
    """When one track was first and last seen, since when it is missing, and whether its event was published."""

    first: float
    last: float
    missing_since: float | None = None
    is_published: bool = False


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """An alert began or ended. ``held_s`` and ``cause`` belong to one that ended."""

    event_type: AlertEventType
    name: str
    level: Level
    reason: str
    held_s: float | None = None
    cause: Cause | None = None


@dataclass(slots=True)
class _ActiveAlert:
    """When an alert began, and the worst level that it reached with the reason."""

    began: float
    level: Level
    reason: str


class AlertTracker:
    """Keep the published alert state and find the alerts that began or ended."""

    def __init__(self) -> None:
        self.state: AlertState | None = None
        """The state as published; None before anything was."""
        self._active: dict[str, _ActiveAlert] = {}

    def begin(self, wall: float) -> None:
        self.state = _no_alert(wall)

    def update(
        self, alerts: Sequence[Alert], t: float, now: float, wall: float, cause: Cause = "over"
    ) -> list[AlertTransition]:
        """Take over the alerts that hold at the source's time ``t``, the worst first.

        ``cause``: why the missing ones ended. The state stays the same object while nothing changed that is published.
        """
        alerts = [alert for alert in alerts if alert.mqtt]
        transitions = [*self._ended(alerts, now, cause), *self._began(alerts, t, now)]
        state = _state_of(alerts, t, wall)
        if not _is_same(state, self.state or _no_alert(wall)):
            self.state = state
        return transitions

    def _began(self, alerts: Sequence[Alert], t: float, now: float) -> list[AlertTransition]:
        transitions = []
        for alert in alerts:
            name = slug(alert.name)
            active = self._active.get(name)
            if active is None:
                self._active[name] = _ActiveAlert(now - max(0.0, t - alert.since), alert.level, alert.reason)
                transitions.append(AlertTransition("alert_began", name, alert.level, alert.reason))
            elif LEVELS.index(alert.level) > LEVELS.index(active.level):
                active.level, active.reason = alert.level, alert.reason
        return transitions

    def _ended(self, alerts: Sequence[Alert], now: float, cause: Cause) -> list[AlertTransition]:
        names = {slug(alert.name) for alert in alerts}
        ended = [(name, self._active.pop(name)) for name in list(self._active) if name not in names]
        return [AlertTransition("alert_ended", name, it.level, it.reason, now - it.began, cause) for name, it in ended]


class FatigueTracker:
    """Keep the published fatigue state."""

    def __init__(self) -> None:
        self.state: FatigueState | None = None
        """The state as published; None before anything was."""
        self._changed_at = 0.0

    def update(self, fatigue: Fatigue | None, now: float) -> None:
        """Take over a new level or reason at once, and noticeable measures at most every FATIGUE_EVERY_S."""
        if fatigue is None:
            return
        state = FatigueState(
            fatigue.level,
            fatigue.awareness,
            fatigue.perclos,
            fatigue.observed,
            fatigue.blinks,
            fatigue.blink_s,
            fatigue.longest_s,
            fatigue.yawns,
            fatigue.judged,
            fatigue.unjudged,
            fatigue.attention,
            fatigue.nods,
        )
        before = self.state
        is_soon = now - self._changed_at < FATIGUE_EVERY_S
        is_same = before is not None and (state.level, state.unjudged) == (before.level, before.unjudged)
        if before is not None and is_same and (is_soon or not _is_noticeable(state, before)):
            return
        self.state, self._changed_at = state, now

    def lost(self, now: float, reason: Unjudged) -> None:
        """Report that nothing is known, and why."""
        unknown = nothing_known(reason)
        if self.state != unknown:
            self.state, self._changed_at = unknown, now


def nothing_known(reason: Unjudged) -> FatigueState:
    """Return the fatigue of a driver whom nobody watches."""
    return FatigueState("none", None, None, 0.0, None, None, 0.0, 0, judged=False, unjudged=reason)


def _no_alert(wall: float) -> AlertState:
    return AlertState("none", None, None, wall, False, ())


def _state_of(alerts: Sequence[Alert], t: float, wall: float) -> AlertState:
    if not alerts:
        return _no_alert(wall)
    worst = alerts[0]
    since = wall - max(0.0, t - worst.since)
    buzzer = any(alert.pattern is not None for alert in alerts)
    active = tuple(dict.fromkeys(slug(alert.name) for alert in alerts))
    return AlertState(worst.level, worst.reason, worst.awareness, since, buzzer, active)


def _is_same(one: AlertState, other: AlertState) -> bool:
    """Compare without the awareness, which changes with every frame, and without the time, as a clock may be set."""

    def compared(state: AlertState) -> tuple[object, ...]:
        return state.level, state.reason, state.buzzer, tuple(state.active)

    return compared(one) == compared(other)


def _is_noticeable(one: FatigueState, other: FatigueState) -> bool:
    for key, step in NOTICEABLE.items():
        a, b = getattr(one, key), getattr(other, key)
        if (a is None) != (b is None) or (a is not None and round(abs(a - b), 6) >= step):
            return True
    return False


def _age(reading: Reading, expression: str | None) -> float:
    """For how many seconds the published expression was already held when this reading was made."""
    main = reading.main_face
    if main is None or expression is None or main.expression != expression:
        return 0.0
    return max(0.0, reading.t - main.since)
