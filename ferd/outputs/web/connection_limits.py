"""Limit the number of connections and the time that they may take.

uvicorn's own limit_concurrency counts idle connections and answers 503 to everybody once there are too many, and its
timeouts start with the first request. So each new connection is counted here, below the first request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S = 30.0
"""A connection is closed when it has sent no request for this long, or has not taken the answer this long after it."""
CHECK_EVERY_S = 2.0

Address = tuple[object, object]
"""The (host, port) of the server's and of the client's end: what a connection and an ASGI scope have in common."""


class Connection:
    """One connection. ``since``: when it was made, or its last request began or ended."""

    def __init__(self, transport: asyncio.Transport, now: float) -> None:
        self.transport, self.since = transport, now
        self.busy = self.websocket = self.served = False

    def is_overdue(self, now: float) -> bool:
        return not self.websocket and now - self.since >= REQUEST_TIMEOUT_S


class ConnectionLimits:
    """Admit at most `max_connections`. A new connection replaces the one that has been idle the longest, if any is."""

    def __init__(self, max_connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max, self._clock = max_connections, clock
        self._connections: dict[Address, Connection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count a new connection; close it and return False when all others are busy."""
        if len(self._connections) >= self._max:
            self.check()
        if len(self._connections) >= self._max and not self._close_idle():
            transport.abort()
            return False
        self._connections[_address_of(transport)] = Connection(transport, self._clock())
        return True

    def find(self, server: object, client: object) -> Connection | None:
        return self._connections.get((server, client))

    def begin(self, connection: Connection, *, websocket: bool) -> None:
        """Note that a request has reached the application."""
        connection.busy, connection.websocket, connection.since = True, websocket, self._clock()

    def end(self, connection: Connection) -> None:
        """Note that the application has answered."""
        connection.busy = connection.websocket = False
        connection.served, connection.since = True, self._clock()

    def check(self) -> None:
        """Forget connections that are closed, and close those that are overdue."""
        now = self._clock()
        for address, connection in list(self._connections.items()):
            if connection.transport.is_closing() and not connection.transport.get_write_buffer_size():
                del self._connections[address]
            elif connection.is_overdue(now):
                self._close(address)

    async def run(self) -> None:
        """Check every CHECK_EVERY_S until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.check()

    def http_protocol(self) -> type[H11Protocol]:
        """uvicorn's HTTP protocol, for its option ``http``, that reports new connections."""
        limits = self

        class LimitedHttp(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                limits.admit(transport)

        return LimitedHttp

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """ASGI middleware that reports when requests begin and end."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            connection = self.find(scope.get("server"), scope.get("client"))
            if connection is None:
                await app(scope, receive, send)
                return
            self.begin(connection, websocket=scope["type"] == "websocket")
            try:
                await app(scope, receive, send)
            finally:
                self.end(connection)

        return observed

    def _close_idle(self) -> bool:
        idle = [(c.served, c.since, address) for address, c in self._connections.items() if not c.busy]
        if not idle:
            return False
        self._close(min(idle, key=lambda entry: entry[:2])[2])
        return True

    def _close(self, address: Address) -> None:
        self._connections.pop(address).transport.abort()  # close() would wait until all is read


def _address_of(transport: asyncio.Transport) -> Address:
    server, client = (transport.get_extra_info(name) for name in ("sockname", "peername"))
    return (server and tuple(server[:2])), (client and tuple(client[:2]))
