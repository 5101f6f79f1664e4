"""Check the broker: name, connection, TLS, login, and access to the topics by real round trips."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ferd import topics
from ferd.config import Config
from ferd.diagnostics.finding import Finding, error, note, ok, warning
from ferd.errors import ConfigError, FerdError
from ferd.fs import exists
from ferd.outputs.mqtt.broker_settings import SERVICE_PASSWORD, BrokerSettings, broker_settings, explain
from ferd.outputs.mqtt.client import MqttConnection, TooLargeError, Wake
from ferd.outputs.mqtt.connection_policy import ONE_ID_REMEDY
from ferd.outputs.mqtt.listen import ELSEWHERE, NO_ANSWER, connect
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.topics import Message

CONNECT_TIMEOUT_S = 5.0
ROUND_TRIP_TIMEOUT_S = 3.0
POLL_S = 0.1
EXPIRES_SOON_DAYS = 21
_RESOLVE = "check the name; .local names need avahi (libnss-mdns). An address works as well"
_SUDO = f"sudo ferd doctor: only root may read the service's password ({SERVICE_PASSWORD})"
_HALF_DEAD = (
    "is it an MQTT broker, and does it expect TLS? It may be overloaded, or a cluster without a quorum: see its log"
)
_REACH = "is the broker running, and is this its port? Is there a firewall in between?"


def broker(config: Config, environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Check everything from the name of the broker to Home Assistant's discovery topics.

    Args:
        config: The configuration.
        environ: Where the systemd credentials are looked up; None: the environment of this process.
    """
    try:
        settings = broker_settings(config.mqtt, os.environ if environ is None else environ)
    except ConfigError as problem:
        yield error("broker", str(problem))
        return
    for text in settings.warnings:
        yield warning("broker", text, "for tests only")
    for one in settings.each():
        for finding in _one_broker(one, config):
            yield replace(finding, about=f"{finding.about} {one.address}") if settings.servers else finding


def _one_broker(settings: BrokerSettings, config: Config) -> Iterator[Finding]:
    settings = replace(settings, servers=())
    if (unresolved := _resolve(settings)) is not None:
        yield unresolved
        return
    connected = _reach(settings)
    if isinstance(connected, Finding):
        yield connected
        return
    yield from _tls(settings)
    yield from _login(settings, config)


