"""Report the daemon's state to systemd: the documented datagram protocol of sd_notify(3), spoken directly.

Without NOTIFY_SOCKET (started by hand, another init) nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ferd.config import Config
from ferd.outputs.health import THERMAL, read_temperature_c
from ferd.snapshot import CameraEvent, CameraSnapshot, Sink, Snapshot

SEND_TIMEOUT_S = 0.5
STATUS_EVERY_S = 10.0

log = logging.getLogger(__name__)


class Systemd:
    """Send datagrams to the service manager. ``clock`` is in monotonic seconds."""

    def __init__(self, environ: Mapping[str, str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        environ = os.environ if environ is None else environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self._every_s = _watchdog_every_s(environ)
        self._fed_at = float("-inf")

    @property
    def present(self) -> bool:
        """Whether a service manager listens: it also starts ferd again when the process ends with EXIT_RESTART."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """Report that the daemon has started: with Type=notify, `systemctl start` returns now."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def progress(self) -> None:
        """Feed the watchdog, at most three times in its period. Call it when a frame was really analysed."""
        now = self._clock()
        if self._every_s is None or now - self._fed_at < self._every_s:
            return
        if self._send("WATCHDOG=1"):
            self._fed_at = now

    def _send(self, text: str) -> bool:
        if self._address is None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(SEND_TIMEOUT_S)  # a full queue must not stop the loop
            try:
                line.sendto(text.encode(), self._address)
            except OSError as error:
                log.debug("not sent message=%s reason=%s", text.partition("\n")[0], error)
                return False
        return True


class SystemdSink(Sink):
    """Report readiness, a status line every STATUS_EVERY_S, and real progress.

    Args:
        broker_connected: whether the MQTT connection stands now.
    """

    def __init__(
        self, broker_connected: Callable[[], bool], *, systemd: Systemd | None = None, thermal: Path = THERMAL
    ) -> None:
        self._broker_connected = broker_connected
        self._systemd = systemd or Systemd()
        self._thermal = thermal
        self._status_at: float | None = None
        self._frames: Mapping[str, int] = {}

    def check(self, config: Config) -> None:
        """Accept every configuration: none concerns systemd."""

    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:  # noqa: ARG002
        if has_progressed(before, after):
            self._systemd.progress()
        if not after.ready:
            return
        if self._status_at is None:
            status = self._status(after)
            self._systemd.ready(status)
            log.info("ready %s", status)
        elif after.at - self._status_at >= STATUS_EVERY_S:
            self._systemd.status(self._status(after))

    def stop(self) -> None:
        self._systemd.stopping()

    def _status(self, now: Snapshot) -> str:
        """Return the line; frame rates are counted from one line to the next, so the first has none."""
        passed = None if self._status_at is None else now.at - self._status_at
        parts = []
        for name, camera in now.cameras.items():
            parts.append(f"{name}={camera.status}")
            if camera.status == "online" and name in self._frames and passed:
                parts.append(f"fps={max(0, camera.counters.frames - self._frames[name]) / passed:.1f}")
        parts.append(f"broker={'connected' if self._broker_connected() else 'away'}")
        celsius = read_temperature_c(self._thermal)
        if celsius is not None:
            parts.append(f"temperature_c={celsius:.0f}")
        if now.throttled:
            parts.append("throttled=yes")
        self._status_at = now.at
        self._frames = {name: camera.counters.frames for name, camera in now.cameras.items()}
        return " ".join(parts)


def has_progressed(before: Snapshot | None, after: Snapshot) -> bool:
    """Whether a frame was analysed or a camera was opened again since `before`, or no camera is to be read at all."""
    if all(camera.status == "disabled" for camera in after.cameras.values()):
        return True
    earlier = before.cameras if before is not None else {}
    return any(_work(camera) > _work(earlier.get(name)) for name, camera in after.cameras.items())


def _work(camera: CameraSnapshot | None) -> int:
    return 0 if camera is None else camera.heartbeat


def _address(name: str) -> str | None:
    """Return the address of the socket: a path, or @name in the abstract name space. Others (vsock) are ignored."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_every_s(environ: Mapping[str, str]) -> float | None:
    """Return a third of the watchdog's period; None when systemd expects no sign of life from this process."""
    period, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not period.isdigit() or int(period) == 0 or pid not in (None, str(os.getpid())):
        return None
    return int(period) / 1e6 / 3


def _one_line(text: str) -> str:
    return " ".join(text.split())
