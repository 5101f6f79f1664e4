"""One camera of the daemon: its keeper, its pipeline and its voice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from ferd.camera.keeper import Keeper, State
from ferd.camera.source import Source
from ferd.camera.watch import Timing
from ferd.config import CameraConfig
from ferd.health import Counters
from ferd.pipeline import Parts
from ferd.publish.narrator import Narrator
from ferd.publish.topics import CameraStatus, Message, camera_status_message

LATENCY_SHARE = 0.1
"""Weight of the newest frame in the running mean of the latency."""


class Lane:
    """`step` takes the newest frame, if there is one, through the chain and gives the messages that it is worth.

    `factory` makes the source each time it is opened. `wake` is set whenever there is something to do.
    """

    def __init__(
        self,
        node: str,
        name: str,
        config: CameraConfig,
        parts: Parts,
        *,
        factory: Callable[[], Source],
        wake: threading.Event,
    ) -> None:
        self.name = name
        self.keeper = Keeper(name, factory, wake, timing=Timing.of(config.fps))
        self._node, self._config, self._parts = node, config, parts
        self._pipeline = parts.pipeline(config)
        self._narrator = Narrator(node, name)
        self._state = State.STARTING
        self._analysed = 0
        self._latency_s: float | None = None

    def start(self) -> None:
        self.keeper.start()

    def ask_to_stop(self) -> None:
        self.keeper.ask_to_stop()

    def stop(self) -> None:
        self.keeper.stop()

    def step(self) -> Iterator[Message]:
        """At most one frame. Messages come in the order in which they are to be published."""
        yield from self._state_changes()
        frame = self.keeper.take()
        if frame is None:
            return
        reading = self._pipeline.step(frame)
        self._analysed += 1
        self._note_latency()
        yield from self._narrator.tell(reading, time.time())

    @property
    def beats(self) -> int:
        """Rises with every analysed frame and every attempt to open: what proves that this lane is alive."""
        return self._analysed + self.keeper.report().opens

    @property
    def settled(self) -> bool:
        """True once the camera is known to work, or known not to."""
        return self.keeper.report().state is not State.STARTING

    def counters(self) -> Counters:
        report = self.keeper.report()
        return Counters(self._analysed, report.skipped, max(0, report.opens - 1), self._latency_s)

    def _state_changes(self) -> Iterator[Message]:
        state = self.keeper.report().state
        if state is self._state:
            return
        was, self._state = self._state, state
        status: CameraStatus = "online" if state is State.ONLINE else "offline"
        if state is State.OFFLINE and was is State.ONLINE:
            # What comes next may be another camera: nothing of what was seen before holds for it.
            self._pipeline = self._parts.pipeline(self._config)
            yield from self._narrator.lost(time.time())
        yield camera_status_message(self._node, self.name, status)

    def _note_latency(self) -> None:
        at = self.keeper.report().last_frame_at
        if at is None:
            return
        latency = max(0.0, time.monotonic() - at)
        before = latency if self._latency_s is None else self._latency_s
        self._latency_s = before + LATENCY_SHARE * (latency - before)
