"""Run a small broker in this process (amqtt), to try ferd on a machine without a broker.

It listens on loopback only, accepts every client and stores nothing. It speaks MQTT 3.1.1 and never answers a version 5
connect (tested with amqtt 0.12); the publisher falls back by itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from typing import Any

from ferd.errors import FerdError
from ferd.extras import how_to_add

LOOPBACK = "127.0.0.1"
PORT = 1883
PORTS_TRIED = 100
START_WAITS_S = 10.0
LAST_WORDS_S = 0.3
"""A publisher gets its acknowledgement before the subscribers get the message: they get this time for it."""
SHUTDOWN_WAITS_S = 5.0
STOP_WAITS_S = 10.0

_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"  # 3.1.1, clean session, no client id
_DISCONNECT = b"\xe0\x00"
_CONNACK = 0x20


class EmbeddedBroker:
    """Run a broker on the first free port from ``port`` on; ``port`` is that port once it has started."""

    def __init__(self, port: int = PORT) -> None:
        self.host = LOOPBACK
        self.port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._up = threading.Event()
        self._error: Exception | None = None

    def start(self) -> None:
        """Return when clients can connect. Raises FerdError without amqtt, or when no port is free."""
        broker_class = _broker_class()
        self.port = _free_port(self.port)
        self._thread = threading.Thread(target=self._run, args=(broker_class,), name="broker", daemon=True)
        self._thread.start()
        if not self._up.wait(START_WAITS_S) or self._error is not None:
            reason = self._error or f"not up after {START_WAITS_S:.0f} s"
            raise FerdError(f"the embedded broker did not start on port {self.port}: {reason}")

    def stop(self) -> None:
        """Return when the port is free again."""
        if self._thread is None:
            return
        if self._thread.is_alive() and self._loop is not None and self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(STOP_WAITS_S)
        self._thread = None

    def _run(self, broker_class: Any) -> None:
        try:
            asyncio.run(self._serve(broker_class))
        except Exception as error:  # noqa: BLE001  # start() raises it
            self._error = error
        finally:
            self._up.set()

    async def _serve(self, broker_class: Any) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        broker = broker_class(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await broker.start()
        self._up.set()
        await self._end.wait()
        await asyncio.sleep(LAST_WORDS_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(broker.shutdown(), SHUTDOWN_WAITS_S)


def is_broker_there(host: str = LOOPBACK, port: int = PORT, timeout_s: float = 1.0) -> bool:
    """Whether something at that port answers an MQTT connect, also with a refusal."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as line:
            line.settimeout(timeout_s)
            line.sendall(_CONNECT)
            answer = line.recv(4)
            line.sendall(_DISCONNECT)
            return len(answer) > 0 and answer[0] == _CONNACK
    except OSError:
        return False


def _broker_class() -> Any:
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise FerdError(f"the embedded broker needs amqtt: {how_to_add('demo')}") from None
    # It logs every client that leaves, and a traceback for a connect that it rejects.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.WARNING)

    class ClosingBroker(Broker):  # type: ignore[misc]  # amqtt is not typed
        """Close every connection without an error.

        amqtt 0.12 leaves rejected connections open, and raises for clients that have left already.
        """

        async def stream_connected(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
        ) -> None:
            try:
                with suppress(OSError):
                    await super().stream_connected(reader, writer, listener_name)
            finally:
                writer.close()

    return ClosingBroker


def _free_port(first: int) -> int:
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise FerdError(f"no free port from {first} on for the embedded broker: set mqtt.port")
