"""The daemon: the loop that takes pictures through the chain, does what commands ask for, and reports how it is."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.app import Application, OpenCamera
from ferd.commands import CommandHandler, CommandQueue
from ferd.config import Config
from ferd.config.web import WebConfig
from ferd.errors import ConfigError, FerdError
from ferd.outputs.health import HealthReporter
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.requests import Value
from ferd.outputs.mqtt.topics import Json
from ferd.outputs.status import StatusLine
from ferd.outputs.systemd import Systemd
from ferd.outputs.throttle import ThrottleMonitor
from ferd.sources.factory import open_source

if TYPE_CHECKING:
    from ferd.outputs.web.page import Page

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
"""Without a frame the loop looks round so often: for a stop, a changed camera, a due report."""
STATUS_EVERY_S = 10.0


class Engine:
    """Built from a configuration; `run` blocks until `stop` is called from another thread or a signal handler.

    The constructor raises ConfigError (exit 78) before anything is started. `load` reads the configuration once more
    for a reload; without it there is none. `open_camera` makes the source of a camera; the default opens the real
    thing. `protocol`: the MQTT version to try first. `file`: where the configuration is read from, for the page.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config] | None = None,
        open_camera: OpenCamera | None = None,
        systemd: Systemd | None = None,
        protocol: Protocol = "5",
        file: Path | None = None,
    ) -> None:
        self._load, self._file = load, file
        self._wanted: deque[Config] = deque(maxlen=4)
        self._systemd = systemd or Systemd()
        self._wake, self._stopping, self._reloading = threading.Event(), threading.Event(), threading.Event()
        self._wants_restart = False
        self._inbox = CommandQueue(self._wake)
        self._heat, self._slowed, self._line = ThrottleMonitor(), False, StatusLine()
        self._works = Application(
            config,
            open_camera=open_camera or (lambda camera: open_source(camera, live=True)),
            wake=self._wake,
            on_command=self._inbox.put,
            protocol=protocol,
        )
        self._page = self._make_page()
        self._health = HealthReporter(config.node.name, time.monotonic())
        self._take_name(config.node.name)

    @property
    def config(self) -> Config:
        return self._works.config

    @property
    def board(self) -> Outbox:
        return self._works.board

    @property
    def publisher(self) -> Publisher:
        return self._works.publisher

    @property
    def labels(self) -> tuple[str, ...]:
        return self._works.parts.classifier.labels

    def camera_names(self) -> Mapping[str, str]:
        """What each camera really is: "demo scene", "usb camera /dev/video0"."""
        return {name: lane.keeper.report().source for name, lane in self._works.lanes.items()}

    def stop(self) -> None:
        """May be called at any time, from any thread or a signal handler; `run` returns within 2 s."""
        self._stopping.set()
        self._wake.set()

    def ask_to_reload(self) -> None:
        """The loop reads the configuration once more. May be called as `stop` may."""
        self._reloading.set()
        self._wake.set()

    def ask_to_use(self, config: Config) -> None:
        """The loop takes this configuration over, until the next reload. May be called as `stop` may."""
        self._wanted.append(config)
        self._wake.set()

    @property
    def page(self) -> str | None:
        """The page's address, None while there is none."""
        return self._page.address if self._page else None

    def run(self) -> bool:
        """True when it ended because a restart was asked for."""
        try:
            self._works.start()
            if self._page:
                self._page.start()
            self._loop()
        finally:
            self._systemd.stopping()
            if self._page:
                self._page.stop()
            self._works.stop()
        return self._wants_restart

    # What can be commanded: ferd.commands.Helm.

    def switch(self, camera: str, switch: str, value: Value) -> Json:
        lane = self._works.lanes[camera]
        switches = replace(lane.switches, **{switch: value})  # type: ignore[arg-type]  # as the command's form says
        self._works.memory.set(camera, switches)
        self._works.put(*lane.switch(switch, switches))
        return {"camera": camera, switch: value}

    def restart(self) -> Json:
        self._wants_restart = True
        self.stop()
        return {}

    def republish(self) -> Json:
        self._works.publisher.republish()
        return {}

    def reload(self) -> Json:
        if self._load is None:
            raise FerdError("this ferd does not know where its configuration came from: restart it")
        return {"changed": self._take_over(self._load())}

    def snooze(self, seconds: float) -> Json:
        return {"seconds": self._works.sounder.snooze(seconds)}

    def log_level(self, level: str) -> Json:
        logging.getLogger().setLevel(level.upper())
        return {"level": level}

    def _take_over(self, config: Config) -> str:
        web = self.config.web
        page = self._make_page(config.web) if config.web != web else self._page
        changed = self._works.take_over(config)
        if page is not self._page:
            if self._page:
                self._page.stop()
            self._page = page
            if page:
                page.start()
            changed = ", ".join(filter(None, (changed, "web")))
        self._take_name(self.config.node.name)
        log.info("reloaded changed=%r", changed or "nothing")
        return changed

    def _make_page(self, config: WebConfig | None = None) -> Page | None:
        """Raises ConfigError."""
        config = config or self.config.web
        if not config.enabled:
            return None
        try:
            from ferd.outputs.web.page import Page
        except ImportError as error:
            raise ConfigError(f"[web] needs {error.name}: pip install 'ferd[web]', or set enabled = false") from None
        return Page(config, self._works, self._inbox, use=self.ask_to_use, file=lambda: self._file)

    def _take_name(self, node: str) -> None:
        self._control = CommandHandler(node, self)
        self._health.rename(node)

    def _loop(self) -> None:
        beats, ready, status_at = 0, False, 0.0
        while not self._stopping.is_set():
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
            self._obey()
            lanes = self._works.lanes.values()
            self._slowed = self._heat.look(time.monotonic())
            for lane in lanes:
                lane.slowed = self._slowed
                self._works.put(*lane.step())
            now_beats = sum(lane.beats for lane in lanes)
            if now_beats != beats or all(lane.resting for lane in lanes):
                beats = now_beats
                self._systemd.progress()
            if not ready and all(lane.settled for lane in lanes):
                ready = True
                status, status_at = self._status(), time.monotonic()
                self._systemd.ready(status)
                log.info("ready %s", status)
            if (reason := self._works.hung(time.monotonic())) is not None:
                log.error("a camera hangs in its driver for good, so ferd starts anew reason=%r", reason)
                self.restart()
            status_at = self._report(ready, status_at)

    def _obey(self) -> None:
        now = time.monotonic()
        for heard in self._inbox.take(now):
            cameras = tuple(self._works.lanes)
            self._works.put(*self._control.handle(heard, cameras, now))
        try:
            if self._wanted:
                self._take_over(self._wanted.popleft())
            if self._reloading.is_set():
                self._reloading.clear()
                self.reload()
        except FerdError as error:
            log.error("reload failed, all runs on as it was: %s", error)  # noqa: TRY400  # the remedy is told

    def _report(self, ready: bool, status_at: float) -> float:
        now = time.monotonic()
        counters = {name: lane.counters() for name, lane in self._works.lanes.items()}
        if message := self._health.tell(now, counters, self.publisher.status.reconnects, slowed=self._slowed):
            self._works.put(message)
        if ready and now - status_at >= STATUS_EVERY_S:
            self._systemd.status(self._status())
            return now
        return status_at

    def _status(self) -> str:
        connected = self.publisher.status.connected
        return self._line(self._works.lanes, connected=connected, slowed=self._slowed, now=time.monotonic())
