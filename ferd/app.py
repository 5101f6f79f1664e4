"""Build the daemon from a configuration, run its loop, and take over another configuration while it runs."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ferd.camera_worker import CameraWorker
from ferd.commands import CommandHandler, CommandQueue, answer
from ferd.config import CameraConfig, Config, locate
from ferd.engine import Engine
from ferd.errors import FerdError
from ferd.instance_lock import InstanceLock
from ferd.models.registry import is_trusted
from ferd.outputs.buzzer.sink import BuzzerSink
from ferd.outputs.health import HealthSink
from ferd.outputs.home_assistant.discovery import identity
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.sink import MqttSink
from ferd.outputs.systemd import Systemd, SystemdSink
from ferd.outputs.throttle import ThrottleMonitor
from ferd.outputs.web.sink import WebSink
from ferd.reload import Difference, difference, file_stamps
from ferd.resident import release_unused
from ferd.restart_history import RequestedRestarts, RestartPolicy
from ferd.settings_store import SettingsStore
from ferd.snapshot import Command, FileStamps, ModelInfo, Sink, Snapshot
from ferd.sources.base import Source
from ferd.sources.factory import open_source
from ferd.storage import StorageThread
from ferd.vision.loader import Models, set_opencv_threads

log = logging.getLogger(__name__)

TICK_S = 0.2
"""Without a frame the loop turns this often: for a stop, a changed camera, a due report."""
OpenCamera = Callable[[CameraConfig], Source]


class Application:
    """The daemon. `run` blocks until `stop` is called from another thread or a signal handler.

    The constructor loads the models and reads all files that the configuration names; it raises ConfigError (exit 78)
    before anything is started.

    Args:
        load: reads the configuration once more for a reload; without it there is none.
        open_camera: makes the source of a camera; the default opens the real device.
        protocol: the MQTT version to try first.
        file: where the configuration is read from, for the page.
        sinks: further outputs, such as the terminal.
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
        sinks: tuple[Sink, ...] = (),
    ) -> None:
        self._load, self._file = load, file
        self._open_camera = open_camera or (lambda camera: open_source(camera, live=True))
        self._wake, self._stopping, self._reload_asked = threading.Event(), threading.Event(), threading.Event()
        self._use_asked: deque[Config] = deque(maxlen=1)
        self._wants_restart = False
        self._storage = StorageThread()
        self._settings = SettingsStore.of(
            config.node.id, submit=self._storage.submit, submit_later=self._storage.submit_later
        )
        self._commands, self._handler = CommandQueue(self._wake), CommandHandler(self)
        self._throttle = ThrottleMonitor()
        self._restarts, self._requested_restarts = RestartPolicy.of(), RequestedRestarts.of()
        self.config = config
        self.identity = identity(config.node.id)
        self._files: FileStamps = file_stamps(config)
        self._models = Models(config)
        self._model_info = model_info(self._models)
        set_opencv_threads(self._models.detector)
        self._lock = InstanceLock(self.identity)
        self.buzzer = BuzzerSink(config)
        self.mqtt = MqttSink(
            config,
            identity=self.identity,
            submit=self._commands.submit,
            storage=self._storage.submit,
            protocol=protocol,
        )
        self._web = WebSink(
            snapshot=self._latest,
            submit=self._commands.submit,
            use=self.ask_to_use,
            file=lambda: self._file,
            broker=lambda: self.mqtt.status,
        )
        health = HealthSink(publish=self.mqtt.publish_health, mqtt_reconnects=lambda: self.mqtt.status.reconnects)
        self._systemd = systemd or Systemd()
        notify = SystemdSink(lambda: self.mqtt.status.connected, systemd=self._systemd)
        self._engine = Engine((self.buzzer, self.mqtt, health, notify, self._web, *sinks), identity=self.identity)
        self._engine.check(config)
        self._workers = {name: self._worker(name, config) for name in config.cameras}
        self._loading: ModelLoading | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest snapshot; may be read from any thread."""
        return self._engine.snapshot

    def camera_sources(self) -> Mapping[str, str]:
        """What each camera really is: "demo scene", "usb camera /dev/video0"; empty while it opens."""
        snapshot = self._engine.snapshot
        return {} if snapshot is None else {name: camera.source for name, camera in snapshot.cameras.items()}

    def stop(self) -> None:
        """End `run` within 2 s. May be called at any time, from any thread or a signal handler."""
        self._stopping.set()
        self._wake.set()

    def ask_to_reload(self) -> None:
        """Have the loop read the configuration once more. May be called as `stop` may."""
        self._reload_asked.set()
        self._wake.set()

    def ask_to_use(self, config: Config) -> None:
        """Have the loop take over this configuration until the next reload. May be called as `stop` may."""
        self._use_asked.append(config)
        self._wake.set()

    def run(self) -> bool:
        """Return True when it ended because a restart was asked for."""
        try:
            self._lock.take()
            release_unused()
            self._storage.start()
            self.buzzer.start()
            self.mqtt.start()
            self._tick()
            for worker in self._workers.values():
                worker.start()
                self._report_switched_off(worker)
            self._loop()
        finally:
            self._shut_down()
        return self._wants_restart

    # What can be commanded: ferd.commands.CommandTarget.

    def set_switch(self, camera: str, switch: str, value: Any) -> dict[str, object]:
        worker = self._workers.get(camera)
        if worker is None:
            raise FerdError(f"there is no camera {camera}; known: {', '.join(self._workers)}")
        settings = replace(worker.settings, **{switch: value})
        self._settings.set(camera, settings)
        worker.apply(settings)
        self._engine.note_command(camera, switch)
        return {"camera": camera, switch: value}

    def restart(self, now: float) -> dict[str, object]:
        if (wait_s := self._requested_restarts.wait_s(now)) > 0:
            raise FerdError(f"too many restarts, systemd would give up on the service. Ask again in {wait_s:.0f} s")
        self._requested_restarts.note(now)
        self._wants_restart = True
        self.stop()
        return {}

    def republish(self) -> dict[str, object]:
        self.mqtt.republish()
        return {}

    def reload(self, command: Command | None = None) -> None:
        """Read the configuration and take it over; the answer comes when that is done. Raises FerdError."""
        if self._load is None:
            raise FerdError("this ferd does not know where its configuration came from: restart it")
        self._take_over(self._load(), command)

    def snooze(self, seconds: float) -> dict[str, object]:
        return {"seconds": self.buzzer.snooze(seconds)}

    def log_level(self, level: str) -> dict[str, object]:
        logging.getLogger().setLevel(level.upper())
        return {"level": level}

    # The loop.

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            self._handle_commands()
            self._tick()
            self._restart_for_a_hung_camera()

    def _tick(self) -> None:
        throttled = self._throttle.look(time.monotonic())
        self._engine.tick(self.config, self._model_info, self._workers.values(), files=self._files, throttled=throttled)

    def _handle_commands(self) -> None:
        now = time.monotonic()
        for command in self._commands.take():
            self._handler.handle(command, now)
        try:
            self._finish_loading()
            if self._use_asked:
                self._take_over(self._use_asked.popleft())
            if self._reload_asked.is_set():
                self._reload_asked.clear()
                self.reload()
        except FerdError as error:
            text = locate(str(error), self._file, os.environ)
            log.error("reload failed, everything runs on as it was: %s", text)  # noqa: TRY400  # names the remedy

    def _restart_for_a_hung_camera(self) -> None:
        now = time.monotonic()
        reports = {name: worker.capture.report() for name, worker in self._workers.items()}
        name = self._restarts.due(reports, now)
        if name is None:
            return
        reason = reports[name].hang_reason or "a call to the camera hangs"
        if self._restarts.note(name, reason, now):
            log.error("a camera hangs in its driver, so the process restarts name=%s reason=%r", name, reason)
            self._wants_restart = True
            self.stop()

    def _shut_down(self) -> None:
        for worker in self._workers.values():
            worker.ask_to_stop()  # they close side by side while the broker learns of it
        self._engine.stop()
        for worker in self._workers.values():
            worker.stop()
        self._storage.stop()
        self._lock.release()

    # Taking over another configuration.

    def _take_over(self, new: Config, command: Command | None = None) -> None:
        """Take over `new` at once, or when its models are loaded. Raises FerdError; then nothing has changed."""
        files = file_stamps(new)
        changed = difference(self.config, new, self._files, files)
        self._engine.check(new)
        if changed.models:
            if self._loading is not None:
                self._loading.cancel("another configuration came before the models were loaded")
            self._loading = ModelLoading(new, files, command, self._wake)
            self._loading.start()
            return
        self._models.check_alerts(new)
        self._apply(new, files, changed, self._models)
        if command is not None:
            answer(command, None, {"changed": str(changed)})

    def _finish_loading(self) -> None:
        loading = self._loading
        if loading is None or not loading.done:
            return
        self._loading = None
        try:
            models = loading.result()
        except FerdError as error:
            if loading.command is not None:
                answer(loading.command, str(error))
            raise
        changed = difference(self.config, loading.config, self._files, loading.files)
        self._apply(loading.config, loading.files, changed, models)
        if loading.command is not None:
            answer(loading.command, None, {"changed": str(changed)})

    def _apply(self, new: Config, files: FileStamps, changed: Difference, models: Models) -> None:
        """From here on nothing can be wrong with the configuration any more."""
        closed = [self._workers[name] for name in changed.closed]
        for worker in closed:
            worker.ask_to_stop()
        for worker in closed:
            worker.stop()
        kept = {name: worker for name, worker in self._workers.items() if name not in changed.closed}
        if changed.models or changed.rules:
            for worker in kept.values():
                worker.use(new, models)
        if models is not self._models:
            self._models, self._model_info = models, model_info(models)
            set_opencv_threads(models.detector)
        self.config, self._files = new, files
        self._workers = {name: kept.get(name) or self._worker(name, new) for name in new.cameras}
        for name in changed.opened:
            self._workers[name].start()
        log.info("reloaded changed=%r", str(changed) or "nothing")

    def _worker(self, name: str, config: Config) -> CameraWorker:
        camera = config.cameras[name]
        return CameraWorker(
            name,
            config,
            self._models,
            factory=lambda: self._open_camera(camera),
            wake=self._wake,
            settings=self._settings.switches(name),
            history=self._restarts.history(name),
            audible=self.buzzer.audible,
        )

    def _report_switched_off(self, worker: CameraWorker) -> None:
        """Log how to switch on a camera that an earlier run was told to close: it would only say "disabled"."""
        if not worker.settings.enabled:
            log.warning(
                'camera is switched off since an earlier run name=%s remedy="send ON to ferd/%s/%s/enabled/set, '
                'or press Start on the page"',
                worker.name,
                self.config.node.name,
                worker.name,
            )

    def _latest(self) -> Snapshot:
        """Return the latest snapshot; the page runs only once there is one."""
        assert self._engine.snapshot is not None
        return self._engine.snapshot


class ModelLoading:
    """Load the models of a configuration in a thread of its own: trying a file that a stranger made may take a minute.

    `wake` is set when it is done.
    """

    def __init__(self, config: Config, files: FileStamps, command: Command | None, wake: threading.Event) -> None:
        self.config, self.files, self.command = config, files, command
        self._wake = wake
        self._models: Models | None = None
        self._error: FerdError | None = None
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    @property
    def done(self) -> bool:
        return self._models is not None or self._error is not None

    def start(self) -> None:
        self._thread.start()

    def result(self) -> Models:
        """Return the models. Raises FerdError with the reason when they cannot be used."""
        if self._error is not None:
            raise self._error
        assert self._models is not None
        return self._models

    def cancel(self, reason: str) -> None:
        """Give up on the result: somebody asked for something else meanwhile."""
        if self.command is not None:
            answer(self.command, reason)

    def _run(self) -> None:
        try:
            self._models = Models(self.config)
        except FerdError as error:
            self._error = error
        except Exception as error:
            log.exception("models not loaded")
            self._error = FerdError(f"the models cannot be loaded: {type(error).__name__}: {error}")
        self._wake.set()


def model_info(models: Models) -> ModelInfo:
    """Describe the models in use."""
    bundle = models.classifier.bundle
    return ModelInfo(
        name=bundle.name,
        labels=tuple(models.classifier.labels),
        detector=models.detector.name,
        runtime=models.classifier.network.runtime,
        card=bundle.card,
        trusted=is_trusted(bundle.path),
    )
