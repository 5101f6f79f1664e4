"""How the daemon is: counters of the cameras and a few facts about the process and the board."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferd.outputs.mqtt.message import Message
from ferd.outputs.mqtt.topics import health_message
from ferd.payloads import THROTTLINGS, CameraHealth, Health, Throttling
from ferd.snapshot import Counters

EVERY_S = 60.0
FIRST_AFTER_S = 5.0
"""Whoever has just started ferd does not want to wait a minute for the frame rate."""
STATM = Path("/proc/self/statm")
THERMAL = Path("/sys/class/thermal")
PLATFORM = Path("/sys/devices/platform")


def find_throttled(platform: Path = PLATFORM) -> Path:
    """The firmware's file; a Pi 5 writes the address of its peripherals into the names on the way."""
    usual = platform / "soc/soc:firmware/get_throttled"
    return next(iter(sorted(platform.glob("soc*/soc*:firmware/get_throttled"))), usual)


THROTTLED = find_throttled()
"""What `vcgencmd get_throttled` asks the firmware as well, but readable without its device (rpi-firmware driver)."""
CLOCK_JUMP_S = 5.0
"""A Pi has no battery clock: its time may jump after the start. Less than this is no jump."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters of all cameras at one moment (monotonic seconds)."""

    at: float
    cameras: Mapping[str, Counters]


class HealthReporter:
    """Says every EVERY_S how the daemon is. ``now`` is in monotonic seconds, ``wall`` in seconds since 1970."""

    def __init__(
        self,
        node: str,
        started: float,
        statm: Path = STATM,
        thermal: Path = THERMAL,
        *,
        throttled: Path = THROTTLED,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._node, self._started = node, started
        self._statm, self._thermal, self._throttled = statm, thermal, throttled
        self._wall, self._started_wall = wall, float("-inf")
        self._before = Sample(started, {})
        self._is_told = False

    def rename(self, node: str) -> None:
        """Under another name it is told as soon as after a start; what was counted goes on."""
        if node != self._node:
            self._node, self._is_told = node, False

    def tell(
        self, now: float, cameras: Mapping[str, Counters], mqtt_reconnects: int, *, slowed: bool = False
    ) -> Message | None:
        """The message when one is due, else None."""
        if now - self._before.at < (EVERY_S if self._is_told else FIRST_AFTER_S):
            return None
        started_wall = self._wall() - (now - self._started)
        if abs(started_wall - self._started_wall) > CLOCK_JUMP_S:  # else it would change with every report
            self._started_wall = started_wall
        sample = Sample(now, dict(cameras))
        health = build_health(
            self._started,
            self._before,
            sample,
            mqtt_reconnects=mqtt_reconnects,
            rss_mb=read_rss_mb(self._statm),
            temperature_c=read_temperature_c(self._thermal),
            throttled=read_throttled(self._throttled),
            started_wall=self._started_wall,
            slowed=slowed,
        )
        self._before, self._is_told = sample, True
        return health_message(self._node, health)


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
    """The payload; frames a second are counted between the two samples."""
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
    """Resident memory of this process in megabytes (10^6 bytes), None where /proc does not tell. See proc(5)."""
    try:
        pages = int(statm.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def read_temperature_c(thermal: Path = THERMAL) -> float | None:
    """The processor's temperature in degrees Celsius, None where there is no sensor (or it fails for now)."""
    try:
        zones = sorted(thermal.glob("thermal_zone*"), key=_is_not_cpu)
        return int((zones[0] / "temp").read_text()) / 1000
    except (OSError, ValueError, IndexError):
        return None


def read_throttled(throttled: Path = THROTTLED) -> list[Throttling] | None:
    """What slows a Raspberry Pi down at this moment (the bits 0 to 3), None on a machine that does not tell."""
    try:
        bits = int(throttled.read_text(), 16)
    except (OSError, ValueError):
        return None
    return [name for bit, name in enumerate(THROTTLINGS) if bits >> bit & 1]


def _is_not_cpu(zone: Path) -> tuple[bool, str]:
    """Sorts the processor's zone first: "cpu-thermal" on a Pi, "x86_pkg_temp" on a PC."""
    try:
        kind = (zone / "type").read_text()
    except OSError:
        kind = ""
    return not ("cpu" in kind or "x86_pkg" in kind), zone.name
