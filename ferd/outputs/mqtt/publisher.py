"""Keeps the connection to the broker and sends what the board has. The only place that connects again.

One thread of our own. Whatever goes wrong (an exception included) ends the connection that was; the next one is
built from scratch, so nothing half-broken survives.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ferd.config.mqtt import MqttConfig
from ferd.outputs.mqtt import topics
from ferd.outputs.mqtt.backoff import Backoff
from ferd.outputs.mqtt.broker_settings import BrokerSettings, broker_settings
from ferd.outputs.mqtt.client import MqttConnection, Protocol, Wake
from ferd.outputs.mqtt.connection_policy import ConnectionPolicy, Ending, failure
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.requests import IncomingMessage, filters
from ferd.outputs.mqtt.tls import OUR_CERTIFICATE
from ferd.outputs.mqtt.topics import Message

ANSWER_WAITS_S: dict[Protocol, float] = {"5": 2.5, "3.1.1": 5.0}
"""A broker may leave a version 5 connect unanswered for ever (amqtt 0.12), so silence makes us fall back."""
GOODBYE_WAITS_S = 1.0
STOP_WAITS_S = 1.4
NAP_S = 1.0
BIRTH_WAITS_S = (3.0, 8.0)
"""After its birth message Home Assistant needs a few seconds before it takes discovery documents."""
ACKNOWLEDGED_WITHIN_S = 180.0
"""A broker that answers pings but takes nothing is as good as none. The health message asks it every minute."""
REPAIR_EVERY_S = 10.0
"""At most so often `offline` is corrected that somebody else said of us: another one's last will, or an old one."""

log = logging.getLogger("ferd.outputs.mqtt.client")


@dataclass(frozen=True, slots=True)
class MqttStatus:
    """``reason`` says why there is no connection (empty while there is one)."""

    connected: bool = False
    protocol: Protocol | None = None
    reason: str = "not started"
    reconnects: int = 0


