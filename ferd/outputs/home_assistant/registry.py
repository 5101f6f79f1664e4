"""Announces this node to Home Assistant, and takes back what an earlier run announced or left on the broker.

A retained topic stays on the broker until somebody clears it, and an entity stays in Home Assistant until its document
says that it is gone. So ferd remembers in its state folder which topics and entities it had; what is no more is taken
back: when a camera, an alert rule or a feature was removed, when a new version has other entities, and when discovery
was switched off or to its other form. A topic is cleared until the broker has it. Nobody tells whether Home Assistant
has heard that an entity is gone, so its document says it for FORGET_AFTER_S.

What belongs to another node's name is left alone: another ferd may have that name now (`ferd mqtt purge --node`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ferd.config import Config
from ferd.fs import is_file, replace_file, state_dir
from ferd.outputs.home_assistant.discovery import Form, documents
from ferd.outputs.home_assistant.entities import Device, entities
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.topics import FATIGUE, PUBLISHED

LONGEST = 1_000_000
FORGET_AFTER_S = 30 * 86400.0

log = logging.getLogger(__name__)


def device_of(config: Config, identity: str, labels: Sequence[str]) -> Device:
    """What is announced of this node. ``labels``: those of its expression model."""
    return Device(
        identity,
        config.node.name,
        tuple(config.cameras),
        labels,
        alerts=[alert.name for alert in config.alerts if alert.mqtt],
        fatigue=config.fatigue.enabled,
        buzzer=config.buzzer.pin is not None,
    )


@dataclass(frozen=True, slots=True)
class PublishedDiscovery:
    """What one run left behind. Times are in seconds since 1970.

    ``topics``: all retained ones. ``entities``: their platforms by key. ``cleared``: topics that are no more, and
    since when. ``gone``: the same of entities, by key: platform and since when.
    """

    identity: str
    node: str
    topics: tuple[str, ...] = ()
    entities: Mapping[str, str] = field(default_factory=dict)
    cleared: Mapping[str, float] = field(default_factory=dict)
    gone: Mapping[str, tuple[str, float]] = field(default_factory=dict)


class DiscoveryRegistry:
    """Announces, and remembers. Thread-safe.

    ``file``: where it is remembered; written only when something changed. If it cannot be written that is told, and
    harms nothing but a later removal.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known = recall(file)
        self._waiting: set[str] = set()

    @classmethod
    def of(cls, identity: str) -> DiscoveryRegistry:
        """With the file in the state folder."""
        return cls(state_dir() / f"announced-{identity}.json")

    @property
    def topics(self) -> tuple[str, ...]:
        """Every retained topic that is remembered."""
        return () if self._known is None else (*self._known.topics, *self._known.cleared)

    def announce(self, device: Device, prefix: str, form: Form | None) -> list[Message]:
        """What is to be published: first what is taken back, then the documents (none for the form None)."""
        with self._lock:
            before = self._known
            if before is not None and before.node != device.node:
                log.info("renamed old=%s; what it left: ferd mqtt purge --node %s", before.node, before.node)
            messages, after = changes(device, prefix, form, before, time.time())
            self._waiting = set(after.cleared)
            self._remember(after)
            return messages

    def cleared(self, topic: str) -> None:
        """The broker has cleared a topic. Once it has all of them there is nothing left to take back.

        It must not be said again without need: Home Assistant warns of each document that is cleared twice.
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
        try:
            replace_file(self._file, json.dumps({"v": 1} | asdict(now)))
        except OSError as error:
            log.warning("announced not kept file=%s reason=%r", self._file, error.strerror or str(error))


def changes(
    device: Device, prefix: str, form: Form | None, before: PublishedDiscovery | None, wall: float
) -> tuple[list[Message], PublishedDiscovery]:
    """What is to be published, and what is to be remembered. Pure."""
    if before is None or before.identity != device.identity:  # the copied card of another Pi: not ours to take back
        before = PublishedDiscovery(device.identity, device.node)
    present = {key: entity["platform"] for key, entity in entities(device).items()} if form else {}
    gone = {key: (platform, wall) for key, platform in before.entities.items()}
    gone = {key: value for key, value in (gone | _young(before.gone, wall)).items() if key not in present}
    told = documents(prefix, device, form, {key: it[0] for key, it in gone.items()}) if form else []
    topics = (*own_topics(device), *(message.topic for message in told))
    cleared = dict.fromkeys(before.topics, wall) | _young(before.cleared, wall)
    cleared = {topic: since for topic, since in cleared.items() if topic not in topics and _is_ours(topic, device)}
    after = PublishedDiscovery(device.identity, device.node, topics, present, cleared, gone)
    return [*(Message(topic, b"", retain=True, qos=1) for topic in cleared), *told], after


def takes_documents_back(messages: Iterable[Message]) -> bool:
    """Whether whole documents are cleared before others come (the other form, another prefix)."""
    return any(not message.payload and message.topic.endswith("/config") for message in messages)


def recall(file: Path) -> PublishedDiscovery | None:
    """What was remembered; None when there is nothing, or nothing that can be read."""
    if not is_file(file):
        return None
    try:
        with file.open(encoding="utf-8") as opened:
            found = json.loads(opened.read(LONGEST))
        return PublishedDiscovery(
            str(found["identity"]),
            str(found["node"]),
            tuple(map(str, found["topics"])),
            {str(key): str(platform) for key, platform in found["entities"].items()},
            {str(topic): float(since) for topic, since in found["cleared"].items()},
            {str(key): (str(platform), float(since)) for key, (platform, since) in found["gone"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning("announced begins anew file=%s reason=%r", file, f"{type(error).__name__}: {error}")
        return None


def own_topics(device: Device) -> list[str]:
    """Every retained topic that this node publishes, but for Home Assistant's."""
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
    """False for what an earlier name of this node left on the broker."""
    return not topic.startswith("ferd/") or topic.startswith(f"ferd/{device.node}/")


def _young(since: Mapping[str, Any], wall: float) -> dict[str, Any]:
    """What is not yet to be forgotten: its values are times, or end with one."""
    times = {key: value[1] if isinstance(value, tuple) else value for key, value in since.items()}
    return {key: value for key, value in since.items() if wall - times[key] < FORGET_AFTER_S}
