"""What waits for the broker, in order, until it is acknowledged. Pure: no clock, no disk, no thread."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace

from ferd.outputs.mqtt.topics import Message, mark_late

LATE_AFTER_S = 2.0
"""A message that leaves later than this after it was put is marked late."""
LATE_A_SECOND = 100
"""So many late messages a second at most: a broker that comes back is not flooded by a whole fleet."""
EARLIER_RUN = float("-inf")
"""When a message was put that an earlier run left: it is late in any case."""


class Backlog:
    """Messages by number; a number rises with time and is never given twice. ``now`` is in monotonic seconds."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, tuple[Message, float]] = OrderedDict()  # the oldest first, with when it was put
        self._last = 0
        self._waiting: deque[int] = deque()  # not handed out on this connection; may name what is gone
        self._handed_out: dict[Message, list[int]] = {}
        self._second, self._late_in_it = float("-inf"), 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def newest_first(self) -> Iterator[int]:
        return reversed(self._entries)

    def message(self, number: int) -> Message:
        """As it was put."""
        return self._entries[number][0]

    def put(self, message: Message, now: float) -> None:
        self.restore(self._last + 1, message, now)

    def restore(self, number: int, message: Message, put_at: float = EARLIER_RUN) -> None:
        """Puts a message under the number that it had; numbers must rise."""
        self._last = number
        self._entries[number] = message, put_at
        self._waiting.append(number)

    def due(self, now: float, room: int) -> list[Message]:
        """What may go now, at most ``room`` of it, in the order in which it was put."""
        taken: list[Message] = []
        while len(taken) < room and (number := self._first()) is not None:
            message, put_at = self._entries[number]
            if now - put_at > LATE_AFTER_S:
                if not self._may_go_late(now):
                    break
                message = replace(mark_late(message), expires_s=None)
            self._waiting.popleft()
            self._handed_out.setdefault(message, []).append(number)
            taken.append(message)
        return taken

    def next_at(self) -> float | None:
        """When ``due`` will have something (monotonic seconds, possibly past), None while nothing waits."""
        if self._first() is None:
            return None
        return self._second + 1 if self._late_in_it >= LATE_A_SECOND else float("-inf")

    def acknowledge(self, message: Message) -> list[int]:
        """Forgets a message that ``due`` gave; returns its numbers, none for any other message."""
        numbers = self._handed_out.pop(message, [])
        return [number for number in numbers if self._entries.pop(number, None)]

    def drop_oldest(self) -> int:
        number, _ = self._entries.popitem(last=False)
        return number

    def rewind(self) -> None:
        """Makes all that was not acknowledged due once more, the oldest first. For a new connection."""
        self._handed_out.clear()
        self._waiting = deque(self._entries)

    def _first(self) -> int | None:
        while self._waiting and self._waiting[0] not in self._entries:
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def _may_go_late(self, now: float) -> bool:
        if now >= self._second + 1:
            self._second, self._late_in_it = now, 0
        self._late_in_it += 1
        return self._late_in_it <= LATE_A_SECOND