class Publisher:
    """Sends the board's messages to the broker, for as long as it runs.

    ``cameras``: those that a clean stop says are offline; may be replaced at any time. ``identity``: see
    home_assistant.identity; with the node's name it makes the client id. ``prefer``: the version to try first.
    ``on_command`` gets what comes on command topics, in the publisher's thread: it must return at once. Raises
    ConfigError when a file that the configuration names is wrong.
    """

    def __init__(
        self,
        config: MqttConfig,
        node: str,
        identity: str,
        board: Outbox,
        *,
        cameras: Sequence[str] = (),
        target: BrokerSettings | None = None,
        backoff: Backoff | None = None,
        prefer: Protocol = "5",
        on_command: Callable[[IncomingMessage], None] | None = None,
    ) -> None:
        self._target = target or broker_settings(config)
        self.cameras = tuple(cameras)
        self._node, self._board, self._on_command = node, board, on_command
        self._diary = ConnectionPolicy(self._target, f"{identity}-{node}", backoff or Backoff())
        self._birth = topics.birth(config.discovery_prefix) if config.discovery else None
        self._began: float | None = None
        self._twice = False
        self._again_at: float | None = None
        self._repair_at: float | None = None
        self._repaired_at = float("-inf")
        self._last_words: Sequence[Message] | None = None
        self._first: Protocol = prefer
        self._refused_topics: set[str] = set()
        self._stopping = threading.Event()
        self._wake: Wake | None = None
        self._thread: threading.Thread | None = None
        self.status = MqttStatus()
        """The connection as it is now; replaced as a whole, so any thread may read it."""

    def start(self) -> None:
        """Returns at once, broker or not. A publisher is started once; after `stop` make a new one."""
        for warning in self._target.warnings:
            log.warning("%s", warning)
        self._wake = wake = Wake()
        self._end_watch = self._board.subscribe(lambda _message: wake.set())
        self._thread = threading.Thread(target=self._run, args=(wake,), name="mqtt", daemon=True)
        self._thread.start()

    def republish(self) -> None:
        """Sends everything retained once more. May be called from any thread."""
        self._again_at = time.monotonic()
        if self._wake is not None:
            self._wake.set()

    def say_twice(self) -> None:
        """Sends everything retained once more a few seconds after the next connect.

        For Home Assistant: while it removes an entity it passes over the rest of a device document (2026.11).
        """
        self._twice = True

    def stop(self, last_words: Sequence[Message] | None = None) -> None:
        """Says offline, waits for the broker to have it, and ends the thread: in 1.5 s at most, broker or not.

        ``last_words``: what is said instead of offline.
        """
        if self._thread is None or self._wake is None:
            return
        self._last_words = last_words
        self._stopping.set()
        self._wake.set()
        self._end_watch()
        self._thread.join(STOP_WAITS_S)
        if self._thread.is_alive():  # in the resolver or a TCP connect; a daemon thread, it ends by itself
            log.debug("still connecting while stopping host=%s", self._target.host)
        self._thread = None

    def _run(self, wake: Wake) -> None:
        try:
            while not self._stopping.is_set():
                ending = self._attempt(wake)
                self._tell(ending)
                self._stopping.wait(self._diary.pause_s(ending))
        finally:
            wake.close()

    def _attempt(self, wake: Wake) -> Ending:
        """One connection from begin to end, with the version that is to be tried first or else the other one.

        A broker that starts or is busy may be silent once: so the next connection asks for the first one again.
        """
        other: Protocol = "3.1.1" if self._first == "5" else "5"
        ending = self._connection(self._first, wake)
        if ending.kind in ("silent", "protocol") and not self._stopping.is_set():
            ending = self._connection(other, wake)
        return ending

    def _connection(self, protocol: Protocol, wake: Wake) -> Ending:
        link = MqttConnection(
            self._target,
            protocol,
            self._diary.client_id,
            wake,
            will=topics.node_status_message(self._node, "offline"),
            on_message=self._heard,
            on_refused=self._publish_refused,
            on_acknowledged=lambda message: self._board.acknowledge(message, time.monotonic()),
        )
        self._began = None
        try:
            link.open()
            return self._await_answer(link) or self._session(link)
        except Exception as error:  # noqa: BLE001  # told by the diary; nothing may end this thread
            return failure(link, error, None if self._began is None else time.monotonic() - self._began)
        finally:
            self._board.give_back(link.unacked.values())
            link.close()

    def _session(self, link: MqttConnection) -> Ending:
        """From the broker's welcome until one of us leaves."""
        self._began = began = time.monotonic()
        self._greet(link, began)
        self._serve(link)
        if not link.connected:
            return Ending("lost", link.ended or "", time.monotonic() - began)
        self._say_goodbye(link)
        return Ending("stopped")

    def _await_answer(self, link: MqttConnection) -> Ending | None:
        """None once the broker let us in, else how it ended."""
        until = time.monotonic() + ANSWER_WAITS_S[link.protocol]
        while link.answer is None and link.ended is None:
            left = until - time.monotonic()
            if self._stopping.is_set():
                return Ending("stopped")
            if left <= 0:
                return Ending("silent", "no answer to our connect")
            link.turn(left)
        if link.connected:
            return None
        if link.bad_protocol:
            remedy = OUR_CERTIFICATE if self._target.tls and link.answer is None else ""
            return Ending("protocol", str(link.answer or link.ended), remedy=remedy)
        return Ending("refused" if link.bad_credentials else "unwilling", str(link.answer))

    def _greet(self, link: MqttConnection, now: float) -> None:
        reconnects = self.status.reconnects + (self.status.protocol is not None)
        self.status = MqttStatus(True, link.protocol, "", reconnects)
        self._refused_topics.clear()
        self._diary.connected(link.protocol)
        if self._birth is not None:
            link.listen([self._birth])
        link.listen([topics.node_status(self._node)], news_only=True)
        if self._on_command is not None:
            link.listen(filters(self._node), news_only=True)
        online = topics.node_status_message(self._node, "online")  # after that: who hears it may command at once
        link.send(online, now)
        self._board.show(online)
        self._board.replay_all()
        if self._twice:
            self._twice = False
            self._say_again_soon(now)

    def _say_again_soon(self, now: float) -> None:
        self._again_at = now + random.uniform(*BIRTH_WAITS_S)  # noqa: S311  # not a secret

    def _serve(self, link: MqttConnection) -> None:
        while link.connected and not self._stopping.is_set():
            now = time.monotonic()
            if (since := link.waits_since()) is not None and now - since > ACKNOWLEDGED_WITHIN_S:
                link.ended = f"nothing acknowledged for {ACKNOWLEDGED_WITHIN_S:.0f} s"
                return
            self._say_again(link, now)
            for message in self._board.due(now, link.room):
                link.send(message, now)
            link.turn(self._nap(link, now))

    def _say_again(self, link: MqttConnection, now: float) -> None:
        if self._again_at is not None and now >= self._again_at:
            self._again_at, self._repair_at = None, now
            self._board.tell_again()
        if self._repair_at is not None and now >= self._repair_at:
            self._repair_at, self._repaired_at = None, now
            link.send(topics.node_status_message(self._node, "online"), now)

    def _nap(self, link: MqttConnection, now: float) -> float:
        """How long nothing is to be done, unless the broker or the board wakes us."""
        due = self._board.next_at() if link.room else None
        waits = [at - now for at in (due, self._again_at, self._repair_at) if at is not None]
        return min([NAP_S, *(max(0.0, wait) for wait in waits)])

    def _say_goodbye(self, link: MqttConnection) -> None:
        now = time.monotonic()
        words = topics.farewell(self._node, self.cameras) if self._last_words is None else self._last_words
        for message in (*self._board.due(now), *words):
            link.send(message, now)
        until = now + GOODBYE_WAITS_S
        while link.connected and link.unacked and (left := until - time.monotonic()) > 0:
            link.turn(left)
        link.leave()

    def _heard(self, heard: IncomingMessage) -> None:
        now = time.monotonic()
        if heard.topic == self._birth:
            if heard.payload == topics.ONLINE.encode():
                self._say_again_soon(now)
        elif heard.topic == topics.node_status(self._node):
            if heard.payload != topics.ONLINE.encode() and not heard.retained and self._repair_at is None:
                self._repair_at = max(now, self._repaired_at + REPAIR_EVERY_S)
        elif self._on_command is not None and not heard.retained:
            self._on_command(heard)

    def _publish_refused(self, topic: str, reason: str) -> None:
        if topic not in self._refused_topics:
            self._refused_topics.add(topic)
            log.warning('publish refused topic=%s reason="%s" remedy="check the broker\'s ACL"', topic, reason)

    def _tell(self, ending: Ending) -> None:
        if self.status.connected:
            self._board.show(topics.node_status_message(self._node, "offline"))
        reason = ending.reason if ending.kind != "stopped" else "stopped"
        self.status = replace(self.status, connected=False, reason=reason)
        self._diary.ended(ending)
