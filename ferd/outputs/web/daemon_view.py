"""Describe the daemon to the page, and hand the page's requests to the daemon. Used from the server's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ferd import __version__
from ferd.config import CameraConfig, Config, SmoothingConfig
from ferd.config.source import is_browser
from ferd.outputs.health import read_rss_mb, read_temperature_c, read_throttled
from ferd.policy.gesture_rules import THRESHOLDS, GestureName
from ferd.policy.sensitivity import factor, tuned
from ferd.policy.smoothing import SmoothingRules
from ferd.snapshot import LOOP_STALLED_S, CameraSnapshot, Command, Snapshot

NO_PROGRESS_S = 60.0
"""Without a frame or an attempt to open a camera for this long, /healthz reports a failure."""
RATE_WINDOW_S = 2.0
"""Frame rates are counted over at least this long."""


class BrokerState(Protocol):
    """The connection to the MQTT broker. ``reason``: why there is none; ``reconnects``: connections after the first.
    ``waiting``: events that it has not got yet."""

    @property
    def connected(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def reconnects(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class DaemonView:
    """Read the latest snapshot. All methods but `note_progress` are called from the server's thread; none waits.

    For the arguments see WebSink.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        submit: Callable[[Command], None],
        use: Callable[[Config], None],
        file: Callable[[], Path | None],
        broker: Callable[[], BrokerState],
    ) -> None:
        self._snapshot, self._submit, self._broker = snapshot, submit, broker
        self.use, self.file = use, file
        self._started = time.monotonic()
        self._progress, self._progress_at = -1, self._started
        self._rules: tuple[SmoothingConfig, SmoothingRules] | None = None
        self._rates: dict[str, tuple[float, int, float]] = {}

    @property
    def config(self) -> Config:
        return self._snapshot().config

    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self._snapshot().cameras)

    def browser_camera(self, camera: str) -> CameraConfig | None:
        """Configuration of a camera whose pictures come from a browser; None for any other, and for an unknown one."""
        known = self._snapshot().cameras.get(camera)
        return known.config if known is not None and is_browser(known.config.source) else None

    def takes_pictures(self) -> bool:
        """Whether the pictures of any camera come from a browser."""
        return any(is_browser(camera.config.source) for camera in self._snapshot().cameras.values())

    def enabled(self, camera: str) -> bool:
        """Whether a camera is switched on."""
        known = self._snapshot().cameras.get(camera)
        return known is not None and known.settings.enabled

    def rules(self, camera: str) -> SmoothingRules:
        """Smoothing rules in force for a camera, with its sensitivity."""
        snapshot = self._snapshot()
        config, known = snapshot.config.smoothing, snapshot.cameras.get(camera)
        if self._rules is None or self._rules[0] is not config:
            self._rules = config, SmoothingRules(**config.rules())
        rules = self._rules[1]
        return rules if known is None else tuned(rules, factor(known.settings.sensitivity))

    def sensitivity(self, camera: str) -> float:
        return self._snapshot().cameras[camera].settings.sensitivity

    def detector(self) -> str:
        """Name of the face detector."""
        return self._snapshot().model.detector

    def switch(self, camera: str, switch: str, value: bool | float) -> None:
        """Submit a command that sets a camera's switch."""
        self._submit(Command(switch, camera, value, source="page"))

    def tune_gestures(self, camera: str, thresholds: Mapping[GestureName, float]) -> None:
        """Submit a command that sets and stores a camera's thresholds of gestures."""
        self._submit(Command("gestures", camera, thresholds, source="page"))

    def state(self) -> dict[str, Any]:
        """Node, cameras, switches and broker, as JSON values."""
        snapshot, broker = self._snapshot(), self._broker()
        stalled = self.stalled(snapshot)
        return {
            "version": __version__,
            "node": snapshot.config.node.name,
            "up_s": round(time.monotonic() - self._started, 1),
            "labels": list(snapshot.model.labels),
            "model": snapshot.model.name,
            "detector": snapshot.model.detector,
            "cameras": [self._camera(camera, stalled) for camera in snapshot.cameras.values()],
            "broker": {
                "connected": broker.connected,
                "reason": broker.reason,
                "reconnects": broker.reconnects,
                "waiting": broker.waiting,
            },
            "fatigue": snapshot.config.fatigue.enabled,
            "gestures": list(snapshot.config.gestures.use) if snapshot.config.gestures.enabled else [],
            "thresholds": {name: [one.default, one.zero] for name, one in THRESHOLDS.items()},
        }

    def health(self) -> dict[str, Any]:
        """Figures of the process and the board, and the card of the model in use, as JSON values."""
        model = self._snapshot().model
        card = {key: value for key, value in model.card.items() if key not in ("sha256", "crop")}
        return {
            "rss_mb": read_rss_mb(),
            "temperature_c": read_temperature_c(),
            "throttled": read_throttled(),
            "runtime": model.runtime,
            "detector": model.detector,
            "models": [
                {"name": model.name, "labels": list(model.labels), "card": card, "as_made": model.trusted},
            ],
        }

    def timings(self) -> dict[str, Mapping[str, float]]:
        """Mean milliseconds of each step, by camera."""
        cameras = self._snapshot().cameras
        return {
            name: {step: round(ms, 3) for step, ms in camera.timings.items()}
            for name, camera in cameras.items()
            if camera.timings is not None
        }

    def note_progress(self, snapshot: Snapshot) -> None:
        """Remember when a camera last gave a frame or was opened. Called from the loop, once per snapshot."""
        progress = sum(camera.heartbeat for camera in snapshot.cameras.values())
        resting = all(camera.status == "disabled" for camera in snapshot.cameras.values())
        if progress != self._progress or resting:
            self._progress, self._progress_at = progress, snapshot.at

    def failure(self) -> str | None:
        """Why the daemon counts as failed: its loop stopped, or no camera makes progress. None while it is well."""
        if (stalled := self.stalled(self._snapshot())) is not None:
            return stalled
        idle_s = time.monotonic() - self._progress_at
        return f"no camera has given a frame for {idle_s:.0f} s" if idle_s >= NO_PROGRESS_S else None

    def stalled(self, snapshot: Snapshot) -> str | None:
        """What is wrong when the loop has made no snapshot for LOOP_STALLED_S; None while it runs."""
        age_s = time.monotonic() - snapshot.at
        return f"the main loop has not run for {age_s:.0f} s" if age_s > LOOP_STALLED_S else None

    def _camera(self, camera: CameraSnapshot, stalled: str | None) -> dict[str, Any]:
        counters, settings, status, error = camera.counters, camera.settings, camera.status, camera.error
        if stalled is not None and status in ("starting", "online"):
            status, error = "offline", stalled
        return {
            "name": camera.name,
            "status": status,
            "source": camera.source,
            "browser": is_browser(camera.config.source),
            "error": error if status == "offline" else None,
            "unjudged": None if camera.fatigue is None else "loop_stopped" if stalled else camera.fatigue.unjudged,
            "enabled": settings.enabled,
            "buzzer": settings.buzzer,
            "sensitivity": settings.sensitivity,
            "tuned_gestures": dict(settings.gestures),
            "fps": self._rate(camera.name, counters.frames),
            "frames": counters.frames,
            "skipped": counters.skipped,
            "reopened": counters.reopened,
            "rebuilt": counters.rebuilt,
            "restarts": counters.restarts,
            "reason": counters.reason,
            "latency_ms": None if counters.latency_s is None else round(counters.latency_s * 1000, 1),
        }

    def _rate(self, camera: str, frames: int) -> float:
        """Frames a second since the last call that is at least RATE_WINDOW_S ago."""
        now = time.monotonic()
        at, before, rate = self._rates.get(camera, (now, frames, 0.0))
        if now - at >= RATE_WINDOW_S or camera not in self._rates:
            rate = max(0, frames - before) / (now - at) if now > at else 0.0
            self._rates[camera] = now, frames, rate
        return round(rate, 1)
