"""The line for `systemctl status`: each camera with its rate, the broker, the board's temperature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ferd.outputs.health import THERMAL, read_temperature_c
from ferd.snapshot import Counters


class Telling(Protocol):
    """What is asked of a lane."""

    @property
    def status(self) -> str: ...
    def counters(self) -> Counters: ...


class StatusLine:
    """Rates are counted from one line to the next; the first has none. `now` is in monotonic seconds."""

    def __init__(self, thermal: Path = THERMAL) -> None:
        self._thermal = thermal
        self._at = 0.0
        self._frames: Mapping[str, int] = {}

    def __call__(self, cameras: Mapping[str, Telling], *, connected: bool, slowed: bool, now: float) -> str:
        frames = {name: camera.counters().frames for name, camera in cameras.items()}
        passed, before = now - self._at, self._frames
        self._at, self._frames = now, frames
        parts = []
        for name, camera in cameras.items():
            parts.append(f"{name}={camera.status}")
            if camera.status == "online" and name in before and passed > 0:
                parts.append(f"fps={max(0, frames[name] - before[name]) / passed:.1f}")
        parts.append(f"broker={'connected' if connected else 'away'}")
        celsius = read_temperature_c(self._thermal)
        if celsius is not None:
            parts.append(f"temperature_c={celsius:.0f}")
        if slowed:
            parts.append("slowed=board")
        return " ".join(parts)
