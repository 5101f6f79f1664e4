"""Find what the broker retains of one node, and remove it (`ferd mqtt purge`)."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ferd.errors import FerdError
from ferd.outputs.home_assistant.discovery import Form, documents
from ferd.outputs.home_assistant.entities import Device
from ferd.outputs.home_assistant.registry import DiscoveryRegistry, own_topics
from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MqttConnection, Wake
from ferd.outputs.mqtt.listen import connect
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.payloads import ONLINE, Response
from ferd.topics import (
    DISCOVERY,
    DISCOVERY_COMPONENT,
    NODE_STATUS,
    RESPONSE,
    Message,
    node_status,
)

QUIET_S = 1.0
"""Retained messages arrive at once after subscribing. After this long without one, all have arrived."""
LONGEST_S = 30.0
NAP_S = 0.2


@dataclass(frozen=True, slots=True)
class Found:
    """What the broker retains of a node.

    Attributes:
        topics: in order.
        runs: a ferd of that name is online.
        readable: False when the broker passes nothing on to us (mosquitto's ACL does that without an error).
    """

    topics: tuple[str, ...]
    runs: bool
    readable: bool


def find(settings: BrokerSettings, node: str, prefix: str, identity: str | None = None) -> Found:
    """Return what is retained below ferd/<node>/, and the discovery documents that belong to it.

    A document belongs to the node when it names the node's status topic, so that of a dead Pi is found from another
    machine, and that of a renamed one stays. ``identity``: its documents belong to it whatever they name. Raises
    FerdError with the remedy.
    """
    found: dict[str, bytes] = {}
    echoed: list[str] = []
    newest_at = time.monotonic()

    def note(message: IncomingMessage) -> None:
        nonlocal newest_at
        newest_at = time.monotonic()
        if message.retained:
            found[message.topic] = message.payload
        elif message.payload == probe.encoded():
            echoed.append(message.topic)

    probe = RESPONSE.message(Response("ok", None, {}, secrets.token_hex(4)), node=node, verb="purge")
    with _connected(settings, note) as (connection, refused):
        connection.subscribe(
            [f"ferd/{node}/#", DISCOVERY.filter(prefix=prefix), DISCOVERY_COMPONENT.filter(prefix=prefix)]
        )
        connection.send(probe, time.monotonic())
        began = newest_at = time.monotonic()
        while connection.connected and time.monotonic() - newest_at < QUIET_S and time.monotonic() - began < LONGEST_S:
            connection.run_once(NAP_S)
        if not connection.connected:
            raise FerdError(f"the connection to the broker was lost: {connection.ended}")
    if unread := [topic for topic in refused if topic != probe.topic]:
        raise FerdError(f"the broker does not let us read {', '.join(unread)}: purge as a user whose ACL allows it")
    mine = sorted(topic for topic, payload in found.items() if _is_of(topic, payload, node, identity))
    readable = bool(echoed or (refused and any(topic.startswith("ferd/") for topic in mine)))
    return Found(tuple(mine), found.get(node_status(node)) == ONLINE.encode(), readable)


def known(device: Device, prefix: str) -> tuple[str, ...]:
    """Return what a ferd with this configuration retains, as far as it is known without reading from the broker."""
    forms: tuple[Form, ...] = ("device", "components")
    published = [message.topic for form in forms for message in documents(prefix, device, form)]
    return tuple(sorted({*own_topics(device), *published, *DiscoveryRegistry.of(device.identity).topics}))


def clear(settings: BrokerSettings, topics: Sequence[str]) -> None:
    """Remove retained topics. Raises FerdError with the remedy when the broker does not accept it."""
    with _connected(settings, lambda _message: None) as (connection, refused):
        waiting = deque(Message(topic, None, retain=True, qos=1) for topic in topics)
        until = time.monotonic() + LONGEST_S
        while (waiting or connection.unacked) and connection.connected and time.monotonic() < until:
            while waiting and connection.room:
                connection.send(waiting.popleft(), time.monotonic())
            connection.run_once(NAP_S)
        left = len(waiting) + len(connection.unacked)
    if refused:
        raise FerdError(f"the broker does not let us remove {', '.join(refused)}: purge as a user whose ACL allows it")
    if left:
        raise FerdError(
            f"the broker did not confirm {left} of {len(topics)}: {connection.ended or 'no answer'}. Try again"
        )


@contextmanager
def _connected(
    settings: BrokerSettings, on_message: Callable[[IncomingMessage], None]
) -> Iterator[tuple[MqttConnection, list[str]]]:
    """Provide a connection, and the topics that the broker refuses on it."""
    wake, refused = Wake(), list[str]()
    connection, reason = connect(
        settings, wake, on_message, threading.Event(), lambda topic, _reason: refused.append(topic)
    )
    try:
        if connection is None:
            raise FerdError(f"no connection to the broker at {settings.address}: {reason}")
        try:
            yield connection, refused
            connection.leave()
        finally:
            connection.close()
    except OSError as error:
        raise FerdError(f"the connection to the broker was lost: {error.strerror or error}") from None
    finally:
        wake.close()


def _is_of(topic: str, payload: bytes, node: str, identity: str | None) -> bool:
    if topic.startswith("ferd/"):
        return True
    names = DISCOVERY.names_in(topic) or DISCOVERY_COMPONENT.names_in(topic) or {}
    if identity is not None and names.get("identity") == identity:
        return True
    return names.get("identity", "").startswith("ferd_") and NODE_STATUS.at(node=node) in set(_texts(payload))


def _texts(payload: bytes) -> Iterable[str]:
    """Return all texts in a JSON document; nothing if it is not JSON."""
    try:
        waiting = [json.loads(payload)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
