"""Publish the snapshots over MQTT: compare the one before with the one after, and put what differs into the outbox.

The MQTT thread watches the main loop: when no snapshot came for LOOP_STALLED_S, every camera that is online is
reported offline until snapshots come again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ferd import __version__
from ferd.config import Config
from ferd.event_builder import nothing_known
from ferd.outputs.home_assistant.entities import Device
from ferd.outputs.home_assistant.registry import DiscoveryRegistry, clears_documents, device_of
from ferd.outputs.mqtt.broker_settings import broker_settings
from ferd.outputs.mqtt.client import Protocol
from ferd.outputs.mqtt.image import ImageSchedule, What, picture
from ferd.outputs.mqtt.outbox import Observer, Outbox
from ferd.outputs.mqtt.publisher import MqttStatus, Publisher
from ferd.outputs.mqtt.requests import CommandReceiver
from ferd.payloads import AlertEvent, AnyEvent, CameraStatus, FatigueState, Health, Info
from ferd.settings_store import CameraSettings
from ferd.snapshot import LOOP_STALLED_S, CameraEvent, CameraSnapshot, Command, Snapshot, section_changed
from ferd.switches import SWITCHES
from ferd.topics import (
    ALERT,
    CAMERA_STATUS,
    EVENT,
    FATIGUE,
    IMAGE,
    NODE_HEALTH,
    NODE_INFO,
    NODE_STATUS,
    STATE,
    Message,
    prepare,
)

if TYPE_CHECKING:
    from ferd.outputs.mqtt.event_store import EventStore, Storage

STOP_WAITS_S = 2.0
"""How long a stop may take, the last write to the event store included: a slow card must not delay it."""

log = logging.getLogger(__name__)


class MqttSink:
    """Publish state, alerts, events, switches and discovery documents, and receive commands.

    `start`, `update`, `republish` and `stop` are called from one thread; the connection is made with the first
    snapshot. ``submit`` takes commands, in the MQTT thread; it must return at once. ``storage`` runs a job in the
    storage thread. ``protocol``: the MQTT version to try first. The constructor raises ConfigError.
    """

    def __init__(
        self,
        config: Config,
        *,
        identity: str,
        submit: Callable[[Command], None],
        storage: Callable[[Callable[[], None]], None],
        protocol: Protocol = "5",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        prepare()
        self._identity, self._submit, self._storage = identity, submit, storage
        self._run = secrets.token_hex(4)
        self._protocol, self._clock = protocol, clock
        self._store = _event_store(config, storage)
        self._started_with = _for_a_start_only(config)
        self._registry = DiscoveryRegistry.of(identity, storage)
        self._announced: tuple[Device, str, str | None] | None = None
        self._outbox = Outbox(self._store, self._registry.cleared, config.mqtt.event_expiry_s)
        self._watch_lock = threading.Lock()
        self._updated_at: float | None = None
        self._online: tuple[str, ...] = ()
        self._judged: tuple[str, ...] = ()
        self._is_stalled = False
        self._image_of: What | None = None
        self._image_schedules: dict[str, ImageSchedule] = {}
        self._node = config.node.name
        self._receiver, self._publisher = self._connection(config)
        self._is_connecting = False

    @property
    def status(self) -> MqttStatus:
        """The connection as it is now; may be read from any thread."""
        return replace(self._publisher.status, waiting=self._outbox.waiting())

    def check(self, config: Config) -> None:
        """Raise ConfigError when a file that [mqtt] names is wrong."""
        broker_settings(config.mqtt)

    def start(self) -> None:
        """Open the event store, if there is one."""
        if self._store is not None:
            self._store.start()

    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:
        """Publish what differs."""
        if before is not None and before.config is not after.config:
            self._reload(before, after)
        node = after.config.node.name
        if before is not None and before.config.node.name != node:
            before = None  # everything is published under the new name
        self._publish_info(before, after)
        with self._watch_lock:
            self._publish_cameras(before, after, events)
        self._publish_images(after)
        self._publish_discovery(after)
        if not self._is_connecting:
            self._is_connecting = True
            self._publisher.start()
        if self._store is not None:
            self._store.tick(self._clock())

    def publish_health(self, health: Health) -> None:
        """Publish a health report."""
        self._put(NODE_HEALTH.message(health, node=self._node))

    def republish(self) -> None:
        """Send every retained value again."""
        self._publisher.republish()

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call ``observer`` with every message that is published; see `Outbox.subscribe`."""
        return self._outbox.subscribe(observer)

    def stop(self) -> None:
        """Report offline and end the connection; have the rest of the events written. At most STOP_WAITS_S."""
        until = time.monotonic() + STOP_WAITS_S
        self._publisher.stop()
        if (store := self._store) is None:
            return
        self._outbox.finish(self._clock())
        written = threading.Event()

        def close() -> None:
            try:
                store.close()
            finally:
                written.set()

        self._storage(close)
        if not written.wait(max(0.0, until - time.monotonic())):
            log.warning("the disk does not answer: events may be lost count=%d", len(store))

    def _put(self, *messages: Message) -> None:
        for message in messages:
            self._outbox.put(message, self._clock())

    # The connection.

    def _connection(self, config: Config, after: Publisher | None = None) -> tuple[CommandReceiver, Publisher]:
        node = config.node.name
        receiver = CommandReceiver(node, tuple(config.cameras), self._submit, self._put, self._clock)
        publisher = Publisher(
            config.mqtt,
            node,
            self._identity,
            self._outbox,
            cameras=tuple(config.cameras),
            run=self._run,
            prefer=self._protocol,
            on_command=receiver.handle,
            on_tick=self._tick,
            after=after,
        )
        return receiver, publisher

    def _reload(self, before: Snapshot, after: Snapshot) -> None:
        """Take over another configuration: connect again if [mqtt] changed, or if there is no connection."""
        config = after.config
        if _for_a_start_only(config) != self._started_with:
            self._started_with = _for_a_start_only(config)
            log.warning("node.id and mqtt.persist_events take effect at the next start only")
        is_renamed = before.config.node.name != config.node.name
        if is_renamed or section_changed(before, after, "mqtt") or not self._publisher.status.connected:
            self._reconnect(config, is_renamed=is_renamed)
        self._receiver.cameras = self._publisher.cameras = tuple(config.cameras)
        self._outbox.event_expiry_s = config.mqtt.event_expiry_s

    def _reconnect(self, config: Config, *, is_renamed: bool) -> None:
        old = self._publisher
        new = self._connection(config, after=old)  # before anything ends: it may raise ConfigError
        old.ask_to_stop(self._forget_name() if is_renamed else None)
        self._node = config.node.name
        self._receiver, self._publisher = new
        self._is_connecting = False

    def _forget_name(self) -> list[Message]:
        """Return the messages that remove everything published under the old name from the broker."""
        topics = [*self._outbox.clear(), NODE_STATUS.at(node=self._node)]
        return [Message(topic, None, retain=True, qos=1) for topic in topics if topic.startswith("ferd/")]

    # What is published.

    def _publish_info(self, before: Snapshot | None, after: Snapshot) -> None:
        info = self._info(after)
        if before is None or info != self._info(before):
            self._put(NODE_INFO.message(info, node=self._node))

    def _info(self, snapshot: Snapshot) -> Info:
        model = snapshot.model
        return Info(__version__, model.name, model.labels, tuple(snapshot.cameras), self._identity, self._run)

    def _publish_cameras(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:
        self._updated_at = self._clock()
        resumed, self._is_stalled = self._is_stalled, False
        if resumed:
            log.info("main loop runs again")
        for name, camera in after.cameras.items():
            old = before.cameras.get(name) if before is not None else None
            mine = [event.payload for event in events if event.camera == name]
            if old is not None and old.config != camera.config:
                old = None  # another camera under the same name
            commanded = {switch for camera_name, switch in after.commanded if camera_name == name}
            self._put(*self._camera_messages(old, camera, mine, commanded, resumed=resumed))
        self._online = tuple(name for name, camera in after.cameras.items() if camera.status == "online")
        self._judged = tuple(name for name in self._online if after.cameras[name].fatigue is not None)

    def _camera_messages(
        self,
        old: CameraSnapshot | None,
        new: CameraSnapshot,
        events: Sequence[AnyEvent],
        commanded: Collection[str],
        *,
        resumed: bool,
    ) -> list[Message]:
        """Order: a camera is online before its first reading, and offline after its alerts have ended.

        A switch in ``commanded`` is published although it did not change, so that the sender sees the result.
        """
        names = {"node": self._node, "camera": new.name}
        status = published_status(new)
        before: list[Message] = []
        after: list[Message] = []
        if old is None or resumed or published_status(old) != status:
            message = CAMERA_STATUS.message(status, **names)
            (before if old is None or status == "online" else after).append(message)
        if new.alert is not None and (old is None or new.alert != old.alert):
            before.append(ALERT.message(new.alert, **names))
        before += [
            known.topic.message(switch_value(new.settings, switch), **names)
            for switch, known in SWITCHES.items()
            if old is None
            or switch in commanded
            or switch_value(old.settings, switch) != switch_value(new.settings, switch)
        ]
        if new.state is not None and (old is None or new.state != old.state):
            before.append(STATE.message(new.state, **names))
        if new.fatigue is not None and (old is None or resumed or new.fatigue != old.fatigue):
            # No rate limit delays a level that changed: the alert is published at the same moment.
            is_urgent = new.fatigue.level != _level(old.fatigue if old is not None else None)
            before.append(replace(FATIGUE.message(new.fatigue, **names), urgent=is_urgent))
        for event in events:
            before.append(replace(EVENT.message(event, **names), urgent=isinstance(event, AlertEvent)))
        return [*before, *after]

    def _publish_images(self, after: Snapshot) -> None:
        """Publish pictures, if they are on and a broker is there to take them."""
        what = after.config.mqtt.image_of
        if what != self._image_of:
            self._image_of = what
            log.info("pictures are %s", f"published to the broker what={what}" if what else "no longer published")
        if what is None or not self._publisher.status.connected:
            return
        now = self._clock()
        for name, camera in after.cameras.items():
            schedule = self._image_schedules.setdefault(name, ImageSchedule())
            if schedule.is_due(camera, now) and (jpeg := picture(camera, what)) is not None:
                schedule.sent(camera, now)
                self._put(IMAGE.message(jpeg, node=self._node, camera=name))

    def _publish_discovery(self, after: Snapshot) -> None:
        mqtt = after.config.mqtt
        device = device_of(after.config, self._identity, after.model.labels)
        wanted = (device, mqtt.discovery_prefix, mqtt.discovery_form)
        if wanted == self._announced:
            return
        form_before, self._announced = self._announced and self._announced[2], wanted
        if mqtt.discovery_form == "device" and form_before != "device":
            # Nothing that an older Home Assistant sends shows its version, and it ignores this form without a word.
            log.info(
                'announced to Home Assistant 2024.11 and newer id=%s; for an older one set discovery = "components" '
                "in [mqtt]",
                self._identity,
            )
        messages = self._registry.announce(device, mqtt.discovery_prefix, mqtt.discovery_form)
        if clears_documents(messages):
            self._publisher.republish_after_connect()
        self._put(*messages)

    # The watch over the main loop, in the MQTT thread.

    def _tick(self) -> float:
        """Look at the clock; return for how many seconds there is nothing more to look at."""
        now = self._clock()
        if self._store is not None:
            self._store.tick(now)
        with self._watch_lock:
            if self._updated_at is None or self._is_stalled:
                return LOOP_STALLED_S
            left = self._updated_at + LOOP_STALLED_S - now
            if left > 0:
                return left
            self._is_stalled = True
            log.error("main loop stalled: no snapshot for %.0f s, cameras are reported offline", LOOP_STALLED_S)
            blind = nothing_known("loop_stopped")
            self._put(
                *(FATIGUE.message(blind, node=self._node, camera=name) for name in self._judged),
                *(CAMERA_STATUS.message("offline", node=self._node, camera=name) for name in self._online),
            )
            return LOOP_STALLED_S


def published_status(camera: CameraSnapshot) -> CameraStatus:
    """Return the status as it is published: a camera that is starting is not online yet."""
    return "offline" if camera.status == "starting" else camera.status


def switch_value(settings: CameraSettings, switch: str) -> object:
    """Return the payload that shows a switch of a camera."""
    value = getattr(settings, switch)
    return ("ON" if value else "OFF") if isinstance(value, bool) else value


def _level(fatigue: FatigueState | None) -> str:
    return "none" if fatigue is None else fatigue.level


def _event_store(config: Config, storage: Storage) -> EventStore | None:
    mqtt = config.mqtt
    if not mqtt.persist_events:
        return None
    from ferd.outputs.mqtt.event_store import EventStore

    return EventStore.of(config.node.id, mqtt.persist_max_events, storage)


def _for_a_start_only(config: Config) -> tuple[object, ...]:
    return config.node.id, config.mqtt.persist_events, config.mqtt.persist_max_events
