"""Announce this node to Home Assistant, and remove what an earlier run announced or left on the broker.

A retained topic stays on the broker until it is cleared, and an entity stays in Home Assistant until its document marks
it as removed. So ferd stores in its state folder which topics and entities it had, and removes those that are gone:
when a camera, an alert rule or a feature was removed, when a new version has other entities, and when discovery was
switched off or to its other form. A topic is cleared again until the broker has acknowledged it. Home Assistant does
not acknowledge a removed entity, so the document lists it for FORGET_AFTER_S.

Topics of another node name stay: another ferd may use that name now (`ferd mqtt purge --node`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ferd.config import Config
from ferd.fs import is_file, replace_file, state_dir
from ferd.outputs.home_assistant.discovery import Form, documents
from ferd.outputs.home_assistant.entities import Device, entities
from ferd.topics import FATIGUE, PUBLISHED, Message

MAX_CHARACTERS = 1_000_000
FORGET_AFTER_S = 30 * 86400.0

log = logging.getLogger(__name__)


def device_of(config: Config, identity: str, labels: Sequence[str]) -> Device:
    """Return what is announced of this node. ``labels``: those of its expression model."""
    return Device(
        identity,
        config.node.name,
        tuple(config.cameras),
        labels,
        alerts=[alert.name for alert in config.alerts if alert.mqtt],
        fatigue=config.fatigue.enabled,
        gestures=tuple(config.gestures.use) if config.gestures.enabled else (),
        buzzer=config.buzzer.pin is not None,
        image=config.mqtt.image_of is not None,
        area=config.node.area,
        page_url=config.web.url_for_others,
    )


@dataclass(frozen=True, slots=True)
class PublishedDiscovery:
    """What one run left behind. Times are in seconds since 1970.

    Attributes:
        topics: all retained topics.
        entities: the platform of each entity by its key.
        cleared: topics that no longer exist, and since when.
        gone: entities that no longer exist, by key: platform and since when.
    """

    identity: str
    node: str
    topics: tuple[str, ...] = ()
    entities: Mapping[str, str] = field(default_factory=dict)
    cleared: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, tuple[str, float]] = field(default_factory=dict)


class DiscoveryRegistry:
    """Announce the node, and remember what was announced. Thread-safe.

    ``file``: written only when something changed, by a job that is given to ``storage`` (None: at once). If it cannot
    be written that is logged; only a later removal then misses something.
    """

    def __init__(self, file: Path, storage: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._file, self._storage = file, storage or (lambda job: job())
        self._lock = threading.Lock()
        self._known = read_registry(file)
        self._unwritten: deque[PublishedDiscovery] = deque(maxlen=1)
        self._waiting: set[str] = set()

    @classmethod
    def of(cls, identity: str, storage: Callable[[Callable[[], None]], None] | None = None) -> DiscoveryRegistry:
        """Use the file in the state folder."""
        return cls(state_dir() / f"announced-{identity}.json", storage)

    @property
    def topics(self) -> tuple[str, ...]:
        """All retained topics that are remembered."""
        return () if self._known is None else (*self._known.topics, *self._known.cleared)

    def announce(self, device: Device, prefix: str, form: Form | None) -> list[Message]:
        """Return what is to be published: first what is removed, then the documents (none for the form None)."""
        with self._lock:
            before = self._known
            if before is not None and before.node != device.node:
                log.info("renamed old=%s; remove what it left: ferd mqtt purge --node %s", before.node, before.node)
            messages, after = changes(device, prefix, form, before, time.time())
            self._waiting = set(after.cleared)
            self._remember(after)
            return messages

    def cleared(self, topic: str) -> None:
        """Note that the broker has cleared a topic. Once it has cleared all of them, none is cleared again.

        Home Assistant logs a warning for each document that is cleared twice.
        """
        with self._lock:
            if topic not in self._waiting:
                return
            self._waiting.remove(topic)
            if not self._waiting and self._known is not None:
                self._remember(replace(self._known, cleared={}))

    def _remember(self, now: PublishedDiscovery) -> None:
        if now == self._known:
            return
        self._known = now
        self._unwritten.append(now)
        self._storage(self._write)

    def _write(self) -> None:
        """The job of the storage thread: writes the newest value, once."""
        try:
            newest = self._unwritten.pop()
        except IndexError:
            return
        try:
            replace_file(self._file, json.dumps({"v": 1} | asdict(newest)))
        except OSError as error:
            log.warning("announced entities not stored file=%s reason=%r", self._file, error.strerror or str(error))


def changes(
    device: Device, prefix: str, form: Form | None, before: PublishedDiscovery | None, wall: float
) -> tuple[list[Message], PublishedDiscovery]:
    """Return what is to be published, and what is to be remembered. Pure."""
    if before is None or before.identity != device.identity:  # the copied card of another Pi: not ours to remove
        before = PublishedDiscovery(device.identity, device.node)
    present = {key: entity["platform"] for key, entity in entities(device).items()} if form else {}
    gone = {key: (platform, wall) for key, platform in before.entities.items()}
    gone = {key: value for key, value in (gone | _young(before.gone, wall)).items() if key not in present}
    published = documents(prefix, device, form, {key: it[0] for key, it in gone.items()}) if form else []
    topics = (*own_topics(device), *(message.topic for message in published))
    cleared = dict.fromkeys(before.topics, wall) | _young(before.cleared, wall)
    cleared = {topic: since for topic, since in cleared.items() if topic not in topics and _is_ours(topic, device)}
    after = PublishedDiscovery(device.identity, device.node, topics, present, cleared, gone)
    return [*(Message(topic, None, retain=True, qos=1) for topic in cleared), *published], after


def clears_documents(messages: Iterable[Message]) -> bool:
    """Whether whole documents are cleared before others are sent (another form, another prefix)."""
    return any(message.clears and message.topic.endswith("/config") for message in messages)


def read_registry(file: Path) -> PublishedDiscovery | None:
    """Return what was remembered; None if there is no file or it cannot be read."""
    if not is_file(file):
        return None
    try:
        with file.open(encoding="utf-8") as opened:
            found = json.loads(opened.read(MAX_CHARACTERS))
        return PublishedDiscovery(
            str(found["identity"]),
            str(found["node"]),
            tuple(map(str, found["topics"])),
            {str(key): str(platform) for key, platform in found["entities"].items()},
            {str(topic): float(since) for topic, since in found["cleared"].items()},
            {str(key): (str(platform), float(since)) for key, (platform, since) in found["gone"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning(
            "announced entities unreadable, starting a new file path=%s reason=%r",
            file,
            f"{type(error).__name__}: {error}",
        )
        return None


def own_topics(device: Device) -> list[str]:
    """Return every retained topic that this node publishes, except Home Assistant's."""
    kept = [topic for topic in PUBLISHED if topic.retain and topic.pattern.startswith("ferd/")]
    kept = [topic for topic in kept if device.fatigue or topic is not FATIGUE]
    node = [topic.at(node=device.node) for topic in kept if "{camera}" not in topic.pattern]
    return node + [
        topic.at(node=device.node, camera=camera)
        for camera in device.cameras
        for topic in kept
        if "{camera}" in topic.pattern
    ]


def _is_ours(topic: str, device: Device) -> bool:
    """Return False for a topic of an earlier name of this node."""
    return not topic.startswith("ferd/") or topic.startswith(f"ferd/{device.node}/")


def _young(since: Mapping[str, Any], wall: float) -> dict[str, Any]:
    """Return what is not old enough to be forgotten. The values are times, or end with one."""
    times = {key: value[1] if isinstance(value, tuple) else value for key, value in since.items()}
    return {key: value for key, value in since.items() if wall - times[key] < FORGET_AFTER_S}
