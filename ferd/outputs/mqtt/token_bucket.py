"""How much one camera may say. Alerts, switches and a camera's status are never held back."""

from __future__ import annotations

import json
from dataclasses import replace

from ferd.outputs.mqtt.topics import EVENT, FATIGUE, STATE, Message, to_bytes

EVERY_S = 1.0
"""A retained value is told at most so often."""
A_MINUTE = 30
AT_ONCE = 10
"""So many of them may go without a pause. The rest of the minute's share is spread over the minute, so that the last
value never waits for longer than PAUSE_S."""
PAUSE_S = 60 / (A_MINUTE - AT_ONCE)

_LIMITED = (STATE, FATIGUE, EVENT)


def limited_camera(message: Message) -> str | None:
    """The camera whose budget pays for a message, None for what is not limited."""
    if message.urgent:
        return None
    for topic in _LIMITED:
        if names := topic.names_in(message.topic):
            return f"{names['node']}/{names['camera']}"
    return None


class TokenBucket:
    """Of one camera, all its limited messages together: a token bucket. ``now`` is in monotonic seconds.

    In any 60 s at most AT_ONCE + 60 / PAUSE_S = A_MINUTE go.
    """

    def __init__(self) -> None:
        self._full_at = float("-inf")  # when all of AT_ONCE may go at once again

    def free_at(self) -> float:
        """The earliest moment at which one more may go."""
        return self._full_at - (AT_ONCE - 1) * PAUSE_S

    def left(self, now: float) -> int:
        """How many may go at once now."""
        missing = max(0.0, self._full_at - now) / PAUSE_S
        return max(0, int(AT_ONCE - missing + 1e-9))

    def pay(self, now: float) -> None:
        self._full_at = max(self._full_at, now) + PAUSE_S


def merged(first: Message, then: Message) -> Message:
    """Two expression_changed in a row as one: from what was before the first to what is after the second."""
    before, after = json.loads(first.payload), json.loads(then.payload)
    return replace(then, payload=to_bytes(after | {"from": before["from"]}))


def is_nothing(message: Message) -> bool:
    """An expression_changed that came back to where it began: merged, and not worth telling."""
    if not is_change(message):
        return False
    event = json.loads(message.payload)
    return bool(event["from"] == event["to"])


def is_change(message: Message) -> bool:
    """An expression_changed: the only kind of event of which the latest says it all."""
    return b'"event_type":"expression_changed"' in message.payload
