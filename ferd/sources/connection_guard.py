"""Watch a TCP connection that a library opened by itself: bound what it takes in, and end its waits.

FFmpeg makes RTSP connections of its own and holds all that a picture without an end, or a description without one,
brings. Linux counts the bytes of a connection (tcp(7), TCP_INFO), and shutting it down ends FFmpeg's wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios
import threading
from pathlib import Path

EVERY_S = 0.02
"""Between two looks: in this time 2.5 MB arrive over gigabit Ethernet, and 0.1 MB over the WLAN of a Pi."""
FIND_EVERY_S = 0.05
"""Between two looks for the connection: all sockets of the process are asked, also while a host does not answer."""
_BYTES_RECEIVED = 128
"""Offset of tcpi_bytes_received in struct tcp_info (linux/tcp.h since Linux 4.1), 64 bits."""
_claimed: set[str] = set()
_lock = threading.Lock()


class ConnectionGuard:
    """Watches the next connection from this process to a host, from `start` on. All methods are for any thread.

    Attributes:
        exceeded: whether it was shut down because of its bytes.
    """

    def __init__(self, host: str, port: int, most_bytes: int) -> None:
        """`most_bytes`: that may be taken between two packets."""
        self.exceeded = False
        self._host, self._port, self._most = host, port, most_bytes
        self._base = 0
        self._connection: socket.socket | None = None
        self._link = ""
        self._shut = False
        self._stop = threading.Event()
        self._before = {link for _fd, link in _sockets()}
        self._thread = threading.Thread(target=self._run, name="connection-guard", daemon=True)

    def start(self) -> None:
        """Begin to watch; call it just before the connection is made."""
        self._thread.start()

    def packet_arrived(self) -> None:
        """Count from here."""
        connection = self._connection
        if connection is not None:
            self._base = _taken(connection)

    def interrupt(self) -> None:
        """Shut the connection down, also one that is still to come."""
        self._shut = True
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop watching. The connection stays as it is. Calling it twice does no harm."""
        self._stop.set()
        self._thread.join()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        with _lock:
            _claimed.discard(self._link)

    def _run(self) -> None:
        addresses: set[str] = set()
        with contextlib.suppress(OSError):  # FFmpeg will say the same
            addresses = {str(found[4][0]) for found in socket.getaddrinfo(self._host, self._port)}
        while not self._stop.wait(FIND_EVERY_S if self._connection is None else EVERY_S):
            if self._connection is None:
                self._connection = self._find(addresses)
            elif not self._shut and _taken(self._connection) - self._base > self._most:
                self.exceeded = True
                self.interrupt()
            if self._shut:
                self.interrupt()

    def _find(self, addresses: set[str]) -> socket.socket | None:
        """Return a duplicate of the socket that leads to the host, is new, and is watched by nobody else."""
        places = {(address, self._port) for address in addresses}
        for descriptor, link in _sockets():
            if link in self._before:
                continue
            with contextlib.suppress(OSError), contextlib.ExitStack() as unless_found:
                found = unless_found.enter_context(_duplicate(descriptor))
                with _lock:
                    if link not in _claimed and found.getpeername()[:2] in places:
                        _claimed.add(link)
                        self._link = link
                        unless_found.pop_all()
                        return found
        return None


def _duplicate(descriptor: int) -> socket.socket:
    """Return a duplicate of a socket of any family. Raises OSError when the descriptor is none any more."""
    duplicate = os.dup(descriptor)
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise


def _sockets() -> list[tuple[int, str]]:
    """Return the sockets of this process: descriptor and name ("socket:[inode]")."""
    found = []
    with contextlib.suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                link = str(entry.readlink())
                if link.startswith("socket:"):
                    found.append((int(entry.name), link))
    return found


def _taken(connection: socket.socket) -> int:
    """Return how many bytes were taken from a connection. What arrived and was not read yet does not count."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        (waiting,) = struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))
        return int(struct.unpack_from("Q", info, _BYTES_RECEIVED)[0]) - int(waiting)
    except (OSError, struct.error):
        return 0
