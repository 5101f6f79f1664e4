"""Tells what one camera sees: turns its stream of readings into messages, and says nothing while nothing changes.

Pure: no clock, no broker. The same readings and wall times give the same messages, byte for byte.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ferd.alert_events import AlertPublisher, AlertTransition, FatiguePublisher
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.topics import ALERT, EVENT, FATIGUE, STATE
from ferd.payloads import AlertEvent, AlertState, Event, EventType, FatigueState, State, iso
from ferd.types import Level, Reading

HOLD_S = 0.5
CONFIDENCE_STEP = 0.15
CONFIDENCE_EVERY_S = 5.0

_EVENTS = uuid.uuid5(uuid.NAMESPACE_URL, "ferd/event")


class HeldCount:
    """A number that is taken over once it was seen for ``hold_s`` without a break; the very first one at once."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._told: int | None = None
        self._candidate = 0
        self._since = 0.0

    def see(self, number: int, now: float) -> int:
        """The number that holds now."""
        if self._told is None:
            self._told = self._candidate = number
        if number != self._candidate:
            self._candidate, self._since = number, now
        if now - self._since >= self._hold_s:
            self._told = self._candidate
        return self._told


@dataclass(slots=True)
class Presence:
    """One track: when it was first and last seen, since when it is missing, and whether it was told."""

    first: float
    last: float
    missing_since: float | None = None
    told: bool = False


