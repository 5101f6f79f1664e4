"""Find a message at which the broker ends the connection without naming a limit, and leave it out.

mosquitto's message_size_limit, a broker of MQTT 3.1.1 and a bridge or proxy with a limit say nothing beforehand: each
connection ends at the same message, and nothing behind it arrives. After a connection that ended early with messages in
flight, the next one sends one message at a time. A large message that is the only one in flight when two such
connections end is the cause. Pure: no clock, no network.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferd.topics import Message

LARGE = 1000
"""Bytes of a payload that may be too large for a broker. All messages but discovery documents are smaller."""
ENDS = 2
"""Connections that must end at one message before it is left out: a network can fail once at any moment."""


class Quarantine:
    """Hold the messages that end connections. ``careful``: send one message at a time now."""

    def __init__(self) -> None:
        self.careful = False
        self._suspect: tuple[str, int] = ("", 0)  # topic, and how many connections ended at it
        self._sizes: dict[str, int] = {}

    def allows(self, message: Message) -> bool:
        """Return whether a message may be sent."""
        limit = self._sizes.get(message.topic)
        return limit is None or len(message.encoded()) < limit

    def ended_early(self, in_flight: Sequence[Message]) -> Message | None:
        """Note what was not acknowledged when a connection ended soon after it began.

        Returns the message that is left out from now on, None if there is no new one.
        """
        was_careful, self.careful = self.careful, bool(in_flight)
        if not was_careful or len(in_flight) != 1 or (size := len(in_flight[0].encoded())) < LARGE:
            return None
        topic = in_flight[0].topic
        count = self._suspect[1] + 1 if self._suspect[0] == topic else 1
        self._suspect = (topic, count)
        if count < ENDS:
            return None
        self._sizes[topic] = size
        self._suspect = ("", 0)
        return in_flight[0]

    def was_stable(self) -> None:
        """Note that a connection lasted. The next broker may have other limits, so all is tried again."""
        self.careful, self._suspect, self._sizes = False, ("", 0), {}
