"""Who may stay connected: bounds on connections and on time, below anything that a request could say.

uvicorn bounds requests, not connections that never ask or never read; these are cut off here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Request

from ferd.outputs.web.websocket import EXTENSION, WebSocketLine

ANSWERED_WITHIN_S = 30.0
"""A connection without an answered request for so long is cut: it is idle, or asks, sends or reads too slowly."""
READS_WITHIN_S = 15.0
"""A connection that leaves something unread for so long is cut."""
SWEEP_S = 2.0


class Guest:
    """One connection. ``since``: when it came, or was answered last. ``unread_since``: None while it reads."""

    def __init__(self, transport: asyncio.Transport, now: float) -> None:
        self.transport = transport
        self.since = now
        self.answered = 0
        self.asking = False
        self.is_socket = False
        self.unread_since: float | None = None

    def overdue(self, now: float) -> bool:
        if not self.transport.get_write_buffer_size():
            self.unread_since = None
        elif self.unread_since is None:
            self.unread_since = now
        if self.unread_since is not None and now - self.unread_since >= READS_WITHIN_S:
            return True
        return not self.is_socket and now - self.since >= ANSWERED_WITHIN_S


class ConnectionLimits:
    """Lets `most` connections in. A newcomer takes the place of whoever is idle the longest, if anybody is."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._guests: dict[asyncio.Transport, Guest] = {}
        self.cut = 0

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, transport: asyncio.Transport) -> bool:
        """False when there is no room: the connection was cut."""
        if len(self._guests) >= self._most and not self._make_room():
            self._cut(transport)
            return False
        self._guests[transport] = Guest(transport, self._clock())
        return True

    def leave(self, transport: asyncio.Transport) -> None:
        self._guests.pop(transport, None)

    def guest(self, transport: asyncio.Transport) -> Guest | None:
        return self._guests.get(transport)

    def answered(self, transport: asyncio.Transport) -> None:
        if guest := self._guests.get(transport):
            guest.since, guest.asking = self._clock(), False
            guest.answered += 1

    def sweep(self) -> None:
        now = self._clock()
        for guest in [guest for guest in self._guests.values() if guest.overdue(now)]:
            self._cut(guest.transport)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def _make_room(self) -> bool:
        idle = [guest for guest in self._guests.values() if not guest.is_socket and not guest.asking]
        if not idle:
            return False
        self._cut(min(idle, key=lambda guest: (guest.answered > 0, guest.since)).transport)
        return True

    def _cut(self, transport: asyncio.Transport) -> None:
        self.cut += 1
        self.leave(transport)
        transport.abort()  # close() would wait until all is read


def protocols(door: ConnectionLimits) -> tuple[type[H11Protocol], type[WSProtocol]]:
    """uvicorn's two protocols, with the doorkeeper told of what happens."""

    class Http(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.welcome = door.enter(transport)
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if not self.welcome:
                return
            if guest := door.guest(self.transport):
                guest.asking = True
            super().data_received(data)

        def on_response_complete(self) -> None:
            door.answered(self.transport)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            door.leave(self.transport)
            super().connection_lost(exc)

    class Socket(WSProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if guest := door.guest(transport):
                guest.is_socket = True
            self.line = WebSocketLine(transport)
            super().connection_made(transport)

        def handle_connect(self, event: Request) -> None:
            super().handle_connect(event)  # the application begins only after this
            self.scope["extensions"][EXTENSION] = self.line  # type: ignore[assignment]

        def data_received(self, data: bytes) -> None:
            if rest := self.line.rest(data):
                super().data_received(rest)

        def connection_lost(self, exc: Exception | None) -> None:
            door.leave(self.transport)
            super().connection_lost(exc)

    return Http, Socket
