"""Finds what is retained at the broker of one node, and removes it (`ferd mqtt purge`)."""

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
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.topics import DISCOVERY, DISCOVERY_COMPONENT, NODE_STATUS, ONLINE, RESPONSE, node_status
from ferd.payloads import Response

QUIET_S = 1.0
"""Retained messages come at once after subscribing. When none came for so long, those were all."""
LONGEST_S = 30.0
NAP_S = 0.2


@dataclass(frozen=True, slots=True)
class Found:
    """``topics``: what is retained of the node, in order. ``runs``: a ferd of that name says that it is online.

    ``readable``: False when the broker passes nothing on to us (mosquitto's ACL does that without a word).
    """

    topics: tuple[str, ...]
    runs: bool
    readable: bool


def find(target: BrokerSettings, node: str, prefix: str, identity: str | None = None) -> Found:
    """What is retained below ferd/<node>/, and the discovery documents that belong to it.

    A document belongs to the node when it names the node's status topic, so that of a dead Pi is found from another
    machine, and that of a renamed one is left alone. ``identity``: its documents belong to it whatever they name.
    Raises FerdError with the remedy.
    """
    heard: dict[str, bytes] = {}
    probed: list[str] = []
    newest_at = time.monotonic()

    def note(message: IncomingMessage) -> None:
        nonlocal newest_at
        newest_at = time.monotonic()
        if message.retained:
            heard[message.topic] = message.payload
        elif message.payload == probe.payload:
            probed.append(message.topic)

    names = {"prefix": prefix}
    probe = RESPONSE.message(Response("ok", None, {}, secrets.token_hex(4)), node=node, verb="purge")
    with _linked(target, note) as (link, refused):
        link.listen([f"ferd/{node}/#", DISCOVERY.listened(**names), DISCOVERY_COMPONENT.listened(**names)])
        link.send(probe, time.monotonic())
        began = newest_at = time.monotonic()
        while link.connected and time.monotonic() - newest_at < QUIET_S and time.monotonic() - began < LONGEST_S:
            link.turn(NAP_S)
        if not link.connected:
            raise FerdError(f"the connection to the broker was lost: {link.ended}")
    if unread := [topic for topic in refused if topic != probe.topic]:
        raise FerdError(f"the broker does not let us read {', '.join(unread)}: purge as a user whom its ACL lets")
    mine = sorted(topic for topic, payload in heard.items() if _is_of(topic, payload, node, identity))
    readable = bool(probed or (refused and any(topic.startswith("ferd/") for topic in mine)))
    return Found(tuple(mine), heard.get(node_status(node)) == ONLINE.encode(), readable)


def known(device: Device, prefix: str) -> tuple[str, ...]:
    """What a ferd that is configured so has retained, as far as can be known without reading it from the broker."""
    forms: tuple[Form, ...] = ("device", "components")
    told = [message.topic for form in forms for message in documents(prefix, device, form)]
    return tuple(sorted({*own_topics(device), *told, *DiscoveryRegistry.of(device.identity).topics}))


def clear(target: BrokerSettings, topics: Sequence[str]) -> None:
    """Removes retained topics. Raises FerdError with the remedy when the broker does not take it."""
    with _linked(target, lambda _heard: None) as (link, refused):
        waiting = deque(Message(topic, b"", retain=True, qos=1) for topic in topics)
        until = time.monotonic() + LONGEST_S
        while (waiting or link.unacked) and link.connected and time.monotonic() < until:
            while waiting and link.room:
                link.send(waiting.popleft(), time.monotonic())
            link.turn(NAP_S)
        left = len(waiting) + len(link.unacked)
    if refused:
        raise FerdError(f"the broker does not let us remove {', '.join(refused)}: purge as a user whom its ACL lets")
    if left:
        raise FerdError(f"the broker did not confirm {left} of {len(topics)}: {link.ended or 'no answer'}. Try again")


@contextmanager
def _linked(
    target: BrokerSettings, on_heard: Callable[[IncomingMessage], None]
) -> Iterator[tuple[MqttConnection, list[str]]]:
    """A connection, and the topics that the broker refuses on it."""
    wake, refused = Wake(), list[str]()
    link, reason = connect(target, wake, on_heard, threading.Event(), lambda topic, _reason: refused.append(topic))
    try:
        if link is None:
            raise FerdError(f"no connection to the broker at {target.host}:{target.port}: {reason}")
        try:
            yield link, refused
            link.leave()
        finally:
            link.close()
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
    """All texts in a JSON document; nothing when it is none."""
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
