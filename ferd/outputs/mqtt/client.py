"""Hold one connection to a broker. The only module that imports paho.

A connection is used once: it is opened, run by its owner's thread until it ends, and closed. It never reconnects by
itself, and paho's own thread is not used: an exception in a callback would kill that thread silently while
`is_connected()` stays true (tested with paho 2.1 and 2.2).
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    WebsocketConnectionError,
    error_string,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.server_limits import ServerLimits, packet_size
from ferd.topics import Message

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # Windows
    ioctl = None  # type: ignore[assignment]

Protocol = Literal["5", "3.1.1"]

KEEPALIVE_S = 20
CONNECT_WAITS_S = 3.0
IN_FLIGHT = 16
SESSION_EXPIRES_S = 60
WILL_DELAY_S = 3
"""With MQTT 5 the broker delays the last will: a client that is back in time was never offline."""
MAX_INCOMING = 65_536
"""Bytes of a packet that is read: the longest command has 4 kB. A longer one is discarded while it arrives."""
_DISCARD_BYTES = 65_536

LOST = "connection lost"
NO_WEBSOCKET = "no MQTT websocket at this port and path"
_UNSPECIFIED = 0x80
_BAD_CREDENTIALS = (0x86, 0x87)  # "Bad user name or password", "Not authorized": MQTT 5, section 3.2.2.2
_UNSUPPORTED_PROTOCOL = (0x81, 0x82, 0x84)  # "Malformed packet", "Protocol error", "Unsupported protocol version"
_WILL_REFUSED = (0x9A, 0x9B)  # "Retain not supported", "QoS not supported"
_OTHER_SERVER = (0x9C, 0x9D)  # "Use another server", "Server moved"
_TAKEN_OVER = 0x8E

log = logging.getLogger(__name__)


class UnsendableError(ValueError):
    """The payload of a message cannot be encoded, now or later."""


class NoWebsocketError(OSError):
    """The server did not accept the upgrade to a websocket."""


class TooLargeError(UnsendableError):
    """The message is larger than what the broker accepts. ``size`` and ``limit`` are in bytes."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(f"{topic}: {size} bytes, and the broker accepts {limit}")
        self.size, self.limit = size, limit


OnMessage = Callable[[IncomingMessage], None]
OnRefused = Callable[[str, str], None]
OnAcknowledged = Callable[[Message], None]


