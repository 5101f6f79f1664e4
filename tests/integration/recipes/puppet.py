"""A ferd that says what it is told to: ferd's own documents and payloads, published by a test."""

from __future__ import annotations

from typing import Any

from brokers import Ear
from recipe_files import CAMERA, NODE

from ferd import topics
from ferd.outputs.home_assistant.discovery import announcement, identity
from ferd.outputs.home_assistant.entities import Device
from ferd.payloads import AlertState, Event, FatigueState, GestureEvent, State
from ferd.topics import Message, Topic
from ferd.types import Level

LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
GESTURES = ("wink_left", "wink_right", "nod")
PAGE = "http://hall-pi.local:8322/"
DEVICE = Device(
    identity(),
    NODE,
    [CAMERA],
    LABELS,
    alerts=("sad for long",),
    fatigue=True,
    gestures=GESTURES,
    buzzer=True,
    image=True,
    area="Workshop",
    page_url=PAGE,
)
A_MOMENT = 1795347453.12


class Puppet:
    """Speaks through ``ear``. What a topic keeps is kept."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._events = 0

    def announce(self) -> None:
        self._publish(announcement("homeassistant", DEVICE))

    def run(self) -> None:
        """ferd starts: all is online, nothing holds, nobody is seen."""
        self._say(topics.NODE_STATUS, "online")
        self._say(topics.CAMERA_STATUS, "online")
        self.see(None, faces=0)
        self.warn("none")

    def stop(self) -> None:
        self._say(topics.CAMERA_STATUS, "offline")
        self._say(topics.NODE_STATUS, "offline")

    def see(self, expression: str | None, faces: int = 1) -> None:
        confidence = None if expression is None else 0.9
        self._say(topics.STATE, State(expression, confidence, faces, A_MOMENT, 1))

    def change(self, old: str | None, new: str | None, *, late: bool = False) -> None:
        """The event of an expression that changed. ``late``: it waited for the broker."""
        self._events += 1
        event = Event("expression_changed", f"{self._events}", 7, old, new, 0.83, 12.4, A_MOMENT)
        message = topics.EVENT.message(event, node=NODE, camera=CAMERA)
        self._publish(topics.mark_late(message) if late else message)

    def gesture(self, name: str, *, main: bool = True, late: bool = False) -> None:
        """The event of a gesture. ``main``: it is the main face's. ``late``: it waited for the broker."""
        self._events += 1
        event = GestureEvent("gesture", f"{self._events}", name, 7, main, A_MOMENT)
        message = topics.EVENT.message(event, node=NODE, camera=CAMERA)
        self._publish(topics.mark_late(message) if late else message)

    def show(self, jpeg: bytes) -> None:
        self._say(topics.IMAGE, jpeg)

    def warn(self, level: Level, reason: str | None = None) -> None:
        """The fatigue policy's level, and the alert that it makes."""
        self._say(topics.FATIGUE, FatigueState(level, 0.4, 0.3, 0.97, 14.0, 0.21, 2.1, 1))
        active = [] if level == "none" else ["fatigue"]
        self._say(topics.ALERT, AlertState(level, reason, 0.4, A_MOMENT, True, active))

    def _say(self, topic: Topic[Any], payload: object) -> None:
        self._publish(topic.message(payload, node=NODE, camera=CAMERA))

    def _publish(self, message: Message) -> None:
        self._ear.say(message.topic, message.encoded(), retain=message.retain)
