"""Notices another ferd on this machine that has the same identity: Home Assistant would take the two for one device."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress

log = logging.getLogger(__name__)


class InstanceLock:
    """Holds a name that only one process of this machine can have, whoever runs it; it ends with the process.

    The name is an abstract unix socket, see unix(7): there is no file that could be left behind.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._socket: socket.socket | None = None

    def take(self) -> bool:
        """False, and a warning with the remedy, when another process has it."""
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ferd/{self._identity}")
        except OSError as error:
            claim.close()
            log.warning(
                'another ferd on this machine has the identity %s (%s) remedy="give one of them another [node] id, and '
                'another name: Home Assistant takes the two for one device"',
                self._identity,
                error.strerror,
            )
            return False
        self._socket = claim
        return True

    def release(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
