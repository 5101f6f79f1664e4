"""Keep the connection to the broker and send what the outbox holds. The only place that reconnects.

It has one thread of its own. Any failure (an exception included) ends the current connection; the next one is built
from scratch, so no half-broken state survives.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ferd import topics
from ferd.config import MqttConfig
from ferd.outputs.mqtt.broker_settings import OUR_CERTIFICATE, BrokerSettings, broker_settings
from ferd.outputs.mqtt.client import MqttConnection, Protocol, TooLargeError, UnsendableError, Wake
from ferd.outputs.mqtt.connection_policy import STABLE_AFTER_S, Backoff, ConnectionPolicy, Ending, Kind, failure
from ferd.outputs.mqtt.failover import Failover, Server
from ferd.outputs.mqtt.outbox import EVENT_RING, Outbox
from ferd.outputs.mqtt.own_topics import OwnTopics
from ferd.outputs.mqtt.protocol_memory import ProtocolMemory
from ferd.outputs.mqtt.quarantine import Quarantine
from ferd.outputs.mqtt.refusals import Refusals
from ferd.outputs.mqtt.requests import IncomingMessage, command_topics, filters
from ferd.outputs.mqtt.server_limits import ServerLimits
from ferd.payloads import ONLINE
from ferd.topics import Message

ANSWER_WAITS_S: dict[Protocol, float] = {"5": 2.5, "3.1.1": 5.0}
"""A broker may never answer a version 5 connect (amqtt 0.12), so after silence the older version is tried."""
LONGEST_PATIENCE = 8.0
"""The waits for an answer double up to this factor while a broker is silent, until a connection lasts: a cluster that a
whole fleet returns to is slow, and clients that give up and come again keep it so (measured: 500 of them, RabbitMQ)."""
GOODBYE_WAITS_S = 1.0
STOP_WAITS_S = 1.4
NAP_S = 1.0
PROBE_WAITS_S = 1.0
BIRTH_WAITS_S = (3.0, 8.0)
"""After its birth message Home Assistant needs a few seconds before it accepts discovery documents."""
ACKNOWLEDGED_WITHIN_S = 180.0
"""Reconnect to a broker that answers pings but acknowledges nothing. The health message tests it every minute."""
SILENT_AFTER_S = 15.0
"""Leave one of several brokers that owes an answer and sends nothing: its machine is gone, and TCP does not notice. A
single broker has the 40 s of the MQTT keepalive: a busy one gains nothing from clients that connect again."""
BUSY_FACTOR = 2.0
"""The same for a broker whose machine has received all: it is busy or hangs. While one of three RabbitMQ nodes
restarted, the others answered nothing for more than 15 s, all 500 ferds left them, and the cluster did not recover from
their return."""
SAME_NAME_REMEDY = "two devices share a name: set node.name to another one on one of them"
SAME_IDENTITY_REMEDY = (
    "two devices are copies of one system: on one of them run "
    "`sudo rm /etc/machine-id && sudo systemd-machine-id-setup`, set another node.name, and restart"
)

log = logging.getLogger("ferd.outputs.mqtt.client")


@dataclass(frozen=True, slots=True)
class MqttStatus:
    """Describe the connection.

    Attributes:
        reason: why there is none; empty while there is one.
        reconnects: how often a lost connection was re-established since the start of ferd.
        server: host and port of the broker that accepted the last connection.
        waiting: how many events wait in the outbox.
    """

    connected: bool = False
    protocol: Protocol | None = None
    reason: str = "not started"
    reconnects: int = 0
    server: str = ""
    waiting: int = 0


class Publisher:
    """Send the outbox's messages to the broker until it is stopped.

    ``cameras``: those that a clean stop reports offline; may be replaced at any time. ``identity``: see
    home_assistant.identity; with the node's name it makes the client id. ``run``: see own_topics. ``prefer``: the
    version to try first.
    ``on_command`` gets the messages on command topics, ``on_tick`` is called at least every second and returns
    after how many seconds it wants to be called again: both in the publisher's thread, both return at once.
    ``after``: a publisher that was asked to stop; this one connects when it has ended. Raises ConfigError when a file
    that the configuration names is wrong.
    """

    def __init__(
        self,
        config: MqttConfig,
        node: str,
        identity: str,
        outbox: Outbox,
        *,
        cameras: Sequence[str] = (),
        settings: BrokerSettings | None = None,
        backoff: Backoff | None = None,
        run: str = "",
        prefer: Protocol = "5",
        on_command: Callable[[IncomingMessage], None] | None = None,
        on_tick: Callable[[], float] | None = None,
        after: Publisher | None = None,
    ) -> None:
        self._settings = settings or broker_settings(config)
        self.cameras = tuple(cameras)
        self._node, self._outbox, self._on_command, self._on_tick = node, outbox, on_command, on_tick
        self._failover = Failover([(it.host, it.port) for it in self._settings.each()])
        self._policy = ConnectionPolicy(self._settings, f"{identity}-{node}", backoff or Backoff())
        self._birth = topics.birth(config.discovery_prefix) if config.discovery else None
        self._after = after
        self._began: float | None = None
        self._patience = 1.0
        self._is_useless = False  # the broker of the last connection: it is there, and answers or keeps nothing
        self._republish_after_connect = False
        self._republish_at: float | None = None
        self._identity, self._own = identity, OwnTopics(node, run)
        self._last_messages: Sequence[Message] | None = None
        self._protocols = ProtocolMemory(prefer)
        self._refusals = Refusals()
        self._quarantine = Quarantine()
        self._limits = ServerLimits()  # of the broker as it answered last
        self._stopping = threading.Event()
        self._wake: Wake | None = None
        self._thread: threading.Thread | None = None
        self.status: MqttStatus = MqttStatus(reconnects=after.status.reconnects if after is not None else 0)
        """The connection as it is now; replaced as a whole, so any thread may read it."""

    def start(self) -> None:
        """Start the thread and return at once, broker or not. After `stop` make a new publisher."""
        for warning in self._settings.warnings:
            log.warning("%s", warning)
        self._wake = wake = Wake()
        self._unsubscribe = self._outbox.subscribe(lambda _message: wake.set())
        self._thread = threading.Thread(target=self._run, args=(wake,), name="mqtt", daemon=True)
        self._thread.start()

    def republish(self) -> None:
        """Send everything retained again. May be called from any thread."""
        self._republish_at = time.monotonic()
        if self._wake is not None:
            self._wake.set()

    def republish_after_connect(self) -> None:
        """Send everything retained again a few seconds after the next connect.

        Home Assistant ignores the rest of a device document while it removes an entity (2026.11).
        """
        self._republish_after_connect = True

    def ask_to_stop(self, last_messages: Sequence[Message] | None = None) -> None:
        """Publish offline and end the thread; returns at once. ``last_messages`` are sent instead of offline."""
        if self._thread is None or self._wake is None or self._stopping.is_set():
            return
        self._last_messages = last_messages
        self._stopping.set()
        self._wake.set()
        self._unsubscribe()

    def stop(self, last_messages: Sequence[Message] | None = None) -> None:
        """Stop, and wait until the broker has the last messages: 1.5 s at most, broker or not."""
        self.ask_to_stop(last_messages)
        self._join()

    def _join(self) -> None:
        if self._thread is None:
            return
        self._thread.join(STOP_WAITS_S)
        if self._thread.is_alive():  # in the resolver or a TCP connect; a daemon thread, it ends by itself
            log.debug("still connecting while stopping host=%s", self._settings.host)
        self._thread = None

    def _run(self, wake: Wake) -> None:
        try:
            if self._after is not None:
                self._after._join()
                self._after = None
            while not self._stopping.is_set():
                ending = self._attempt(wake)
                self._report(ending)
                self._pause(self._next_server(ending))
        finally:
            wake.close()

    def _next_server(self, ending: Ending) -> float:
        """Choose the server for the next connection; return how long to wait before it."""
        pause_s = self._policy.pause_s(ending)
        if ending.reference and self._failover.refer(ending.reference, self._settings.port):
            pause_s, reason = self._failover.switch_pause_s(), "the broker names another server"
        elif ending.kind == "moved":
            pause_s, reason = 0.0, "back to the preferred server"
        elif ending.kind == "taken":  # another server of the same cluster would only take it back sooner
            reason = ""
        elif (self._is_useless or (ending.lasted_s or 0.0) < STABLE_AFTER_S) and not self._failover.failed():
            pause_s, reason = self._failover.switch_pause_s(), ""
        else:
            reason = ""
        if self._failover.current != (self._settings.host, self._settings.port):
            host, port = self._failover.current
            self._settings = replace(self._settings, host=host, port=port)
            self._policy.at(self._settings)
            if reason:
                self._policy.moved(reason)
        return pause_s

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._stopping.wait(min(left, self._tick()))

    def _tick(self) -> float:
        """Call ``on_tick`` and return how many seconds to wait at most."""
        return NAP_S if self._on_tick is None else min(NAP_S, max(0.05, self._on_tick()))

    def _attempt(self, wake: Wake) -> Ending:
        """Run one connection, with the version that is to be tried first or else the other one.

        A broker that starts or is busy may be silent once, so only one that refuses a version is remembered.
        """
        first = self._protocols.first()
        other: Protocol = "3.1.1" if first == "5" else "5"
        ending = self._connection(first, wake)
        if ending.kind == "will" and not self._stopping.is_set():
            ending = self._connection(first, wake)
        if self._began is not None:
            self._protocols.accepted(first)
        if ending.kind in ("silent", "protocol") and not self._stopping.is_set():
            was_refused = ending.kind == "protocol"
            ending = self._connection(other, wake)
            if self._began is not None:
                self._protocols.accepted(other, other_was_refused=was_refused)
        if ending.kind == "silent" or self._is_useless:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
        return ending

    def _connection(self, protocol: Protocol, wake: Wake) -> Ending:
        connection = MqttConnection(
            self._settings,
            protocol,
            self._policy.client_id,
            wake,
            will=self._limits.fit(topics.node_status_message(self._node, "offline")),
            on_message=self._received,
            on_refused=self._refusals.publish,
            on_subscription_refused=self._refusals.subscription,
            on_acknowledged=lambda message: self._outbox.acknowledge(message, time.monotonic()),
        )
        self._began, self._is_useless = None, False
        try:
            connection.open()
            return self._await_answer(connection) or self._session(connection)
        except Exception as error:  # noqa: BLE001  # logged by the policy; nothing may end this thread
            return failure(connection, error, None if self._began is None else time.monotonic() - self._began)
        finally:
            self._note_unacked(connection)
            self._outbox.give_back(connection.unacked.values())
            connection.close()

    def _note_unacked(self, connection: MqttConnection) -> None:
        if self._began is None or self._stopping.is_set() or connection.taken_over:
            return
        if time.monotonic() - self._began >= STABLE_AFTER_S:
            self._quarantine.was_stable()
            return
        message = self._quarantine.ended_early([message for _, message in connection.unacked.values()])
        if message is not None:
            self._refusals.skipped(message.topic, len(message.encoded()), "less")
            self._policy.explained()

    def _session(self, connection: MqttConnection) -> Ending:
        """Run from the broker's acceptance until one side ends the connection."""
        self._began = began = time.monotonic()
        self._failover.connected(began)
        self._introduce(connection, began)
        is_back_due = self._serve(connection)
        lasted_s = time.monotonic() - began
        if lasted_s >= STABLE_AFTER_S and not self._is_useless:
            self._failover.was_stable()
            self._patience = 1.0
        if not connection.connected:
            kind: Kind = "taken" if connection.taken_over else "lost"
            served = connection.has_served and not self._is_useless
            return Ending(kind, connection.ended or "", lasted_s, reference=connection.other_server, served=served)
        if is_back_due:
            self._failover.go_back()
            self._finish(connection)
            return Ending("moved", "another server is preferred", lasted_s)
        self._say_goodbye(connection)
        return Ending("stopped")

    def _await_answer(self, connection: MqttConnection) -> Ending | None:
        """Return None once the broker accepted the connection, otherwise how it ended."""
        until = time.monotonic() + ANSWER_WAITS_S[connection.protocol] * self._patience
        while connection.answer is None and connection.ended is None:
            now = time.monotonic()
            if self._stopping.is_set():
                return Ending("stopped")
            if now >= until:
                return Ending("silent", "no answer to our connect")
            connection.run_once(min(until - now, self._tick()))
        if connection.connected:
            return None
        if connection.will_refused:
            self._limits = replace(self._limits, retain=False, max_qos=0)  # the next answer says which of them it was
            return Ending("will", str(connection.answer))
        if connection.bad_protocol:
            remedy = OUR_CERTIFICATE if self._settings.tls and connection.answer is None else ""
            return Ending("protocol", str(connection.answer or connection.ended), remedy=remedy)
        kind: Kind = "refused" if connection.bad_credentials else "unwilling"
        return Ending(kind, str(connection.answer), reference=connection.other_server)

    def _introduce(self, connection: MqttConnection, now: float) -> None:
        reconnects = self.status.reconnects + (self.status.protocol is not None)
        self.status = MqttStatus(True, connection.protocol, "", reconnects, self._settings.address)
        self._refusals.new_connection()
        self._limits = connection.limits
        self._policy.connected(connection.protocol, connection.limits)
        if self._birth is not None:
            connection.subscribe([self._birth])
        has_wildcards = connection.limits.wildcards
        connection.subscribe(self._own.filters() if has_wildcards else self._own.filters(self.cameras), news_only=True)
        if self._on_command is not None:
            commands = filters(self._node) if has_wildcards else command_topics(self._node, self.cameras)
            connection.subscribe(commands, news_only=True)
        # After the subscriptions: a client that sees it may send a command at once.
        online = topics.node_status_message(self._node, "online")
        connection.send(online, now)
        self._outbox.show(online)
        self._outbox.replay_all()
        if self._republish_after_connect:
            self._republish_after_connect = False
            self._republish_soon(now)

    def _republish_soon(self, now: float) -> None:
        self._republish_at = now + random.uniform(*BIRTH_WAITS_S)  # noqa: S311  # not a secret

    def _serve(self, connection: MqttConnection) -> bool:
        """Run until the connection ends. Returns True when the preferred server can be reached again."""
        while connection.connected and not self._stopping.is_set():
            now = time.monotonic()
            if self._failover.back_due(now):
                if _is_reachable(self._failover.preferred):
                    return True
                self._failover.postpone(now)
            if (since := connection.waits_since()) is not None and now - since > ACKNOWLEDGED_WITHIN_S:
                connection.ended = f"nothing acknowledged for {ACKNOWLEDGED_WITHIN_S:.0f} s"
                self._is_useless = True
                return False
            since = connection.silent_since() if self._settings.servers else None
            if since is not None and now - since > SILENT_AFTER_S and now - since > self._silence_s(connection):
                connection.ended = f"no answer for {now - since:.0f} s"
                self._is_useless = True
                return False
            wait_s = self._tick()
            self._republish_if_due(connection, now)
            is_waiting = self._quarantine.careful and connection.unacked
            room = min(connection.room, 1) if self._quarantine.careful else connection.room
            self._send_due(connection, now, 0 if is_waiting else room)
            connection.run_once(min(wait_s, self._nap(connection, now)))
        return False

    def _silence_s(self, connection: MqttConnection) -> float:
        """Return how long a broker that owes an answer may send nothing; the keepalive bounds it."""
        is_reached = connection.unreceived() == 0
        return SILENT_AFTER_S * self._patience * (BUSY_FACTOR if is_reached else 1.0)

    def _send_due(
        self, connection: MqttConnection, now: float, room: int = EVENT_RING, *, at_the_end: bool = False
    ) -> None:
        """Send what is due. If sending fails, the outbox gets back everything that was not sent."""
        unsent = deque(self._outbox.due(now, room, at_the_end=at_the_end))
        try:
            while unsent:
                try:
                    if self._quarantine.allows(unsent[0]):
                        connection.send(unsent[0], now)
                        if self._own.is_own(unsent[0].topic):
                            self._own.sent(unsent[0].topic, unsent[0].encoded())
                    else:
                        self._outbox.acknowledge(unsent[0], now)
                except TooLargeError as error:
                    self._refusals.skipped(unsent[0].topic, error.size, str(error.limit))
                    self._outbox.acknowledge(unsent[0], now)
                except UnsendableError:  # it would fail on every connection
                    log.exception("message dropped topic=%s", unsent[0].topic)
                    self._outbox.acknowledge(unsent[0], now)
                unsent.popleft()
        finally:
            self._outbox.give_back([(now, message) for message in unsent])

    def _republish_if_due(self, connection: MqttConnection, now: float) -> None:
        if self._republish_at is not None and now >= self._republish_at:
            self._republish_at = None
            connection.send(topics.node_status_message(self._node, "online"), now)
            self._outbox.republish()
        for topic in self._own.due(now):
            if topic == topics.node_status(self._node):
                connection.send(topics.node_status_message(self._node, "online"), now)
                if self._own.has_twin:
                    self._outbox.republish()
            else:
                self._outbox.resend(topic)

    def _nap(self, connection: MqttConnection, now: float) -> float:
        """Return for how long nothing is to be done unless the broker or the outbox wakes us."""
        is_waiting = not connection.room or (self._quarantine.careful and connection.unacked)
        due = None if is_waiting else self._outbox.next_at()
        waits = [at - now for at in (due, self._republish_at, self._own.next_at()) if at is not None]
        return min([NAP_S, *(max(0.0, wait) for wait in waits)])

    def _say_goodbye(self, connection: MqttConnection) -> None:
        now = time.monotonic()
        last = self._last_messages
        if last is None:
            self._send_due(connection, now, at_the_end=True)
            last = topics.offline_messages(self._node, self.cameras)
        for message in last:
            connection.send(message, now)
        self._finish(connection)

    def _finish(self, connection: MqttConnection) -> None:
        """Wait until the broker has what was sent, for GOODBYE_WAITS_S at most, and disconnect without a will."""
        until = time.monotonic() + GOODBYE_WAITS_S
        while connection.connected and connection.unacked and (left := until - time.monotonic()) > 0:
            connection.run_once(left)
        connection.leave()

    def _received(self, incoming: IncomingMessage) -> None:
        now = time.monotonic()
        is_online = incoming.payload == ONLINE.encode()
        if incoming.topic == self._birth:
            if is_online:
                self._republish_soon(now)
        elif self._own.is_own(incoming.topic):
            if not incoming.retained:
                self._check_own(incoming, now)
        elif self._on_command is not None and not incoming.retained:
            self._on_command(incoming)

    def _check_own(self, incoming: IncomingMessage, now: float) -> None:
        """Look at a value on one of our own topics, which somebody else may have written."""
        last = self._outbox.last(incoming.topic)
        ours = last.encoded() if last is not None and not last.clears else None
        if incoming.topic == topics.node_status(self._node):
            ours = ONLINE.encode()
        twin = self._own.received(incoming.topic, incoming.payload, ours, now)
        if twin is not None:
            remedy = SAME_IDENTITY_REMEDY if twin.identity == self._identity else SAME_NAME_REMEDY
            log.error(
                'another ferd publishes as %s its_id=%s our_id=%s remedy="%s"',
                self._node,
                twin.identity,
                self._identity,
                remedy,
            )

    def _report(self, ending: Ending) -> None:
        if self.status.connected and ending.kind != "moved":
            self._outbox.show(topics.node_status_message(self._node, "offline"))
        reason = ending.reason if ending.kind != "stopped" else "stopped"
        self.status = replace(self.status, connected=False, reason=reason)
        self._policy.ended(ending)


def _is_reachable(server: Server) -> bool:
    """Whether something listens there; takes PROBE_WAITS_S at most for each address."""
    try:
        socket.create_connection(server, timeout=PROBE_WAITS_S).close()
    except OSError:
        return False
    return True
