"""Tells systemd how the daemon is: the documented datagram protocol of sd_notify(3), spoken directly.

Without NOTIFY_SOCKET (started by hand, another init) everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

SEND_WAITS_S = 0.5

log = logging.getLogger("ferd.outputs.systemd")


class Systemd:
    """The line to the service manager. ``clock`` is in monotonic seconds."""

    def __init__(self, environ: Mapping[str, str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._every_s = _watchdog_every_s(environ)
        self._fed_at = float("-inf")

    def ready(self, status: str) -> None:
        """The daemon is up: with Type=notify, `systemctl start` returns now."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def progress(self) -> None:
        """Feeds the watchdog, at most three times in its period. To be called when a frame was really analysed."""
        now = self._clock()
        if self._every_s is None or now - self._fed_at < self._every_s:
            return
        if self._send("WATCHDOG=1"):
            self._fed_at = now

    def _send(self, text: str) -> bool:
        if self._address is None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(SEND_WAITS_S)  # a full queue must not stop the inference loop
            try:
                line.sendto(text.encode(), self._address)
            except OSError as error:
                log.debug("not told message=%s reason=%s", text.partition("\n")[0], error)
                return False
        return True


def _address(name: str) -> str | None:
    """The address of the socket: a path, or @name in the abstract name space. Others (vsock) are not for us."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_every_s(environ: Mapping[str, str]) -> float | None:
    """A third of the watchdog's period; None when systemd expects no sign of life from this process."""
    period, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not period.isdigit() or int(period) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(period) / 1e6 / 3


def _one_line(text: str) -> str:
    return " ".join(text.split())
