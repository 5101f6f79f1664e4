"""Everything that is built from a configuration: cameras, models, buzzer, connection. Can take over another one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ferd import __version__
from ferd.camera_worker import CameraWorker, Onlooker
from ferd.config import CameraConfig, Config
from ferd.instance_lock import InstanceLock
from ferd.models.registry import find_bundle
from ferd.outputs.buzzer.player import make_player, relies_on_cameras
from ferd.outputs.home_assistant.discovery import identity
from ferd.outputs.home_assistant.registry import DiscoveryRegistry, device_of, takes_documents_back
from ferd.outputs.mqtt.broker_settings import BrokerSettings, broker_settings
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.event_store import EventStore
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.topics import Info, Message, info_message, node_status, prepare
from ferd.reload import Changes, Stamps, changes, stamps
from ferd.restart_history import RestartPolicy
from ferd.settings_store import SettingsStore
from ferd.sources.base import Source
from ferd.vision.pipeline import Models

log = logging.getLogger(__name__)

OpenCamera = Callable[[CameraConfig], Source]


class Application:
    """`start` and `stop` come in pairs. All methods are called from one thread.

    The constructor loads the models and reads all files that the configuration names: it raises ConfigError before
    anything is started. `wake` is set whenever there is something to do. `on_command`: see Publisher.
    """

    def __init__(
        self,
        config: Config,
        *,
        open_camera: OpenCamera,
        wake: threading.Event,
        on_command: Callable[[IncomingMessage], None],
        protocol: Protocol = "5",
    ) -> None:
        prepare()
        self.config = config
        self.memory = SettingsStore.of(config.node.id)
        self._open_camera, self._wake = open_camera, wake
        self._on_command, self._protocol = on_command, protocol
        mqtt = config.mqtt
        self._journal = EventStore.of(config.node.id, mqtt.persist_max_events) if mqtt.persist_events else None
        self._identity = identity(config.node.id)
        self._announcer = DiscoveryRegistry.of(self._identity)
        self.board = Outbox(self._journal, self._announcer.cleared)
        self.parts = Models(config)
        self._files = _stamps(config)
        self._claim = InstanceLock(self._identity)
        self.sounder = make_player(config)
        self._onlooker: Onlooker | None = None
        self._recovery = RestartPolicy.of()
        self.lanes = {name: self._lane(name) for name in config.cameras}
        self.publisher = self._publisher(broker_settings(mqtt))

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.board.put(message, time.monotonic())

    def hung(self, now: float) -> str | None:
        """Why ferd must be started anew for a camera whose driver hangs, None while it need not. Noted, once said."""
        reports = {name: lane.keeper.report() for name, lane in self.lanes.items()}
        name = self._recovery.due(reports, now)
        if name is None:
            return None
        reason = reports[name].hangs_for or "a call to the camera hangs"
        return f"{name}: {reason}" if self._recovery.note(name, reason, now) else None

    def show_to(self, onlooker: Onlooker | None) -> None:
        """Who sees the pictures of all cameras with their readings, also of those to come."""
        self._onlooker = onlooker
        for lane in self.lanes.values():
            lane.show_to(onlooker)

    def start(self) -> None:
        self._claim.take()
        if self._journal is not None:
            self._journal.start()
        self.sounder.start()
        self._introduce(self.lanes.values())
        self.publisher.start()
        for lane in self.lanes.values():
            lane.start()

    def stop(self) -> None:
        for lane in self.lanes.values():
            lane.ask_to_stop()  # side by side, while the broker hears that we go
        self.sounder.stop()
        self.publisher.stop()
        for lane in self.lanes.values():
            lane.stop()
        if self._journal is not None:
            self.board.finish(time.monotonic())
            self._journal.stop()
        self._claim.release()

    def take_over(self, new: Config) -> str:
        """Builds anew what another configuration changes, and lets everything else run; says what that was.

        Raises ConfigError when something is wrong with it, and then nothing has changed. The journal and the identity
        stay as they were until the next start.
        """
        files = _stamps(new)
        changed = changes(self.config, new, self._files, files)
        target = broker_settings(new.mqtt)
        parts = Models(new) if changed.rest else self.parts
        # From here on nothing can be wrong with it any more.
        if _for_a_start_only(self.config) != _for_a_start_only(new):
            log.warning("node.id and mqtt.persist_events take effect with the next start only")
        reconnects = changed.mqtt or not self.publisher.status.connected
        if reconnects:
            self.publisher.stop(self._forget_name() if changed.node else None)
        self.config, self._files, self.parts = new, files, parts
        if changed.buzzer:
            self.sounder.stop()
            self.sounder = make_player(new)
            self.sounder.start()
        self.sounder.tell_blind(relies_on_cameras(new))
        opened = self._exchange_lanes(changed)
        if reconnects:
            self.publisher = self._publisher(target)
        self.publisher.cameras = tuple(new.cameras)
        if changed:
            self._introduce(opened)
        if reconnects:
            self.publisher.start()
        for lane in opened:
            lane.start()
        return str(changed) or ("mqtt" if reconnects else "")

    def _exchange_lanes(self, changed: Changes) -> list[CameraWorker]:
        """Closes what is no more as it was; returns the new lanes, not yet started."""
        closed = [self.lanes[name] for name in changed.closed]
        for lane in closed:
            lane.ask_to_stop()
        for lane in closed:
            lane.stop()
        kept = {name: lane for name, lane in self.lanes.items() if name not in changed.closed}
        for lane in kept.values():
            if changed.buzzer:
                lane.use(self.sounder)
            if changed.rest:
                self.put(*lane.rebuild(self.parts))
        self.lanes = {name: kept.get(name) or self._lane(name) for name in self.config.cameras}
        return [self.lanes[name] for name in changed.opened]

    def _introduce(self, lanes: Iterable[CameraWorker]) -> None:
        """What is retained from the start, whatever an earlier run left."""
        node, cameras, mqtt = self.config.node.name, tuple(self.config.cameras), self.config.mqtt
        classifier = self.parts.classifier
        self.put(info_message(node, Info(__version__, classifier.bundle.name, classifier.labels, cameras)))
        for lane in lanes:
            self.put(*lane.introduce())
        device = device_of(self.config, self._identity, classifier.labels)
        announced = self._announcer.announce(device, mqtt.discovery_prefix, mqtt.discovery_form)
        if takes_documents_back(announced):
            self.publisher.say_twice()
        self.put(*announced)

    def _forget_name(self) -> Sequence[Message]:
        """Takes everything off the broker that stands there under the old name."""
        told = [*self.board.clear(), node_status(self.config.node.name)]
        return [Message(topic, b"", retain=True, qos=1) for topic in told if topic.startswith("ferd/")]

    def _lane(self, name: str) -> CameraWorker:
        camera = self.config.cameras[name]
        lane = CameraWorker(
            self.config.node.name,
            name,
            camera,
            self.parts,
            factory=lambda: self._open_camera(camera),
            wake=self._wake,
            switches=self.memory.switches(name),
            sounder=self.sounder,
            past=self._recovery.past(name),
        )
        lane.show_to(self._onlooker)
        return lane

    def _publisher(self, target: BrokerSettings) -> Publisher:
        return Publisher(
            self.config.mqtt,
            self.config.node.name,
            self._identity,
            self.board,
            cameras=tuple(self.config.cameras),
            target=target,
            prefer=self._protocol,
            on_command=self._on_command,
        )


def _for_a_start_only(config: Config) -> tuple[object, ...]:
    return config.node.id, config.mqtt.persist_events, config.mqtt.persist_max_events


def _stamps(config: Config) -> Stamps:
    """With the files that no key names: credentials of systemd, and the model behind its name on the shelf."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credentials = tuple(sorted(Path(folder).iterdir())) if folder and Path(folder).is_dir() else ()
    model = find_bundle(config.expression.model).path
    return stamps(config, {"mqtt": credentials, "expression": (model, model.with_suffix(".json"))})
