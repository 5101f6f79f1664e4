"""A connection whose waits all end at one moment, however little arrives at a time.

A time limit of the system's sockets counts from the last byte, so a server that sends a byte now and then holds a
reader without end. Here the limit is a moment that everything expected has to meet: connecting, encryption, the head of
an answer, a picture. `interrupt` ends a wait from another thread.
"""

from __future__ import annotations

import contextlib
import errno
import io
import math
import socket
import ssl
import time

TOO_MUCH = "sends more before its answer than any camera does"


class TimedSocket:
    """A TCP connection, with or without TLS, for http.client.

    Its waits raise TimeoutError once the moment has passed, and OSError when it is interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._socket: socket.socket | None = None
        self._by = time.monotonic() + seconds
        self._bytes_left: float = math.inf
        self._interrupted = False

    def limit(self, seconds: float) -> None:
        """Let all further waits end in `seconds` from now."""
        self._by = time.monotonic() + seconds

    def limit_bytes(self, count: float) -> None:
        """Let `count` bytes be read until the next call."""
        self._bytes_left = count

    def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Connect to one of the host's addresses, and encrypt with `context`. Raises OSError."""
        # The resolver has limits of its own (resolv.conf(5)), which nobody can shorten from here.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _name, address) in enumerate(found):
            # An address that does not answer leaves time for the others.
            share_s = self._left() / (len(found) - number)
            self._socket = connecting = socket.socket(family, kind, protocol)
            try:
                self._check()
                connecting.settimeout(share_s)
                connecting.connect(address)
                break
            except OSError:
                self.shut()
                if number == len(found) - 1 or self._interrupted:
                    raise
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            # Without a handshake at once: this is the socket that `interrupt` has to know meanwhile.
            self._socket.settimeout(self._left())
            self._socket = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
            self._check()
            self._socket.do_handshake()

    def interrupt(self) -> None:
        """End a wait, and refuse each further one. May be called from any thread."""
        self._interrupted = True
        used = self._socket
        if used is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which takes the encryption off under the thread that reads.
                socket.socket.shutdown(used, socket.SHUT_RDWR)

    def shut(self) -> None:
        """Close the connection. Calling it twice does no harm."""
        used, self._socket = self._socket, None
        if used is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(used, socket.SHUT_RDWR)
            used.close()

    # ---- what http.client uses ----

    def sendall(self, data: bytes) -> None:
        used = self._ready()
        used.sendall(data)

    def recv_into(self, buffer: memoryview) -> int:
        used = self._ready()
        if self._bytes_left <= 0:
            raise OSError(errno.EMSGSIZE, TOO_MUCH)
        size = min(len(buffer), self._bytes_left)
        count = used.recv_into(buffer, int(size))
        self._bytes_left -= count
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Do nothing: http.client lets go of a connection whose answer is still to be read."""

    def _ready(self) -> socket.socket:
        used = self._socket
        if used is None:
            raise OSError("is closed")
        used.settimeout(self._left())
        self._check()
        return used

    def _left(self) -> float:
        left_s = self._by - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def _check(self) -> None:
        if self._interrupted:
            raise OSError("interrupted")


class _Reader(io.RawIOBase):
    """The bytes of a connection, unbuffered."""

    def __init__(self, connection: TimedSocket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._connection.recv_into(buffer)