def _resolve(settings: BrokerSettings) -> Finding | None:
    """Look the name up in a thread, since the resolver can hang. Returns None on success."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(socket.getaddrinfo, settings.host, settings.port).result(CONNECT_TIMEOUT_S)
    except FutureTimeoutError:
        return error("broker", f"looking up {settings.host} takes longer than {CONNECT_TIMEOUT_S:.0f} s", _RESOLVE)
    except OSError as problem:
        return error("broker", f"{settings.host} has no address ({problem.strerror or problem})", _RESOLVE)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return None


def _reach(settings: BrokerSettings) -> Finding | float:
    """Open a TCP connection. Returns its time in seconds, or the problem."""
    start = time.monotonic()
    try:
        socket.create_connection((settings.host, settings.port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as problem:
        return error("broker", f"{settings.address}: {problem.strerror or problem}", _REACH)
    return time.monotonic() - start


def _tls(settings: BrokerSettings) -> Iterator[Finding]:
    if settings.tls is None:
        return
    try:
        with (
            socket.create_connection((settings.host, settings.port), timeout=CONNECT_TIMEOUT_S) as line,
            settings.tls.wrap_socket(line, server_hostname=settings.host) as secure,
        ):
            certificate: Any = secure.getpeercert() or {}
            version = secure.version()
    except ssl.SSLError as problem:
        yield error("tls", *explain(problem))
        return
    except OSError as problem:
        yield error(
            "tls",
            f"the broker closed the connection ({problem.strerror or problem})",
            "does it speak TLS at this port?",
        )
        return
    if "notAfter" not in certificate:  # not verified: tls_verify = false
        yield note("tls", f"{version}, the certificate is not checked")
        return
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    until = datetime.fromtimestamp(time.time() + left, UTC).date()
    if left < EXPIRES_SOON_DAYS * 86400:
        yield warning("tls", f"{version}, the broker's certificate expires on {until}", "renew it")
    else:
        yield ok("tls", f"{version}, the broker's certificate is valid until {until}")


@dataclass(frozen=True, slots=True)
class _Session:
    """An open connection, what it received, and (topic, reason) of what the broker refused."""

    connection: MqttConnection
    received: list[IncomingMessage]
    refused: list[tuple[str, str]]

    def wait(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        """Handle traffic until `done` or for `seconds`."""
        until = time.monotonic() + seconds
        while self.connection.connected and time.monotonic() < until and not done():
            self.connection.run_once(POLL_S)

    def came_back(self, payload: bytes) -> bool:
        """Return whether a message with this payload was received."""
        return any(message.payload == payload for message in self.received)


def _login(settings: BrokerSettings, config: Config) -> Iterator[Finding]:
    """Log in with a client id of its own, so that a running ferd is not disconnected, and check the topics."""
    wake = Wake()
    received: list[IncomingMessage] = []
    refused: list[tuple[str, str]] = []
    lost: str | None = None
    try:
        connection, reason = connect(
            settings,
            wake,
            received.append,
            threading.Event(),
            on_refused=lambda topic, why: refused.append((topic, why)),
        )
        if connection is None:
            yield _no_login(settings, reason)
            return
        try:
            yield ok("broker", f"{settings}, MQTT {connection.protocol}")
            for text in connection.limits.restrictions():
                yield warning("broker", text, "see the broker's configuration")
            is_explained = False
            for finding in _topics(_Session(connection, received, refused), config):
                is_explained |= finding.verdict == "error"
                yield finding
            lost = None if is_explained else connection.ended
            connection.leave()
        finally:
            connection.close()
    except OSError as problem:
        lost = problem.strerror or str(problem)
    finally:
        wake.close()
    if lost is not None:
        yield error("broker", f"the connection broke ({lost})", _why_lost(settings))


def _no_login(settings: BrokerSettings, reason: str) -> Finding:
    if reason.startswith(NO_ANSWER):
        return error("broker", f"{settings.address} accepts connections and does not answer", _HALF_DEAD)
    if reason.startswith(ELSEWHERE):
        return warning("broker", f"{settings.address} {reason}", "ferd follows it; better name that server in [mqtt]")
    remedy = _SUDO if exists(SERVICE_PASSWORD) and os.geteuid() != 0 else "see the broker's log"
    return error("broker", f"{settings.address} refuses the login: {reason}", remedy)


def _topics(session: _Session, config: Config) -> Iterator[Finding]:
    """Check the topics. Ends without an error when the connection breaks for no reason that is known here."""
    checks = [_round_trip(session, config.node.name)]
    checks += [_home_assistant(session, config)] if config.mqtt.discovery else []
    for check in checks:
        for finding in check:
            if not session.connection.connected:
                return
            yield finding
    if config.mqtt.discovery:
        yield from _size(session, config)
    yield from _daemon(session, config)


def _why_lost(settings: BrokerSettings) -> str:
    """Return the likely reason: a broker that gives each user one client id disconnects ferd when doctor connects."""
    wake = Wake()
    first = second = None
    try:
        first, _ = connect(settings, wake, lambda _message: None, threading.Event())
        second, _ = connect(settings, wake, lambda _message: None, threading.Event())
        until = time.monotonic() + 1.0
        while first is not None and first.connected and time.monotonic() < until:
            first.run_once(POLL_S)
        if first is not None and second is not None and not first.connected:
            return ONE_ID_REMEDY
    except OSError:
        pass
    finally:
        for connection in (first, second):
            if connection is not None:
                connection.close()
        wake.close()
    return "see the broker's log"


def _round_trip(session: _Session, node: str) -> Iterator[Finding]:
    """Send a message to a topic that ferd both writes and reads. It is no command's name, so a ferd ignores it."""
    topic, token = f"ferd/{node}/request/doctor!", secrets.token_hex(8).encode()
    session.connection.subscribe([f"ferd/{node}/request/+", f"ferd/{node}/+/+/set"])
    session.wait(0.3)
    start = time.monotonic()
    session.connection.send(Message(topic, token, qos=1), start)
    session.wait(ROUND_TRIP_TIMEOUT_S, lambda: bool(session.refused) or session.came_back(token))
    remedy = f"allow this user to write ferd/{node}/# and read ferd/{node}/request/+ and ferd/{node}/+/+/set"
    if session.refused:
        yield error("acl", f"the broker refuses {session.refused[0][0]} ({session.refused[0][1]})", remedy)
    elif session.came_back(token):
        yield ok("acl", f"may write and read ferd/{node}/…, round trip {1000 * (time.monotonic() - start):.0f} ms")
    else:
        yield error("acl", f"a message to ferd/{node}/… does not come back", remedy)


