"""Turn the loop once: step every camera, make one snapshot, update every sink. One failure stays one failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from ferd.camera_worker import CameraWorker
from ferd.config import Config
from ferd.snapshot import CameraEvent, FileStamps, ModelInfo, Sink, Snapshot

LOG_EVERY_S = 60.0
"""Minimum interval between two log entries about the same output or camera that keeps failing."""

log = logging.getLogger(__name__)


class Boundary:
    """Isolate failures by name: log the traceback of the first and then one in LOG_EVERY_S, and go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}

    def call(self, name: str, function: Callable[[], object]) -> bool:
        """Whether `function` ended without an exception."""
        try:
            function()
        except Exception:
            now = self._clock()
            if now - self._logged.get(name, float("-inf")) >= LOG_EVERY_S:
                self._logged[name] = now
                log.exception("failed, the rest goes on what=%s", name)
            return False
        return True


class Engine:
    """Own the latest snapshot and the sinks. `tick` runs in the loop's thread; `snapshot` may be read from any.

    Args:
        sinks: in the order in which they are updated: the buzzer first.
    """

    def __init__(self, sinks: Sequence[Sink], *, identity: str = "", boundary: Boundary | None = None) -> None:
        self._sinks = tuple(sinks)
        self._identity = identity
        self._boundary = boundary or Boundary()
        self._commanded: list[tuple[str, str]] = []
        self.snapshot: Snapshot | None = None

    def check(self, config: Config) -> None:
        """Raise ConfigError when a sink could not work with this configuration; nothing changes."""
        for sink in self._sinks:
            sink.check(config)

    def note_command(self, camera: str, switch: str) -> None:
        """Publish a switch's state with the next snapshot, changed or not."""
        self._commanded.append((camera, switch))

    def tick(
        self,
        config: Config,
        model: ModelInfo,
        workers: Iterable[CameraWorker],
        *,
        files: FileStamps,
        throttled: bool = False,
    ) -> Snapshot:
        """Step every camera and update every sink with what became of it."""
        workers = list(workers)
        for worker in workers:
            self._boundary.call(f"camera {worker.name}", lambda worker=worker: worker.step(throttled=throttled))  # type: ignore[misc]
        cameras = {worker.name: worker.snapshot() for worker in workers}
        commanded, self._commanded = tuple(self._commanded), []
        after = Snapshot(
            at=time.monotonic(),
            wall=time.time(),
            config=config,
            model=model,
            cameras=cameras,
            files=files,
            throttled=throttled,
            ready=all(camera.settled for camera in cameras.values()),
            commanded=commanded,
            identity=self._identity,
        )
        events = [event for worker in workers for event in worker.take_events()]
        self.publish(after, events)
        return after

    def publish(self, after: Snapshot, events: Sequence[CameraEvent]) -> None:
        """Make `after` the latest snapshot and update every sink with it."""
        before, self.snapshot = self.snapshot, after
        for sink in self._sinks:
            self._boundary.call(type(sink).__name__, lambda sink=sink: sink.update(before, after, events))  # type: ignore[misc]

    def stop(self) -> None:
        """Stop every sink, in their order: the buzzer is silent at once."""
        for sink in self._sinks:
            self._boundary.call(f"stop {type(sink).__name__}", sink.stop)
