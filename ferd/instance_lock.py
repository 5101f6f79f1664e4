"""Detect another ferd on this machine with the same identity: Home Assistant would merge the two into one device."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress

log = logging.getLogger(__name__)


class InstanceLock:
    """A name that only one process of this machine can hold, whatever its user; it ends with the process.

    The name is an abstract unix socket (unix(7)), so no file can be left behind.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._socket: socket.socket | None = None

    def take(self) -> bool:
        """Take the lock. When another process holds it, log a warning with the remedy and return False."""
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0ferd/{self._identity}")
        except OSError as error:
            lock.close()
            log.warning(
                'another ferd on this machine has the identity %s (%s) remedy="give one of them another [node] id and '
                'another name: Home Assistant merges the two into one device"',
                self._identity,
                error.strerror,
            )
            return False
        self._socket = lock
        return True

    def release(self) -> None:
        """Release the lock; does nothing where it is not held."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
