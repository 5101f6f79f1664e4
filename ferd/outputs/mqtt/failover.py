"""Choose the broker for the next connection, out of several that serve the same clients. Pure: no clock, no network.

The first one is preferred. One that cannot be used is left at once for the next; only after all of them failed the
usual pauses apply. From another one ferd returns to the preferred one after a random time, so that a fleet does not
return in one moment.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Server = tuple[str, int]
"""Host and port."""

SWITCH_WAITS_S = 2.0
"""Longest pause before the next server is tried; the pause is random below it."""
BACK_AFTER_S = (300.0, 900.0)
"""After a time between these ferd looks at the preferred server again. Doubled each time when that did not last."""
LONGEST_BACK_S = 3600.0
MAX_REFERENCES = 3
"""References from server to server that are followed in a row: two could refer to each other."""


class Failover:
    """The servers in the order of preference, and which of them is used now."""

    def __init__(self, servers: Sequence[Server], chance: Callable[[], float] = random.random) -> None:
        self._servers, self._chance = tuple(servers), chance
        self._index = 0
        self._tried = 0
        self._referred: Server | None = None
        self._references = 0
        self._back_at: float | None = None
        self._back_factor = 1.0

    @property
    def current(self) -> Server:
        return self._referred or self._servers[self._index]

    @property
    def preferred(self) -> Server:
        return self._servers[0]

    def connected(self, now: float) -> None:
        """Note that the current server accepted us."""
        self._tried = self._references = 0
        self._back_at = None
        if self.current != self.preferred:
            low, high = BACK_AFTER_S
            wait_s = (low + (high - low) * self._chance()) * self._back_factor
            self._back_at = now + min(wait_s, LONGEST_BACK_S)

    def failed(self) -> bool:
        """Go on to the next server. Returns True when all were tried, so that the usual pause applies."""
        if self._referred is not None:
            self._referred = None
        else:
            self._index = (self._index + 1) % len(self._servers)
        self._tried += 1
        if self._tried < len(self._servers):
            return False
        self._tried = 0
        return True

    def refer(self, reference: str, default_port: int) -> bool:
        """Follow a server reference (MQTT 5, section 4.11). Returns False when it is unreadable or one too many."""
        server = read_reference(reference, default_port)
        if server is None or self._references >= MAX_REFERENCES:
            return False
        self._references += 1
        self._referred = server
        return True

    def switch_pause_s(self) -> float:
        return self._chance() * SWITCH_WAITS_S

    def back_due(self, now: float) -> bool:
        """Whether it is time to look at the preferred server."""
        return self._back_at is not None and now >= self._back_at

    def postpone(self, now: float) -> None:
        """The preferred server does not answer yet."""
        self.connected(now)

    def go_back(self) -> None:
        """Use the preferred server next. Until ``was_stable`` the next return takes longer."""
        self._index, self._referred, self._back_at = 0, None, None
        self._back_factor *= 2

    def was_stable(self) -> None:
        """Note that a connection lasted."""
        if self.current == self.preferred:
            self._back_factor = 1.0


def read_reference(text: str, default_port: int) -> Server | None:
    """Return the first server of a reference: names or addresses with or without a port, separated by blanks."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", first)
    if match is None or not 0 < (port := int(match[3] or default_port)) < 65536:
        return None
    return (match[1] or match[2], port)
