"""What a broker says of itself in its answer to a connect, and how a message is made to fit (MQTT 5, section 3.2.2.3).

A message that a broker does not accept ends the connection, and the next one fails at the same message. So a message
is changed or left out here before it is sent, and the difference is logged once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ferd.topics import Message

_FIXED_HEADER = 1
_LENGTH_BYTES = ((128, 1), (16_384, 2), (2_097_152, 3))  # MQTT 5, table 1-1; a longer packet needs 4
_EXPIRY_PROPERTY = 5
_CORRELATION_PROPERTY = 3


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits of one connection. The defaults are those of a broker that names none.

    Attributes:
        max_packet_size: bytes of a whole packet; None without a limit.
        max_qos: 0, 1 or 2.
        retain: whether the broker retains messages.
        receive_max: QoS 1 messages that may wait for their acknowledgement at the same time.
        keepalive_s: the interval that the broker wants instead of ours; None: ours.
        wildcards: whether a subscription may contain + and #.
        client_id: the id that the broker gave us instead of ours; None: ours.
        reference: another server that the broker names, as text; None without one.
    """

    max_packet_size: int | None = None
    max_qos: int = 2
    retain: bool = True
    receive_max: int = 65_535
    keepalive_s: int | None = None
    wildcards: bool = True
    client_id: str | None = None
    reference: str | None = None

    @classmethod
    def of(cls, properties: object) -> ServerLimits:
        """Read the properties of a CONNACK, in paho's form: attributes that are there or not. None: no properties."""

        def given(name: str, default: object) -> object:
            return getattr(properties, name, default)

        def number(name: str) -> int | None:
            value = given(name, None)
            return value if isinstance(value, int) else None

        def text(name: str) -> str | None:
            value = given(name, None)
            return value if isinstance(value, str) and value else None

        return cls(
            max_packet_size=number("MaximumPacketSize"),
            max_qos=2 if (qos := number("MaximumQoS")) is None else qos,
            retain=number("RetainAvailable") != 0,
            receive_max=number("ReceiveMaximum") or 65_535,
            keepalive_s=number("ServerKeepAlive"),
            wildcards=number("WildcardSubscriptionAvailable") != 0,
            client_id=text("AssignedClientIdentifier"),
            reference=text("ServerReference"),
        )

    def fit(self, message: Message) -> Message:
        """Return the message with a QoS and a retain flag that the broker accepts."""
        if message.qos <= self.max_qos and (self.retain or not message.retain):
            return message
        return replace(message, qos=min(message.qos, self.max_qos), retain=message.retain and self.retain)

    def restrictions(self) -> tuple[str, ...]:
        """Return one sentence for each thing that does not work as it should on this broker."""
        texts: list[str] = []
        if not self.retain:
            texts.append("it retains nothing: a new subscriber gets a value only when it changes or is published again")
        if self.max_qos == 0:
            texts.append("it accepts QoS 0 only: a message can be lost without notice")
        if not self.wildcards:
            texts.append("it allows no wildcards in subscriptions: unknown commands are not answered")
        return tuple(texts)


def packet_size(message: Message, payload_size: int, *, mqtt5: bool) -> int:
    """Return the bytes of the PUBLISH packet (MQTT 5, section 3.3)."""
    size = 2 + len(message.topic.encode()) + (2 if message.qos else 0) + payload_size
    if mqtt5:
        properties = _EXPIRY_PROPERTY if message.expires_s is not None else 0
        properties += _CORRELATION_PROPERTY + len(message.correlation) if message.correlation is not None else 0
        size += _length_bytes(properties) + properties
    return _FIXED_HEADER + _length_bytes(size) + size


def _length_bytes(length: int) -> int:
    return next((size for limit, size in _LENGTH_BYTES if length < limit), 4)
