"""One connection to a broker. The only module that knows paho.

A Link is used once: it opens, is turned by its owner's thread until it ends, and is closed. It never connects
again by itself, and paho's own thread is not used: an exception in a callback would kill that thread silently
while `is_connected()` stays true (paho 2.1 and 2.2, tried).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.requests import IncomingMessage
from ferd.outputs.mqtt.topics import Message

Protocol = Literal["5", "3.1.1"]

KEEPALIVE_S = 20
CONNECT_WAITS_S = 3.0
IN_FLIGHT = 16
SESSION_EXPIRES_S = 60
WILL_DELAY_S = 3
"""With MQTT 5 the broker tells the will this much later: a client that is back in time was never offline."""

LOST = "connection lost"
_UNSPECIFIED = 0x80
_BAD_CREDENTIALS = (0x86, 0x87)  # "Bad user name or password", "Not authorized": MQTT 5, section 3.2.2.2
_UNSUPPORTED_PROTOCOL = (0x81, 0x82, 0x84)  # "Malformed packet", "Protocol error", "Unsupported protocol version"

OnMessage = Callable[[IncomingMessage], None]
OnRefused = Callable[[str, str], None]
OnAcknowledged = Callable[[Message], None]


class Wake:
    """Ends the waiting of a Link from another thread. Harmless after ``close``."""

    def __init__(self) -> None:
        self._in, self.out = socket.socketpair()
        self._in.setblocking(False)
        self.out.setblocking(False)

    def set(self) -> None:
        with suppress(OSError):  # full: it wakes already; closed: nobody waits
            self._in.send(b"!")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            while len(self.out.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        self._in.close()
        self.out.close()


class MqttConnection:
    """``ended`` says why it is over (None while it is not), ``answer`` what the broker said to our CONNECT."""

    def __init__(
        self,
        target: BrokerSettings,
        protocol: Protocol,
        client_id: str,
        wake: Wake,
        *,
        will: Message | None = None,
        on_message: OnMessage | None = None,
        on_refused: OnRefused | None = None,
        on_acknowledged: OnAcknowledged | None = None,
    ) -> None:
        self.protocol = protocol
        self.answer: ReasonCode | None = None
        self.ended: str | None = None
        self.unacked: dict[int, tuple[float, Message]] = {}
        """QoS 1 messages without an acknowledgement: when they were sent (monotonic seconds), and they."""
        self._target, self._wake = target, wake
        self._on_message, self._on_refused, self._on_acknowledged = on_message, on_refused, on_acknowledged
        self._client = self._build(client_id, will)

    @property
    def connected(self) -> bool:
        return self.answer is not None and not self.answer.is_failure and self.ended is None

    @property
    def bad_credentials(self) -> bool:
        return self.answer is not None and self.answer.value in _BAD_CREDENTIALS

    @property
    def bad_protocol(self) -> bool:
        """The broker does not speak this version: it says so, or hangs up without a word."""
        if self.answer is None:
            return self.ended is not None
        return self.answer.value in _UNSUPPORTED_PROTOCOL

    @property
    def room(self) -> int:
        """How many messages may be sent now without anything piling up here."""
        return 0 if self._client.want_write() else max(0, IN_FLIGHT - len(self.unacked))

    def open(self) -> None:
        """Blocks at most CONNECT_WAITS_S for each address (and for the resolver). Raises OSError."""
        self._client.connect_timeout = CONNECT_WAITS_S
        if self.protocol == "5":
            lasting = _properties(PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRES_S)
            self._client.connect(
                self._target.host, self._target.port, KEEPALIVE_S, clean_start=False, properties=lasting
            )
        else:
            self._client.connect(self._target.host, self._target.port, KEEPALIVE_S)

    def turn(self, timeout_s: float) -> None:
        """Does what the network has for us, or waits for it, for the wake or for the time to pass. Raises OSError."""
        line: Any = self._client.socket()
        if line is None:
            self.ended = self.ended or LOST
            return
        if not (hasattr(line, "pending") and line.pending()):  # TLS may hold bytes that select does not see
            writers = [line] if self._client.want_write() else []
            select.select([line, self._wake.out], writers, [], timeout_s)
        self._wake.clear()
        code = self._client.loop(0)
        if trouble := getattr(line, "trouble", None):
            raise trouble  # of TLS; paho says only that the connection is lost
        if code:
            self.ended = self.ended or error_string(code).rstrip(".")

    def send(self, message: Message, now: float) -> None:
        """Hands a message over; with QoS 1 it stands in ``unacked`` until the broker has it."""
        with_it: dict[str, Any] = {}
        if message.expires_s is not None:
            with_it["MessageExpiryInterval"] = message.expires_s
        if message.correlation is not None:
            with_it["CorrelationData"] = message.correlation
        more = _properties(PacketTypes.PUBLISH, **with_it) if with_it and self.protocol == "5" else None
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, more)
        if message.qos:
            self.unacked[info.mid] = (now, message)

    def waits_since(self) -> float | None:
        """When the oldest message was sent that the broker has not acknowledged; None when it has them all."""
        return min((sent for sent, _ in self.unacked.values()), default=None)

    def listen(self, topics: Iterable[str], *, news_only: bool = False) -> None:
        """``news_only``: nothing that is retained, and nothing that we publish ourselves (MQTT 5 only).

        With QoS 0: what was said while we were away is not delivered later.
        """
        only = SubscribeOptions(noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        for topic in topics:
            if self.protocol == "5":
                self._client.subscribe(topic, options=only if news_only else SubscribeOptions())
            else:
                self._client.subscribe(topic)

    def leave(self) -> None:
        """Says good-bye: the broker forgets the will. What was sent before arrives before."""
        self._client.disconnect()

    def close(self) -> None:
        """Lets go of the socket. Without ``leave`` the broker will tell the will."""
        line: Any = self._client.socket()
        if line is not None:
            line.close()

    def _build(self, client_id: str, will: Message | None) -> Client:
        new = self.protocol == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if new else True,
            protocol=MQTTProtocolVersion.MQTTv5 if new else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if self._target.username is not None:
            client.username_pw_set(self._target.username, self._target.password)
        if self._target.tls is not None:
            client.tls_set_context(self._target.tls)
        if will is not None:
            delay = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S) if new else None
            client.will_set(will.topic, will.payload, will.qos, will.retain, delay)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._acknowledged
        client.on_subscribe = self._subscribed
        return client

    def _connected(self, _c: Client, _u: Any, _f: ConnectFlags, code: ReasonCode, _p: Properties | None) -> None:
        self.answer = code

    def _disconnected(self, _c: Client, _u: Any, _f: DisconnectFlags, code: ReasonCode, _p: Properties | None) -> None:
        # paho makes "Unspecified error" of every line that breaks.
        self.ended = self.ended or (LOST if code.value == _UNSPECIFIED else str(code))

    def _received(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        if self._on_message is None:
            return
        given = message.properties  # None with 3.1.1
        reply_to, correlation = getattr(given, "ResponseTopic", None), getattr(given, "CorrelationData", None)
        self._on_message(IncomingMessage(message.topic, bytes(message.payload), message.retain, reply_to, correlation))

    def _subscribed(self, _c: Client, _u: Any, _mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
        for code in codes:
            if code.is_failure and self._on_refused is not None:
                self._on_refused("(a subscription)", str(code))

    def _acknowledged(self, _c: Client, _u: Any, mid: int, code: ReasonCode, _p: Properties | None) -> None:
        # MQTT 5 only: with 3.1.1 a publish that the broker's ACL refuses is acknowledged like any other.
        _, message = self.unacked.pop(mid, (0.0, None))
        if message is None:
            return
        if not code.is_failure and self._on_acknowledged is not None:
            self._on_acknowledged(message)
        if code.is_failure and self._on_refused is not None:
            self._on_refused(message.topic, str(code))


def _properties(packet: int, **values: Any) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
