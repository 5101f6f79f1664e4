"""What an EventBuilder publishes, step by step, as the MQTT sink sees it."""

from __future__ import annotations

from ferd.event_builder import EventBuilder, Published
from ferd.payloads import AlertEvent, AlertState, Event, FatigueState, State
from ferd.types import Reading

Payload = AlertState | State | FatigueState | Event | AlertEvent


class Recorder:
    """An EventBuilder that returns the payloads that differ, alerts first, then the events."""

    def __init__(self, node: str = "hall", camera: str = "desk") -> None:
        self.builder, self.now = EventBuilder(node, camera), Published()

    def begin(self, wall: float) -> list[Payload]:
        return self._differing(self.builder.begin(wall))

    def update(self, reading: Reading, wall: float) -> list[Payload]:
        return self._differing(self.builder.update(reading, wall))

    def lost(self, wall: float) -> list[Payload]:
        return self._differing(self.builder.lost(wall))

    def _differing(self, after: Published) -> list[Payload]:
        before, self.now = self.now, after
        pairs: list[tuple[Payload | None, Payload | None]] = [
            (before.alert, after.alert),
            (before.state, after.state),
            (before.fatigue, after.fatigue),
        ]
        return [*(new for old, new in pairs if new is not None and new != old), *after.events]
