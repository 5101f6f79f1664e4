"""What the page sees of the daemon, and what it may ask of it. Used from the page's thread; waits for nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ferd import __version__
from ferd.app import Application
from ferd.camera_worker import CameraWorker
from ferd.commands import CommandQueue
from ferd.config import Config
from ferd.config.models import SmoothingConfig
from ferd.outputs.health import read_rss_mb, read_temperature_c, read_throttled
from ferd.outputs.mqtt.requests import SWITCHES, IncomingMessage
from ferd.policy.sensitivity import factor, tuned
from ferd.policy.smoothing import SmoothingRules

STUCK_AFTER_S = 60.0
"""No sign of life of any camera for so long: /healthz says so."""
RATE_OVER_S = 2.0


class DaemonView:
    """``use`` hands another configuration to the daemon's loop; ``file``: where the configuration was read from."""

    def __init__(
        self, works: Application, inbox: CommandQueue, use: Callable[[Config], None], file: Callable[[], Path | None]
    ) -> None:
        self._works, self._inbox, self.use = works, inbox, use
        self.file = file
        self._started = time.monotonic()
        self._beats = (-1, self._started)
        self._rules: tuple[SmoothingConfig, SmoothingRules] | None = None
        self._rates: dict[str, tuple[float, int, float]] = {}

    @property
    def config(self) -> Config:
        return self._works.config

    @property
    def labels(self) -> tuple[str, ...]:
        return self._works.parts.classifier.labels

    def cameras(self) -> tuple[str, ...]:
        return tuple(self._works.lanes)

    def rules(self, camera: str) -> SmoothingRules:
        """Those that hold for the camera now, with its sensitivity."""
        lane = self._works.lanes.get(camera)
        config = self.config.smoothing
        if self._rules is None or self._rules[0] is not config:
            self._rules = config, SmoothingRules(**config.model_dump())
        rules = self._rules[1]
        return rules if lane is None else tuned(rules, factor(lane.switches.sensitivity))

    def sensitivity(self, camera: str) -> float:
        return self._works.lanes[camera].switches.sensitivity

    def state(self) -> dict[str, Any]:
        config, parts, mqtt = self.config, self._works.parts, self._works.publisher.status
        return {
            "version": __version__,
            "node": config.node.name,
            "up_s": round(time.monotonic() - self._started, 1),
            "labels": list(self.labels),
            "model": parts.classifier.bundle.name,
            "detector": parts.detector.name,
            "cameras": [self._camera(name, lane) for name, lane in self._works.lanes.items()],
            "broker": {"connected": mqtt.connected, "reason": mqtt.reason, "reconnects": mqtt.reconnects},
            "fatigue": config.fatigue.enabled,
        }

    def health(self) -> dict[str, Any]:
        """Figures of the process and the board, and the cards of the models in use."""
        parts = self._works.parts
        bundles = [parts.classifier.bundle]
        return {
            "rss_mb": read_rss_mb(),
            "temperature_c": read_temperature_c(),
            "throttled": read_throttled(),
            "runtime": parts.classifier.network.runtime,
            "detector": parts.detector.name,
            "models": [
                {"name": b.name, "labels": list(b.labels), "card": _without_digest(b.card), "as_made": b.checksum_ok}
                for b in bundles
            ],
        }

    def turn(self, camera: str, switch: str, value: object) -> None:
        """As a command over MQTT would, on the same way. Raises ValueError for what is no such switch or value."""
        form = SWITCHES[switch]
        if form.read is not None:
            form.read(value)
        topic = f"ferd/{self.config.node.name}/{camera}/{switch}/set"
        self._inbox.put(IncomingMessage(topic, str(value).encode()))

    def alive(self, now: float) -> bool:
        """False when no camera gave a sign of life for long, and one should."""
        lanes = list(self._works.lanes.values())
        beats = sum(lane.beats for lane in lanes)
        if beats != self._beats[0] or all(lane.resting for lane in lanes):
            self._beats = beats, now
        return now - self._beats[1] < STUCK_AFTER_S

    def _camera(self, name: str, lane: CameraWorker) -> dict[str, Any]:
        report, counters, switches = lane.keeper.report(), lane.counters(), lane.switches
        return {
            "name": name,
            "status": lane.status,
            "source": report.source,
            "error": report.last_error if lane.status == "offline" else None,
            "enabled": switches.enabled,
            "buzzer": switches.buzzer,
            "sensitivity": switches.sensitivity,
            "fps": self._rate(name, counters.frames),
            "frames": counters.frames,
            "skipped": counters.skipped,
            "reopened": counters.reopened,
            "rebuilt": counters.rebuilt,
            "restarts": counters.restarts,
            "reason": counters.reason,
            "latency_ms": None if counters.latency_s is None else round(counters.latency_s * 1000, 1),
        }

    def _rate(self, camera: str, frames: int) -> float:
        """Frames a second, counted over RATE_OVER_S or whatever passed since somebody asked."""
        now = time.monotonic()
        at, before, rate = self._rates.get(camera, (now, frames, 0.0))
        if now - at >= RATE_OVER_S or camera not in self._rates:
            rate = max(0, frames - before) / (now - at) if now > at else 0.0
            self._rates[camera] = now, frames, rate
        return round(rate, 1)


def _without_digest(card: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in card.items() if key not in ("sha256", "crop")}
