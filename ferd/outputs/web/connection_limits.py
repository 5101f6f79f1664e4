"""Limit the number of connections and the time that they may take.

uvicorn's own limit_concurrency counts idle connections and answers 503 to everybody once there are too many, and its
timeouts start with the first request. So each new connection is counted here, below the first request.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S = 30.0
"""A connection is closed when it has sent no request for this long, or has not taken the answer this long after it."""
CHECK_EVERY_S = 2.0
SLOW_AFTER_S = 1.0
"""A connection without a request, a request whose body is incomplete and an answer that is unread are slow after this
long. While there is no room for a new connection, slow ones are closed first: their clients could hold all of them."""

Address = tuple[object, object]
"""The (host, port) of the server's and of the client's end: what a connection and an ASGI scope have in common."""


class Connection:
    """One connection.

    ``since``: when it was made, or its last request began or ended. ``awaits_body``: the request's body is incomplete.
    """

    def __init__(self, transport: asyncio.Transport, now: float) -> None:
        self.transport, self.since = transport, now
        self.busy = self.websocket = self.served = self.awaits_body = False

    @property
    def host(self) -> object:
        client = self.transport.get_extra_info("peername")
        return client[0] if client else None

    def rank(self, now: float) -> int | None:
        """Return how soon it is closed to make room, the lowest first; None: it is kept."""
        if self.websocket:
            return None
        is_waiting = self.awaits_body or self.transport.get_write_buffer_size() > 0
        if self.busy and not is_waiting:
            return None
        is_slow = now - self.since >= SLOW_AFTER_S
        if self.busy:
            return 0 if is_slow else None
        return 2 if self.served else 0 if is_slow else 1

    def is_overdue(self, now: float) -> bool:
        return not self.websocket and now - self.since >= REQUEST_TIMEOUT_S


class ConnectionLimits:
    """Admit at most `max_connections`. A new connection replaces one that is idle or slow, if there is any.

    Of several, one of the client with the most connections is closed, and of those the oldest.
    """

    def __init__(self, max_connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max, self._clock = max_connections, clock
        self._connections: dict[Address, Connection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Count a new connection; close it and return False when all others are busy."""
        if len(self._connections) >= self._max:
            self.check()
        if len(self._connections) >= self._max and not self._make_room():
            transport.abort()
            return False
        self._connections[_address_of(transport)] = Connection(transport, self._clock())
        return True

    def find(self, server: object, client: object) -> Connection | None:
        return self._connections.get((server, client))

    def begin(self, connection: Connection, *, websocket: bool, awaits_body: bool = False) -> None:
        """Note that a request has reached the application."""
        connection.busy, connection.websocket, connection.since = True, websocket, self._clock()
        connection.awaits_body = awaits_body

    def end(self, connection: Connection) -> None:
        """Note that the application has answered."""
        connection.busy = connection.websocket = connection.awaits_body = False
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
            is_websocket = scope["type"] == "websocket"
            self.begin(connection, websocket=is_websocket, awaits_body=not is_websocket and _has_body(scope))

            async def watched() -> Message:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    connection.awaits_body = False
                return message

            try:
                await app(scope, watched, send)
            finally:
                self.end(connection)

        return observed

    def _make_room(self) -> bool:
        now = self._clock()
        held = Counter(connection.host for connection in self._connections.values())
        ranked = [(c.rank(now), -held[c.host], c.since, address) for address, c in self._connections.items()]
        closable = [entry for entry in ranked if entry[0] is not None]
        if not closable:
            return False
        self._close(min(closable, key=lambda entry: entry[:3])[3])
        return True

    def _close(self, address: Address) -> None:
        self._connections.pop(address).transport.abort()  # close() would wait until all is read


def _has_body(scope: Scope) -> bool:
    """Whether a body follows the headers (RFC 9112, section 6.3)."""
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _address_of(transport: asyncio.Transport) -> Address:
    server, client = (transport.get_extra_info(name) for name in ("sockname", "peername"))
    return (server and tuple(server[:2])), (client and tuple(client[:2]))