def _home_assistant(session: _Session, config: Config) -> Iterator[Finding]:
    from ferd.outputs.home_assistant.discovery import identity

    session.refused.clear()
    name = identity(config.node.id)
    prefix = config.mqtt.discovery_prefix
    session.connection.subscribe([topics.birth(prefix), topics.discovery(prefix, name)])
    # The empty document of an unknown entity: it removes nothing, and shows whether the broker accepts it.
    probe = f"{prefix}/sensor/{name}/doctor/config"
    session.connection.send(Message(probe, b"", qos=1), time.monotonic())
    session.wait(1.0)
    remedy = (
        f"allow this user to write {prefix}/device/{name}/config and {prefix}/+/{name}/+/config, "
        f"and to read {prefix}/status"
    )
    if session.refused:
        yield error("discovery", f"the broker refuses {session.refused[0][0]} ({session.refused[0][1]})", remedy)
        return
    documents = [m.payload for m in session.received if m.topic == topics.discovery(prefix, name) and m.payload]
    size = f"{len(documents[0]) / 1000:.1f} kB is retained" if documents else "nothing of this node is retained yet"
    births = [m for m in session.received if m.topic == topics.birth(prefix)]
    seen = (
        f"Home Assistant is {births[-1].payload.decode(errors='replace')}"
        if births
        else "its birth message is not retained"
    )
    yield ok("discovery", f"may be written as {name}, {size}; {seen}")


def _size(session: _Session, config: Config) -> Iterator[Finding]:
    """Send a message as large as the discovery document: brokers can limit the size."""
    from ferd.models.registry import find_bundle
    from ferd.outputs.home_assistant.discovery import announcement, identity
    from ferd.outputs.home_assistant.registry import device_of

    try:
        labels = find_bundle(config.expression.model).labels
    except FerdError:
        return  # the check of the models reports it
    size = len(
        announcement(config.mqtt.discovery_prefix, device_of(config, identity(config.node.id), labels)).encoded()
    )
    payload = secrets.token_hex(8).encode().ljust(size, b".")
    session.refused.clear()
    probe = Message(f"ferd/{config.node.name}/request/doctor!", payload, qos=1)
    with suppress(TooLargeError):  # the broker named its limit: it does not come through
        session.connection.send(probe, time.monotonic())
        session.wait(ROUND_TRIP_TIMEOUT_S, lambda: bool(session.refused) or session.came_back(payload))
    what = f"{size / 1000:.1f} kB, as large as the discovery document"
    if session.came_back(payload):
        yield ok("message size", f"{what}, comes through")
        return
    remedy = f"let the broker accept {2 * size} bytes: message_size_limit and max_packet_size in mosquitto.conf"
    yield error("message size", f"{what}, does not come through, so Home Assistant finds nothing", remedy)


def _daemon(session: _Session, config: Config) -> Iterator[Finding]:
    """Report what a running ferd publishes of itself: its status, its identity and the history of its cameras."""
    from ferd.outputs.home_assistant.discovery import identity

    node = config.node.name
    info = topics.NODE_INFO.at(node=node)
    session.connection.subscribe([topics.node_status(node), info, topics.node_health(node)])
    session.wait(0.7)
    values = {message.topic: message.payload for message in session.received}
    status = values.get(topics.node_status(node), b"").decode(errors="replace")
    if not status:
        yield note("daemon", f"no ferd has published as {node} on this broker (or the ACL forbids reading it)")
        return
    yield ok("daemon", f"{node} is online") if status == "online" else note("daemon", f"{node} is {status}")
    ours, its_id = identity(config.node.id), _id_in(values.get(info, b""))
    if status == "online" and its_id not in ("", ours):
        yield error(
            "node name",
            f"{node} on this broker is another device ({its_id}; this one is {ours})",
            "two devices share a name: set node.name to another one on one of them",
        )
    try:
        health = json.loads(values[topics.node_health(node)])
        cameras = dict(health["cameras"])
    except (KeyError, ValueError, TypeError):
        return
    for name, facts in cameras.items() if status == "online" else ():
        yield recovered(name, facts)


def _id_in(info: bytes) -> str:
    """Return the identity of the device that published this `info`; empty where there is none."""
    try:
        return re.sub(r"[^\w-]", "", str(json.loads(info)["id"]))[:32]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def recovered(camera: str, health: Mapping[str, Any]) -> Finding:
    """Judge a camera by the `health` payload of a running ferd: frame rate, and what was done to recover it."""
    rate = f"{health.get('fps')} frames per second"
    counted = (("reopened", "reopened"), ("rebuilt", "rebuilt after a hang"), ("restarts", "ferd restarted for it"))
    done = [f"{words} {health[key]}x" for key, words in counted if health.get(key)]
    if not done:
        return ok(f"camera {camera}", rate)
    reason = f"; last reason: {health['reason']}" if health.get("reason") else ""
    remedy = "check cable, power supply and hub; journalctl -u ferd -g camera shows when"
    return warning(f"camera {camera}", f"{rate}, {', '.join(done)}{reason}", remedy)
