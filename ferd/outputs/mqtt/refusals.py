"""Log what the broker does not accept, each topic once: its messages come again."""

from __future__ import annotations

import logging

from ferd import topics

TOO_LARGE_REMEDY = "let the broker accept larger messages: max_packet_size, message_size_limit in mosquitto.conf"
COMPONENTS_REMEDY = '; or set mqtt.discovery = "components": many small messages'

log = logging.getLogger("ferd.outputs.mqtt.client")


class Refusals:
    """Remember which topics were named."""

    def __init__(self) -> None:
        self._published: set[str] = set()
        self._subscribed: set[str] = set()
        self._skipped: set[str] = set()

    def new_connection(self) -> None:
        """Name refused messages again: the broker's rules may have changed."""
        self._published.clear()

    def publish(self, topic: str, reason: str) -> None:
        """Report that the broker refused a message."""
        if topic not in self._published:
            self._published.add(topic)
            is_size = "too large" in reason.lower()
            remedy = TOO_LARGE_REMEDY if is_size else "check the broker's ACL"
            log.warning('publish refused topic=%s reason="%s" remedy="%s"', topic, reason, remedy)

    def subscription(self, topic: str, reason: str) -> None:
        """Report that the broker refused a subscription."""
        if topic not in self._subscribed:
            self._subscribed.add(topic)
            log.warning(
                'subscription refused topic=%s reason="%s" remedy="let this user read it in the broker\'s ACL"',
                topic,
                reason,
            )

    def skipped(self, topic: str, size: int, accepted: str) -> None:
        """Report that a message was left out. `size`: its bytes; `accepted`: how many the broker accepts."""
        if topic not in self._skipped:
            self._skipped.add(topic)
            log.warning(
                'message skipped topic=%s bytes=%d broker_accepts=%s remedy="%s"',
                topic,
                size,
                accepted,
                TOO_LARGE_REMEDY + (COMPONENTS_REMEDY if topics.DISCOVERY.names_in(topic) else ""),
            )