class Wake:
    """Interrupt the waiting of a connection from another thread. Does nothing after ``close``."""

    def __init__(self) -> None:
        self._in, self.out = socket.socketpair()
        self._in.setblocking(False)
        self.out.setblocking(False)

    def set(self) -> None:
        with suppress(OSError):  # full: already interrupted; closed: nobody waits
            self._in.send(b"!")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while len(self.out.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        self._in.close()
        self.out.close()


class MqttConnection:
    """Connect once.

    ``ended``: why the connection is over, None while it is not. ``answer``: the broker's CONNACK. ``limits``: what the
    broker said of itself in it, or when it ended the connection. ``max_incoming``: bytes of a packet that is read.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        protocol: Protocol,
        client_id: str,
        wake: Wake,
        *,
        will: Message | None = None,
        on_message: OnMessage | None = None,
        on_refused: OnRefused | None = None,
        on_subscription_refused: OnRefused | None = None,
        on_acknowledged: OnAcknowledged | None = None,
        max_incoming: int = MAX_INCOMING,
    ) -> None:
        self.protocol = protocol
        self.answer: ReasonCode | None = None
        self.ended: str | None = None
        self.limits = ServerLimits()
        self._ended_with: int | None = None
        self._has_acknowledged = self._has_subscribed = False
        self._max_incoming = max_incoming
        self._subscriptions: dict[int, str] = {}
        self._topic_was_logged = False
        self.unacked: dict[int, tuple[float, Message]] = {}
        """QoS 1 messages that are not acknowledged: when they were sent (monotonic seconds), and the message."""
        self._settings, self._wake = settings, wake
        self._on_message, self._on_refused, self._on_acknowledged = on_message, on_refused, on_acknowledged
        self._on_subscription_refused = on_subscription_refused or on_refused
        self._client = self._build(client_id, will)

    @property
    def connected(self) -> bool:
        return self.answer is not None and not self.answer.is_failure and self.ended is None

    @property
    def bad_credentials(self) -> bool:
        return self.answer is not None and self.answer.value in _BAD_CREDENTIALS

    @property
    def bad_protocol(self) -> bool:
        """Whether the broker does not speak this version: it says so, or closes the connection without an answer."""
        if self.answer is None:
            return self.ended is not None
        return self.answer.value in _UNSUPPORTED_PROTOCOL

    @property
    def will_refused(self) -> bool:
        """Whether the broker refuses the last will for its retain flag or its QoS."""
        return self.answer is not None and self.answer.value in _WILL_REFUSED

    @property
    def taken_over(self) -> bool:
        """Whether another client with the same id connected, and the broker said so (MQTT 5)."""
        return self._ended_with == _TAKEN_OVER

    @property
    def has_served(self) -> bool:
        """Whether the broker acknowledged a message; one that accepts QoS 0 only: a subscription."""
        return self._has_acknowledged or (self.limits.max_qos == 0 and self._has_subscribed)

    @property
    def other_server(self) -> str | None:
        """The server that the broker sends us to; None when it does not (MQTT 5, section 4.11)."""
        code = self._ended_with if self.answer is None or not self.answer.is_failure else self.answer.value
        return self.limits.reference if code in _OTHER_SERVER else None

    @property
    def room(self) -> int:
        """How many messages may be sent now without a queue here."""
        if self._client.want_write():
            return 0
        return max(0, min(IN_FLIGHT, self.limits.receive_max) - len(self.unacked))

    def open(self) -> None:
        """Connect. Blocks at most CONNECT_WAITS_S for each address (and for the resolver). Raises OSError."""
        self._client.connect_timeout = CONNECT_WAITS_S
        try:
            self._connect()
        except WebsocketConnectionError:
            self._client.close_opened()
            raise NoWebsocketError(NO_WEBSOCKET) from None

    def _connect(self) -> None:
        if self.protocol == "5":
            session = _properties(
                PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRES_S, MaximumPacketSize=self._max_incoming
            )
            self._client.connect(
                self._settings.host, self._settings.port, KEEPALIVE_S, clean_start=False, properties=session
            )
        else:
            self._client.connect(self._settings.host, self._settings.port, KEEPALIVE_S)

    def run_once(self, timeout_s: float) -> None:
        """Handle what arrived; otherwise wait for the network, the wake or the timeout. Raises OSError."""
        line: Any = self._client.socket()
        if line is None:
            self.ended = self.ended or LOST
            return
        if not (hasattr(line, "pending") and line.pending()):  # TLS may hold bytes that select does not see
            writers = [line] if self._client.want_write() else []
            select.select([line, self._wake.out], writers, [], timeout_s)
        self._wake.clear()
        code = self._client.loop(0)
        # Of a websocket the TLS connection is inside.
        if trouble := getattr(getattr(line, "_socket", line), "trouble", None):
            raise trouble  # of TLS; paho only reports a lost connection
        if code:
            self.ended = self.ended or error_string(code).rstrip(".")

    def send(self, message: Message, now: float) -> None:
        """Encode and send a message; with QoS 1 it stays in ``unacked`` until the broker has it.

        With a broker that accepts QoS 0 only it counts as acknowledged once it is sent. Raises UnsendableError for a
        payload that cannot be encoded, TooLargeError for one that the broker does not accept.
        """
        try:
            payload = message.encoded()
        except Exception as error:
            raise UnsendableError(f"{message.topic}: {error!r}") from error
        original, message = message, self.limits.fit(message)
        size = packet_size(message, len(payload), mqtt5=self.protocol == "5")
        if (limit := self.limits.max_packet_size) is not None and size > limit:
            raise TooLargeError(message.topic, size, limit)
        values: dict[str, Any] = {}
        if message.expires_s is not None:
            values["MessageExpiryInterval"] = message.expires_s
        if message.correlation is not None:
            values["CorrelationData"] = message.correlation
        properties = _properties(PacketTypes.PUBLISH, **values) if values and self.protocol == "5" else None
        info = self._client.publish(message.topic, payload, message.qos, message.retain, properties)
        if message.qos:
            self.unacked[info.mid] = (now, original)
        elif original.qos and self._on_acknowledged is not None:
            self._on_acknowledged(original)

    def silent_since(self) -> float | None:
        """Return since when the broker owes an answer and sent nothing at all; None while it owes none.

        It owes one for each QoS 1 message and each ping. In monotonic seconds. None as well until it has acknowledged a
        message: what a new connection subscribes to can keep a cluster busy for longer than the rest ever takes.
        """
        if not self._has_acknowledged:
            return None
        owed = [at for at in (self.waits_since(), self._client.pinged_at) if at is not None]
        return max(min(owed), self._client.heard_at) if owed else None

    def unreceived(self) -> int | None:
        """Return how many bytes the other machine has not received, by the acknowledgements of TCP.

        None where the system does not say (it is Linux that does), or without a socket.
        """
        line: Any = self._client.socket()
        if line is None or ioctl is None:
            return None
        try:
            return int(struct.unpack("i", ioctl(line.fileno(), TIOCOUTQ, struct.pack("i", 0)))[0])
        except (OSError, ValueError):  # closed
            return None

    def waits_since(self) -> float | None:
        """Return when the oldest message was sent that is not acknowledged; None when all are."""
        return min((sent for sent, _ in self.unacked.values()), default=None)

    def subscribe(self, topics: Iterable[str], *, news_only: bool = False) -> None:
        """Subscribe with QoS 0: what was published while we were away is not delivered later.

        ``news_only``: nothing that is retained, and nothing that we publish ourselves (MQTT 5 only).
        """
        only = SubscribeOptions(noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        for topic in topics:
            if self.protocol == "5":
                _, mid = self._client.subscribe(topic, options=only if news_only else SubscribeOptions())
            else:
                _, mid = self._client.subscribe(topic)
            if mid is not None:
                self._subscriptions[mid] = topic

    def leave(self) -> None:
        """Disconnect cleanly: the broker discards the last will. What was sent before arrives before."""
        self._client.disconnect()

    def close(self) -> None:
        """Close the socket. Without ``leave`` the broker publishes the last will."""
        line: Any = self._client.socket()
        if line is not None:
            line.close()
        # The callbacks are methods of ours: without the cycle the client, with its pair of sockets, is freed at once.
        client = self._client
        client.on_connect = client.on_disconnect = client.on_message = client.on_publish = client.on_subscribe = None

    def _build(self, client_id: str, will: Message | None) -> _BoundedClient:
        new = self.protocol == "5"
        client = _BoundedClient(
            self._max_incoming,
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if new else True,
            protocol=MQTTProtocolVersion.MQTTv5 if new else MQTTProtocolVersion.MQTTv311,
            transport="tcp" if self._settings.websocket_path is None else "websockets",
            reconnect_on_failure=False,
        )
        if self._settings.websocket_path is not None:
            client.ws_set_options(self._settings.websocket_path)
        if self._settings.username is not None:
            client.username_pw_set(self._settings.username, self._settings.password)
        if self._settings.tls is not None:
            client.tls_set_context(self._settings.tls)
        if will is not None:
            delay = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S) if new else None
            client.will_set(will.topic, will.encoded(), will.qos, will.retain, delay)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._acknowledged
        client.on_subscribe = self._subscribed
        return client

    def _connected(self, _c: Client, _u: Any, _f: ConnectFlags, code: ReasonCode, given: Properties | None) -> None:
        self.limits = ServerLimits.of(given)
        if self.limits.keepalive_s is not None:
            self._client._keepalive = self.limits.keepalive_s  # paho 2.1 does not; the setter is for before a connect
        self.answer = code

    def _disconnected(
        self, _c: Client, _u: Any, flags: DisconnectFlags, code: ReasonCode, given: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._ended_with = code.value
            self.limits = replace(self.limits, reference=ServerLimits.of(given).reference)
        # paho reports every broken connection as "Unspecified error".
        self.ended = self.ended or (LOST if code.value == _UNSPECIFIED else str(code))

    def _received(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        if self._on_message is None:
            return
        try:
            topic = message.topic  # paho decodes it here
        except UnicodeDecodeError:
            if not self._topic_was_logged:
                self._topic_was_logged = True
                log.debug("message ignored: its topic is not UTF-8 bytes=%d", len(message.payload))
            return
        given = message.properties  # None with 3.1.1
        reply_to, correlation = getattr(given, "ResponseTopic", None), getattr(given, "CorrelationData", None)
        self._on_message(IncomingMessage(topic, bytes(message.payload), message.retain, reply_to, correlation))

    def _subscribed(self, _c: Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
        self._has_subscribed = True
        topic = self._subscriptions.pop(mid, "(a subscription)")
        for code in codes:
            if code.is_failure and self._on_subscription_refused is not None:
                self._on_subscription_refused(topic, str(code))

    def _acknowledged(self, _c: Client, _u: Any, mid: int, code: ReasonCode, _p: Properties | None) -> None:
        # MQTT 5 only: with 3.1.1 a publish that the broker's ACL refuses is acknowledged like any other.
        self._has_acknowledged = True
        _, message = self.unacked.pop(mid, (0.0, None))
        if message is None:
            return
        if not code.is_failure and self._on_acknowledged is not None:
            self._on_acknowledged(message)
        if code.is_failure and self._on_refused is not None:
            self._on_refused(message.topic, str(code))


class _BoundedClient(Client):
    """Discard a packet of more than ``max_incoming`` bytes while it arrives, instead of collecting it in memory.

    A broker that speaks MQTT 5 does not send one: it knows our MaximumPacketSize. MQTT 3.1.1 has no such limit.
    ``close_opened`` closes the socket of a websocket handshake that failed, which paho leaves open. This overrides
    methods that paho does not document (2.1 and 2.2 have them); tests cover both.
    """

    def __init__(self, max_incoming: int, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._max_incoming = max_incoming
        self._empty_packet = deepcopy(self._in_packet)
        self._discarding = False
        self._was_logged = False
        self._opened: socket.socket | None = None
        self.heard_at = float("-inf")
        """When bytes arrived last (monotonic seconds)."""

    @property
    def pinged_at(self) -> float | None:
        """When a ping was sent that is not answered (monotonic seconds)."""
        return self._ping_t or None

    def close_opened(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _create_socket_connection(self) -> socket.socket:
        self._opened = super()._create_socket_connection()
        return self._opened

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        secure = super()._ssl_wrap_socket(tcp_sock)
        self._opened = secure
        return secure

    def _sock_recv(self, bufsize: int) -> bytes:
        data = self._receive(bufsize)
        self.heard_at = time.monotonic()
        return data

    def _receive(self, bufsize: int) -> bytes:
        if not self._discarding and bufsize <= self._max_incoming:
            return super()._sock_recv(bufsize)
        data = super()._sock_recv(min(bufsize, _DISCARD_BYTES))
        if not data:
            return data
        if not self._was_logged:
            self._was_logged = True
            log.warning(
                'message discarded bytes=%d limit=%d remedy="somebody publishes it to a topic that ferd subscribes to"',
                bufsize,
                self._max_incoming,
            )
        self._in_packet["to_process"] -= len(data)
        self._discarding = self._in_packet["to_process"] > 0
        if not self._discarding:
            self._in_packet = deepcopy(self._empty_packet)
        raise BlockingIOError


def _properties(packet: int, **values: Any) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
