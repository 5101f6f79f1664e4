"""The page's end of the loop's hook: remembers what was read, and offers the picture to those who look."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from typing import Any

from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.topics import EVENT
from ferd.outputs.web.history import History
from ferd.outputs.web.recorder import Recorder
from ferd.outputs.web.stages import Stopwatches
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.types import Frame, Reading
from ferd.vision.pipeline import Pipeline

EVENTS = 200

log = logging.getLogger(__name__)


class WebSink:
    """ferd.camera_worker.Onlooker. A fault in here is told once and ends the looking, not the reading."""

    def __init__(self, studio: FrameBroadcaster) -> None:
        self._studio = studio
        self._failed = False
        self.histories: dict[str, History] = {}
        self.recorders: dict[str, Recorder] = {}
        self.stopwatches: dict[str, Stopwatches] = {}
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)

    def saw(self, camera: str, frame: Frame, reading: Reading) -> None:
        if self._failed:
            return
        try:
            self.histories.setdefault(camera, History()).add(time.monotonic(), reading)
            self.recorders.setdefault(camera, Recorder()).add(reading)
            self._studio.offer(camera, frame, reading)
        except Exception:  # cameras and alarms must go on
            self._failed = True
            log.exception("the page sees nothing any more")

    def clock(self, camera: str, pipeline: Pipeline) -> None:
        self.stopwatches.setdefault(camera, Stopwatches()).put_on(pipeline)

    def heard(self, message: Message) -> None:
        """A message of the board: events are kept for the page."""
        if names := EVENT.names_in(message.topic):
            self._events.append({**json.loads(message.payload), **names, "told_at": round(time.time(), 1)})

    def events(self, camera: str) -> list[dict[str, Any]]:
        """The oldest first."""
        return [event for event in list(self._events) if event["camera"] == camera]
