"""The broker: found, reached, trusted, let in, and may ferd write and read where it must: a real round trip."""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from datetime import UTC, datetime
from typing import Any

from ferd.config import Config
from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.errors import ConfigError, FerdError
from ferd.fs import exists
from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.broker_settings import SERVICE_PASSWORD, BrokerSettings, broker_settings
from ferd.outputs.mqtt.client import MqttConnection, Wake
from ferd.outputs.mqtt.listen import connect
from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.tls import explain

WAIT_S = 5.0
ROUND_TRIP_S = 3.0
NAP_S = 0.1
EXPIRES_SOON_D = 21
_RESOLVE = "check the name; .local names need avahi (libnss-mdns). An address works as well"
_SUDO = f"sudo ferd doctor: only root may read the service's password ({SERVICE_PASSWORD})"
_REACH = "is the broker running, and is this its port? a firewall between?"


def broker(config: Config, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    try:
        target = broker_settings(config.mqtt, os.environ if environ is None else environ)
    except ConfigError as problem:
        yield error("broker", str(problem))
        return
    for told in target.warnings:
        yield warning("broker", told, "for a test only")
    if (unknown := _resolve(target)) is not None:
        yield unknown
        return
    connected = _reach(target)
    if isinstance(connected, Finding):
        yield connected
        return
    yield from _tls(target)
    yield from _session(target, config)


def _resolve(target: BrokerSettings) -> Finding | None:
    """None when the name has an address. The resolver may hang, so it gets a thread."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(socket.getaddrinfo, target.host, target.port).result(WAIT_S)
    except TooLate:
        return error("broker", f"looking up {target.host} takes longer than {WAIT_S:.0f} s", _RESOLVE)
    except OSError as problem:
        return error("broker", f"{target.host} has no address ({problem.strerror or problem})", _RESOLVE)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return None


def _reach(target: BrokerSettings) -> Finding | float:
    """How long a TCP connection took, in seconds; or what is in its way."""
    begun = time.monotonic()
    try:
        socket.create_connection((target.host, target.port), timeout=WAIT_S).close()
    except OSError as problem:
        return error("broker", f"{target.host}:{target.port}: {problem.strerror or problem}", _REACH)
    return time.monotonic() - begun


def _tls(target: BrokerSettings) -> Iterator[Finding]:
    if target.tls is None:
        return
    try:
        with (
            socket.create_connection((target.host, target.port), timeout=WAIT_S) as line,
            target.tls.wrap_socket(line, server_hostname=target.host) as secure,
        ):
            certificate: Any = secure.getpeercert() or {}
            version = secure.version()
    except ssl.SSLError as problem:
        yield error("tls", *explain(problem))
        return
    except OSError as problem:
        yield error("tls", f"the broker hung up ({problem.strerror or problem})", "does it speak TLS at this port?")
        return
    if "notAfter" not in certificate:  # not verified: tls_verify = false
        yield note("tls", f"{version}, the certificate is not looked at")
        return
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    until = datetime.fromtimestamp(time.time() + left, UTC).date()
    if left < EXPIRES_SOON_D * 86400:
        yield warning("tls", f"{version}, the broker's certificate ends on {until}", "renew it")
    else:
        yield ok("tls", f"{version}, the broker's certificate is good until {until}")


def _session(target: BrokerSettings, config: Config) -> Iterator[Finding]:
    """Logs in under a name of its own, so a running ferd is not disturbed."""
    wake = Wake()
    heard: list[IncomingMessage] = []
    refused: list[tuple[str, str]] = []
    try:
        link, reason = connect(
            target, wake, heard.append, threading.Event(), on_refused=lambda topic, why: refused.append((topic, why))
        )
        if link is None:
            remedy = _SUDO if exists(SERVICE_PASSWORD) and os.geteuid() != 0 else "see the broker's log"
            yield error("broker", f"{target.host}:{target.port} does not let us in: {reason}", remedy)
            return
        try:
            yield ok("broker", f"{target}, MQTT {link.protocol}")
            yield from _round_trip(link, config.node.name, heard, refused)
            if config.mqtt.discovery:
                yield from _home_assistant(link, config, heard, refused)
                yield from _size(link, config, heard, refused)
            yield from _daemon(link, config.node.name, heard)
            link.leave()
        finally:
            link.close()
    except OSError as problem:
        yield error("broker", f"the connection broke ({problem.strerror or problem})", "see the broker's log")
    finally:
        wake.close()


def _round_trip(
    link: MqttConnection, node: str, heard: list[IncomingMessage], refused: list[tuple[str, str]]
) -> Iterator[Finding]:
    """A message to ourselves where ferd writes and listens. Its last level is no command's name: ferd ignores it."""
    topic, token = f"ferd/{node}/request/doctor!", secrets.token_hex(8).encode()
    link.listen([f"ferd/{node}/request/+", f"ferd/{node}/+/+/set"])
    _turn(link, 0.3)
    begun = time.monotonic()
    link.send(Message(topic, token, qos=1), begun)
    _turn(link, ROUND_TRIP_S, lambda: bool(refused) or any(message.payload == token for message in heard))
    remedy = f"let this user write ferd/{node}/# and read ferd/{node}/request/+ and ferd/{node}/+/+/set"
    if refused:
        yield error("acl", f"the broker refuses {refused[0][0]} ({refused[0][1]})", remedy)
    elif any(message.payload == token for message in heard):
        yield ok("acl", f"may write and read ferd/{node}/…, round trip {1000 * (time.monotonic() - begun):.0f} ms")
    else:
        yield error("acl", f"what is written to ferd/{node}/… does not come back", remedy)


def _home_assistant(
    link: MqttConnection, config: Config, heard: list[IncomingMessage], refused: list[tuple[str, str]]
) -> Iterator[Finding]:
    from ferd.outputs.home_assistant.discovery import identity

    refused.clear()
    name = identity(config.node.id)
    prefix = config.mqtt.discovery_prefix
    link.listen([topics.birth(prefix), topics.discovery(prefix, name)])
    # An unknown entity's empty document: it takes away what is not there, and tells whether the broker takes it.
    probe = f"{prefix}/sensor/{name}/doctor/config"
    link.send(Message(probe, b"", qos=1), time.monotonic())
    _turn(link, 1.0)
    remedy = f"let this user write {prefix}/device/{name}/config and {prefix}/+/{name}/+/config, read {prefix}/status"
    if refused:
        yield error("discovery", f"the broker refuses {refused[0][0]} ({refused[0][1]})", remedy)
        return
    documents = [m.payload for m in heard if m.topic == topics.discovery(prefix, name) and m.payload]
    size = f"{len(documents[0]) / 1000:.1f} kB is retained" if documents else "nothing of this node is retained yet"
    born = [m for m in heard if m.topic == topics.birth(prefix)]
    seen = f"Home Assistant says {born[-1].payload.decode(errors='replace')}" if born else "its birth was not seen now"
    yield ok("discovery", f"may be written as {name}, {size}; {seen}")


def _size(
    link: MqttConnection, config: Config, heard: list[IncomingMessage], refused: list[tuple[str, str]]
) -> Iterator[Finding]:
    """A message as large as the discovery document, on the way of the round trip: brokers may limit the size."""
    from ferd.models.registry import find_bundle
    from ferd.outputs.home_assistant.discovery import announcement, identity
    from ferd.outputs.home_assistant.registry import device_of

    try:
        labels = find_bundle(config.expression.model).labels
    except FerdError:
        return  # the examination of the models says so
    size = len(announcement(config.mqtt.discovery_prefix, device_of(config, identity(config.node.id), labels)).payload)
    payload = secrets.token_hex(8).encode().ljust(size, b".")
    refused.clear()
    link.send(Message(f"ferd/{config.node.name}/request/doctor!", payload, qos=1), time.monotonic())

    def passed() -> bool:
        return any(message.payload == payload for message in heard)

    _turn(link, ROUND_TRIP_S, lambda: bool(refused) or passed())
    what = f"{size / 1000:.1f} kB, as large as the discovery document"
    if passed():
        yield ok("message size", f"{what}, comes through")
        return
    remedy = f"let the broker take {2 * size} bytes: message_size_limit and max_packet_size in mosquitto.conf"
    yield error("message size", f"{what}, does not come through, so Home Assistant finds nothing", remedy)


def _daemon(link: MqttConnection, node: str, heard: list[IncomingMessage]) -> Iterator[Finding]:
    """What a running ferd says of itself: whether it is online, and what its cameras went through."""
    link.listen([topics.node_status(node), topics.node_health(node)])
    _turn(link, 0.7)
    told = {message.topic: message.payload for message in heard}
    status = told.get(topics.node_status(node), b"").decode(errors="replace")
    if not status:
        yield note("daemon", f"no ferd has ever said anything as {node} here (or the ACL does not let us read it)")
        return
    yield ok("daemon", f"{node} is online") if status == "online" else note("daemon", f"{node} is {status}")
    try:
        health = json.loads(told[topics.node_health(node)])
        cameras = dict(health["cameras"])
    except (KeyError, ValueError, TypeError):
        return
    for name, facts in cameras.items() if status == "online" else ():
        yield recovered(name, facts)


def recovered(camera: str, health: Mapping[str, Any]) -> Finding:
    """What `health` of a running ferd tells of a camera, and of what was done to get it back."""
    said = f"{health.get('fps')} frames a second"
    counted = (("reopened", "reopened"), ("rebuilt", "rebuilt after a hang"), ("restarts", "ferd started anew for it"))
    done = [f"{words} {health[key]}x" for key, words in counted if health.get(key)]
    if not done:
        return ok(f"camera {camera}", said)
    reason = f"; last reason: {health['reason']}" if health.get("reason") else ""
    remedy = "cable, power supply, hub; journalctl -u ferd -g camera tells when"
    return warning(f"camera {camera}", f"{said}, {', '.join(done)}{reason}", remedy)


def _turn(link: MqttConnection, seconds: float, done: Any = lambda: False) -> None:
    until = time.monotonic() + seconds
    while link.connected and time.monotonic() < until and not done():
        link.turn(NAP_S)
