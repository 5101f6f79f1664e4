"""The daemon: cameras in, messages out, until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from ferd import __version__
from ferd.camera.open import open_source
from ferd.camera.source import Source
from ferd.config import CameraConfig, Config
from ferd.health import HealthReport
from ferd.lane import Lane
from ferd.paths import state_dir
from ferd.pipeline import Parts
from ferd.publish.board import Board
from ferd.publish.home_assistant import Device, announcement, identity
from ferd.publish.journal import Journal
from ferd.publish.mqtt import Protocol
from ferd.publish.publisher import Publisher
from ferd.publish.topics import Info, camera_status_message, info_message
from ferd.systemd import Systemd

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
"""Without a frame the loop looks round so often: for a stop, a changed camera, a due report."""
STATUS_EVERY_S = 10.0


class Daemon:
    """Built from a configuration; `run` blocks until `stop` is called from another thread or a signal handler.

    The constructor loads the model and reads all files that the configuration names, so it raises ConfigError (exit
    78) before anything is started. `open_camera` makes the source of a camera; the default opens the real thing.
    `protocol`: the MQTT version to try first.
    """

    def __init__(
        self,
        config: Config,
        *,
        open_camera: Callable[[CameraConfig], Source] | None = None,
        systemd: Systemd | None = None,
        protocol: Protocol = "5",
    ) -> None:
        self.config = config
        mqtt = config.mqtt
        self._journal = Journal(state_dir() / "journal.db", mqtt.journal_events) if mqtt.journal else None
        self.board = Board(self._journal)
        self._parts = Parts(config)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._systemd = systemd or Systemd()
        opener = open_camera or (lambda camera: open_source(camera, live=True))
        self._lanes = [self._lane(name, camera, opener) for name, camera in config.cameras.items()]
        self.publisher = Publisher(
            config.mqtt, config.node.name, identity(), self.board, cameras=tuple(config.cameras), prefer=protocol
        )
        self._health = HealthReport(config.node.name, time.monotonic())

    @property
    def labels(self) -> tuple[str, ...]:
        return self._parts.classifier.labels

    def stop(self) -> None:
        """May be called at any time, from any thread or a signal handler; `run` returns within 2 s."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        if self._journal is not None:
            self._journal.start()
        self._introduce()
        self.publisher.start()
        try:
            for lane in self._lanes:
                lane.start()
            self._loop()
        finally:
            self._systemd.stopping()
            for lane in self._lanes:
                lane.ask_to_stop()  # side by side, while the broker hears that we go
            self.publisher.stop()
            for lane in self._lanes:
                lane.stop()
            if self._journal is not None:
                self._journal.stop()

    def camera_names(self) -> Mapping[str, str]:
        """What each camera really is: "demo scene", "usb camera /dev/video0"."""
        return {lane.name: lane.keeper.report().source for lane in self._lanes}

    def _lane(self, name: str, camera: CameraConfig, opener: Callable[[CameraConfig], Source]) -> Lane:
        return Lane(self.config.node.name, name, camera, self._parts, factory=lambda: opener(camera), wake=self._wake)

    def _introduce(self) -> None:
        node, now = self.config.node.name, time.monotonic()
        model = self._parts.classifier.bundle.name
        cameras = tuple(self.config.cameras)
        self.board.put(info_message(node, Info(__version__, model, self.labels, cameras)), now)
        for camera in cameras:  # until it has delivered a picture; a run that was killed may have left it online
            self.board.put(camera_status_message(node, camera, "offline"), now)
        if self.config.mqtt.discovery:
            device = Device(identity(), node, cameras, self.labels)
            self.board.put(announcement(self.config.mqtt.discovery_prefix, device), now)

    def _loop(self) -> None:
        beats, ready, status_at = 0, False, 0.0
        while not self._stopping.is_set():
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
            for lane in self._lanes:
                for message in lane.step():
                    self.board.put(message, time.monotonic())
            if (now_beats := sum(lane.beats for lane in self._lanes)) != beats:
                beats = now_beats
                self._systemd.progress()
            if not ready and all(lane.settled for lane in self._lanes):
                ready = True
                self._systemd.ready(self._status())
                log.info("ready %s", self._status())
            status_at = self._report(ready, status_at)

    def _report(self, ready: bool, status_at: float) -> float:
        now = time.monotonic()
        counters = {lane.name: lane.counters() for lane in self._lanes}
        if message := self._health.tell(now, counters, self.publisher.status.reconnects):
            self.board.put(message, now)
        if ready and now - status_at >= STATUS_EVERY_S:
            self._systemd.status(self._status())
            return now
        return status_at

    def _status(self) -> str:
        cameras = " ".join(f"{lane.name}={lane.keeper.report().state}" for lane in self._lanes)
        mqtt = self.publisher.status
        return f"{cameras} broker={'connected' if mqtt.connected else 'away'}"