class EventBuilder:
    """The voice of one camera.

    A state is told when the main face's expression changed, when another number of faces held for ``hold_s``, or
    when the confidence is CONFIDENCE_STEP away from the told one and CONFIDENCE_EVERY_S have passed. A main face
    that is lost for less than ``hold_s`` changes nothing. Alerts are told as they change, fatigue as `alerts` says.
    """

    def __init__(self, node: str, camera: str, hold_s: float = HOLD_S) -> None:
        self._node, self._camera, self._hold_s = node, camera, hold_s
        self.state: State | None = None
        """The state as last told; None before the first reading."""
        self.events: tuple[Event | AlertEvent, ...] = ()
        """The events of the latest call of ``tell`` or ``lost``."""
        self._alerts, self._fatigue = AlertPublisher(), FatiguePublisher()
        self._told_level: Level = "none"
        self._now = 0.0  # our own time line: a source that starts again jumps back, we stand still
        self._t: float | None = None
        self._count = HeldCount(hold_s)
        self._presences: dict[int, Presence] = {}
        self._main_track: int | None = None
        self._main_lost_at: float | None = None
        self._told_at = 0.0
        self._held_from = 0.0  # on our time line, when the told expression began
        self._told_events = 0

    @property
    def alert(self) -> AlertState | None:
        """The alerts as last told; None while there was nothing to tell."""
        return self._alerts.state

    @property
    def fatigue(self) -> FatigueState | None:
        """The fatigue as last told; None while it is off."""
        return self._fatigue.state

    def begin(self, wall: float) -> list[Message]:
        """What is said at the start, before any picture: an alert that an earlier run left behind is over."""
        return [self._message(self._alerts.begin(wall))]

    def tell(self, reading: Reading, wall: float) -> list[Message]:
        """The messages that this reading is worth: at most one alert, state and fatigue, then events.

        ``wall``: seconds since 1970 that belong to ``reading.t`` (for a file simply its t).
        """
        self._move_to(reading.t)
        told = [alert for alert in reading.alerts if alert.mqtt]
        alert, turns = self._alerts.see(told, reading.t, self._now, wall)
        first = self.state is None
        before = self.state
        state = self._state_after(reading, wall)
        self.events = (
            *self._turned(turns, wall),
            *self._appeared(reading, wall, at_once=first),
            *self._expression_changed(before, state, wall),
            *self._left(reading, wall),
        )
        if state != before:
            self.state, self._told_at = state, self._now
        if before is None or state.expression != before.expression:
            self._held_from = self._now - _age(reading, state.expression)
        fatigue = self._fatigue.see(reading.fatigue, self._now)
        news = (alert, state if state != before else None, fatigue, *self.events)
        return [self._message(payload) for payload in news if payload is not None]

    def lost(self, wall: float) -> list[Message]:
        """The camera is gone: nobody is seen any more, and there is nothing to wait for."""
        if self._t is None:
            return []
        alert, turns = self._alerts.see((), self._t, self._now, wall, "camera_lost")
        fatigue = self._fatigue.lost(self._now)
        ended = self._turned(turns, wall)
        messages = [self._message(payload) for payload in (alert, fatigue, *ended) if payload is not None]
        events: list[Event | AlertEvent] = [*ended]
        for t in (self._t, self._t + self._hold_s):
            messages += self.tell(Reading(t), wall)
            events += self.events
        self.events = tuple(events)
        return messages

    def _message(self, payload: AlertState | State | FatigueState | Event | AlertEvent) -> Message:
        names = {"node": self._node, "camera": self._camera}
        match payload:
            case AlertState():
                return ALERT.message(payload, **names)
            case State():
                return STATE.message(payload, **names)
            case FatigueState():
                # No limit holds back what the alert says at the same moment.
                changed, self._told_level = payload.level != self._told_level, payload.level
                return replace(FATIGUE.message(payload, **names), urgent=changed)
            case AlertEvent():
                return replace(EVENT.message(payload, **names), urgent=True)
            case Event():
                return EVENT.message(payload, **names)

    def _move_to(self, t: float) -> None:
        if self._t is not None:
            self._now += max(0.0, t - self._t)
        self._t = t

    def _state_after(self, reading: Reading, wall: float) -> State:
        """What is to be told now: the state as it stands if nothing worth telling changed."""
        expression, confidence = self._main(reading)
        faces = self._count.see(len(reading.faces), self._now)
        if expression is not None:
            faces = max(faces, 1)  # the expression may be held before the number is
        told = self.state
        if told is None or expression != told.expression:
            since = wall - _age(reading, expression)
            return State(expression, confidence, faces, since, told.seq + 1 if told else 1)
        if faces != told.faces or self._is_news(confidence, told.confidence):
            return State(expression, confidence, faces, told.since, told.seq + 1)
        return told

    def _main(self, reading: Reading) -> tuple[str | None, float | None]:
        """Expression and confidence of the main face, as told while it is lost for a moment only."""
        main = reading.main_face
        if main is not None:
            self._main_track, self._main_lost_at = main.track.id, None
            return main.expression, main.confidence if main.expression is not None else None
        if self._main_lost_at is None:
            self._main_lost_at = self._now
        if self.state is not None and self._now - self._main_lost_at < self._hold_s:
            return self.state.expression, self.state.confidence
        return None, None

    def _is_news(self, confidence: float | None, told: float | None) -> bool:
        if self._now - self._told_at < CONFIDENCE_EVERY_S:
            return False
        if confidence is None or told is None:
            return confidence is not told
        return round(abs(confidence - told), 6) >= CONFIDENCE_STEP

    def _appeared(self, reading: Reading, wall: float, *, at_once: bool) -> list[Event]:
        events = []
        for face in reading.faces:
            presence = self._presences.setdefault(face.track.id, Presence(self._now, self._now))
            presence.last, presence.missing_since = self._now, None
            if not presence.told and (at_once or self._now - presence.first >= self._hold_s):
                presence.told = True
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
            if not presence.told:
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
        held_s = self._now - self._held_from if before else None
        return [
            self._event(
                "expression_changed",
                wall,
                track=self._main_track,
                old=old,
                new=after.expression,
                confidence=after.confidence,
                held_s=held_s,
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

    def _turned(self, turns: Sequence[AlertTransition], wall: float) -> list[AlertEvent]:
        return [
            AlertEvent(
                turn.event_type,
                self._next_id(wall),
                turn.name,
                turn.level,
                turn.reason,
                turn.held_s,
                turn.cause,
                wall,
            )
            for turn in turns
        ]

    def _next_id(self, wall: float) -> str:
        self._told_events += 1
        # With the time, since the count starts again with the daemon and an id must never come twice.
        name = f"{self._node}/{self._camera}/{self._told_events}/{iso(wall)}"
        return str(uuid.uuid5(_EVENTS, name))


def _age(reading: Reading, expression: str | None) -> float:
    """For how many seconds the told expression was already held when this reading was made."""
    main = reading.main_face
    if main is None or expression is None or main.expression != expression:
        return 0.0
    return max(0.0, reading.t - main.since)
