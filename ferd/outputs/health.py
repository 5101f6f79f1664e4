"""Report how the daemon is: counters of the cameras, and facts about the process and the board."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferd.config import Config
from ferd.payloads import THROTTLINGS, CameraHealth, Health, Throttling
from ferd.snapshot import CameraEvent, Counters, Sink, Snapshot

EVERY_S = 60.0
FIRST_AFTER_S = 5.0
"""The first report comes early: somebody who has just started ferd wants to see the frame rate."""
STATM = Path("/proc/self/statm")
THERMAL = Path("/sys/class/thermal")
PLATFORM = Path("/sys/devices/platform")


def find_throttled(platform: Path = PLATFORM) -> Path:
    """Return the firmware's file; on a Pi 5 the folder names contain the address of its peripherals."""
    usual = platform / "soc/soc:firmware/get_throttled"
    return next(iter(sorted(platform.glob("soc*/soc*:firmware/get_throttled"))), usual)


THROTTLED = find_throttled()
"""The value of `vcgencmd get_throttled`, readable without access to its device (rpi-firmware driver)."""
CLOCK_JUMP_S = 5.0
"""A Pi has no battery clock, so its time may jump after the start. Smaller differences are ignored."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters of all cameras at one moment (monotonic seconds)."""

    at: float
    cameras: Mapping[str, Counters]


class HealthSink(Sink):
    """Publish the health of the daemon every EVERY_S, the first time FIRST_AFTER_S after the start or a rename.

    Args:
        publish: takes the payload over; returns at once.
        mqtt_reconnects: how often the connection to the broker was made again.
        started: monotonic seconds at which the daemon started; by default now.
    """

    def __init__(
        self,
        publish: Callable[[Health], None],
        mqtt_reconnects: Callable[[], int],
        *,
        started: float | None = None,
        statm: Path = STATM,
        thermal: Path = THERMAL,
        throttled: Path = THROTTLED,
    ) -> None:
        self._publish, self._mqtt_reconnects = publish, mqtt_reconnects
        self._started = time.monotonic() if started is None else started
        self._statm, self._thermal, self._throttled = statm, thermal, throttled
        self._started_wall = float("-inf")
        self._before = Sample(self._started, {})
        self._due = self._started + FIRST_AFTER_S

    def check(self, config: Config) -> None:
        """Accept every configuration."""

    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:  # noqa: ARG002
        if before is not None and before.config.node.name != after.config.node.name:
            self._due = min(self._due, after.at + FIRST_AFTER_S)
        if after.at < self._due:
            return
        self._due = after.at + EVERY_S
        started_wall = after.wall - (after.at - self._started)
        if abs(started_wall - self._started_wall) > CLOCK_JUMP_S:  # else it would change with every report
            self._started_wall = started_wall
        sample = Sample(after.at, {name: camera.counters for name, camera in after.cameras.items()})
        health = build_health(
            self._started,
            self._before,
            sample,
            mqtt_reconnects=self._mqtt_reconnects(),
            rss_mb=read_rss_mb(self._statm),
            temperature_c=read_temperature_c(self._thermal),
            throttled=read_throttled(self._throttled),
            started_wall=self._started_wall,
            slowed=after.throttled,
        )
        self._before = sample
        self._publish(health)

    def stop(self) -> None:
        """Do nothing: there is nothing to end."""


def build_health(
    started: float,
    before: Sample,
    now: Sample,
    *,
    mqtt_reconnects: int,
    rss_mb: float | None,
    temperature_c: float | None,
    throttled: Sequence[Throttling] | None,
    started_wall: float,
    slowed: bool = False,
) -> Health:
    """Return the payload; frames per second are counted between the two samples."""
    passed = now.at - before.at
    cameras = {
        name: _camera_health(counters, before.cameras.get(name, Counters()), passed)
        for name, counters in now.cameras.items()
    }
    return Health(now.at - started, rss_mb, temperature_c, mqtt_reconnects, cameras, throttled, started_wall, slowed)


def _camera_health(now: Counters, before: Counters, passed: float) -> CameraHealth:
    fps = max(0, now.frames - before.frames) / passed if passed > 0 else 0.0
    latency_ms = None if now.latency_s is None else now.latency_s * 1000
    return CameraHealth(fps, now.frames, now.skipped, now.reopened, latency_ms, now.rebuilt, now.restarts, now.reason)


def read_rss_mb(statm: Path = STATM) -> float | None:
    """Return the resident memory of this process in megabytes (10^6 bytes), None without /proc. See proc(5)."""
    try:
        pages = int(statm.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def read_temperature_c(thermal: Path = THERMAL) -> float | None:
    """Return the processor's temperature in degrees Celsius, None without a sensor (or while it fails)."""
    try:
        zones = sorted(thermal.glob("thermal_zone*"), key=_is_not_cpu)
        return int((zones[0] / "temp").read_text()) / 1000
    except (OSError, ValueError, IndexError):
        return None


def read_throttled(throttled: Path = THROTTLED) -> list[Throttling] | None:
    """Return what throttles a Raspberry Pi at this moment (the bits 0 to 3), None on other machines."""
    try:
        bits = int(throttled.read_text(), 16)
    except (OSError, ValueError):
        return None
    return [name for bit, name in enumerate(THROTTLINGS) if bits >> bit & 1]


def _is_not_cpu(zone: Path) -> tuple[bool, str]:
    """Sort the processor's zone first: "cpu-thermal" on a Pi, "x86_pkg_temp" on a PC."""
    try:
        kind = (zone / "type").read_text()
    except OSError:
        kind = ""
    return not ("cpu" in kind or "x86_pkg" in kind), zone.name
