"""Tells what one camera's alerts and fatigue are worth telling. Pure; part of the narrator.

``now`` is on the narrator's own time line (seconds, never jumps back), ``age`` and ``wall`` as the narrator says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ferd.outputs.mqtt.names import slug
from ferd.payloads import AlertEventType, AlertState, FatigueState
from ferd.types import LEVELS, Alert, Fatigue, Level

FATIGUE_EVERY_S = 10.0
NOTICEABLE = {
    "awareness": 0.05,
    "perclos": 0.02,
    "observed": 0.1,
    "blinks": 3.0,
    "blink_s": 0.05,
    "longest_s": 0.3,
    "yawns": 1.0,
}
"""By how much a measure must have moved before it is told again."""

Cause = Literal["over", "camera_lost"]


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """An alert began or ended. ``held_s``, ``cause``: of one that ended."""

    event_type: AlertEventType
    name: str
    level: Level
    reason: str
    held_s: float | None = None
    cause: Cause | None = None


@dataclass(slots=True)
class _Held:
    """An alert that holds: when it began, and the worst that it came to."""

    began: float
    level: Level
    reason: str


class AlertPublisher:
    """``state``: what was told last; None before anything was."""

    def __init__(self) -> None:
        self.state: AlertState | None = None
        self._held: dict[str, _Held] = {}

    def begin(self, wall: float) -> AlertState:
        """What is told at the start: whatever an earlier run left behind holds no more."""
        self.state = _nothing(wall)
        return self.state

    def see(
        self, alerts: Sequence[Alert], t: float, now: float, wall: float, cause: Cause = "over"
    ) -> tuple[AlertState | None, list[AlertTransition]]:
        """What is to be told of ``alerts`` (all that hold at the source's time ``t``, the worst first).

        The state is None while it stays as it was told. ``cause``: why those that are missing ended.
        """
        alerts = [alert for alert in alerts if alert.mqtt]
        turns = [*self._ended(alerts, now, cause), *self._began(alerts, t, now)]
        state = _state_of(alerts, t, wall)
        if _is_same(state, self.state or _nothing(wall)):
            return None, turns
        self.state = state
        return state, turns

    def _began(self, alerts: Sequence[Alert], t: float, now: float) -> list[AlertTransition]:
        turns = []
        for alert in alerts:
            name = slug(alert.name)
            held = self._held.get(name)
            if held is None:
                self._held[name] = _Held(now - max(0.0, t - alert.since), alert.level, alert.reason)
                turns.append(AlertTransition("alert_began", name, alert.level, alert.reason))
            elif LEVELS.index(alert.level) > LEVELS.index(held.level):
                held.level, held.reason = alert.level, alert.reason
        return turns

    def _ended(self, alerts: Sequence[Alert], now: float, cause: Cause) -> list[AlertTransition]:
        holding = {slug(alert.name) for alert in alerts}
        gone = [name for name in self._held if name not in holding]
        ended = [(name, self._held.pop(name)) for name in gone]
        return [AlertTransition("alert_ended", name, it.level, it.reason, now - it.began, cause) for name, it in ended]


class FatiguePublisher:
    """``state``: what was told last; None before anything was."""

    def __init__(self) -> None:
        self.state: FatigueState | None = None
        self._told_at = 0.0

    def see(self, fatigue: Fatigue | None, now: float) -> FatigueState | None:
        """What is to be told: at once when the level changed, else what is noticeable, every FATIGUE_EVERY_S."""
        if fatigue is None:
            return None
        state = FatigueState(
            fatigue.level,
            fatigue.awareness,
            fatigue.perclos,
            fatigue.observed,
            fatigue.blinks,
            fatigue.blink_s,
            fatigue.longest_s,
            fatigue.yawns,
        )
        told = self.state
        calm = told is not None and state.level == told.level
        if told and calm and (now - self._told_at < FATIGUE_EVERY_S or not _is_noticeable(state, told)):
            return None
        self.state, self._told_at = state, now
        return state

    def lost(self, now: float) -> FatigueState | None:
        """Nobody looks any more, so nothing is known."""
        unknown = FatigueState("none", None, None, 0.0, None, None, 0.0, 0)
        if self.state is None or self.state == unknown:
            return None
        self.state, self._told_at = unknown, now
        return unknown


def _nothing(wall: float) -> AlertState:
    return AlertState("none", None, None, wall, False, ())


def _state_of(alerts: Sequence[Alert], t: float, wall: float) -> AlertState:
    if not alerts:
        return _nothing(wall)
    worst = alerts[0]
    since = wall - max(0.0, t - worst.since)
    buzzer = any(alert.pattern is not None for alert in alerts)
    active = tuple(dict.fromkeys(slug(alert.name) for alert in alerts))
    return AlertState(worst.level, worst.reason, worst.awareness, since, buzzer, active)


def _is_same(one: AlertState, other: AlertState) -> bool:
    """The awareness moves with every frame and is no news, and neither is a clock that was set."""

    def news(state: AlertState) -> tuple[object, ...]:
        return state.level, state.reason, state.buzzer, tuple(state.active)

    return news(one) == news(other)


def _is_noticeable(one: FatigueState, other: FatigueState) -> bool:
    for key, step in NOTICEABLE.items():
        a, b = getattr(one, key), getattr(other, key)
        if (a is None) != (b is None) or (a is not None and round(abs(a - b), 6) >= step):
            return True
    return False
