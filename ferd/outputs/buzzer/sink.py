"""Sound the alerts that hold: the sink that turns snapshots into calls of the player."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ferd.config import Config
from ferd.outputs.buzzer.output import open_output
from ferd.outputs.buzzer.player import BuzzerPlayer, CameraSound, OpenOutput
from ferd.policy.sound_patterns import SILENT
from ferd.snapshot import CameraEvent, CameraSnapshot, Sink, Snapshot, section_changed
from ferd.types import Alert

WATCHING = {"online": True, "offline": False}
"""By a camera's status, whether it delivers frames; unknown while it starts."""


class BuzzerSink(Sink):
    """Derive buzzer, LEDs and button from the snapshots. Without pins all methods do nothing.

    When no snapshot comes for LOOP_STALLED_S although a camera is switched on, the player's own thread turns the
    status LED off and, where somebody relies on the cameras, plays the pattern of a lost camera.
    """

    def __init__(
        self, config: Config, *, clock: Callable[[], float] = time.monotonic, open_output: OpenOutput = open_output
    ) -> None:
        self.player = BuzzerPlayer(config.buzzer, open_output=open_output, clock=clock)
        self._reports_lost = relies_on_cameras(config)

    def check(self, config: Config) -> None:
        """Accept every valid configuration: pins that fail are logged and leave the rest of the daemon running."""

    def start(self) -> None:
        """Open the pins."""
        self.player.start()

    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:  # noqa: ARG002
        if section_changed(before, after, "buzzer"):
            self.player.use(after.config.buzzer)
        if before is None or after.config is not before.config:
            self._reports_lost = relies_on_cameras(after.config)
        cameras = {name: _sound_of(camera) for name, camera in after.cameras.items() if is_on(camera)}
        self.player.update(cameras, reports_lost=self._reports_lost)

    def stop(self) -> None:
        """Silence everything at once and release the pins."""
        self.player.stop()

    def snooze(self, seconds: float) -> float:
        """Silence the buzzer for so many seconds (0 ends it); return what was granted."""
        return self.player.snooze(seconds)

    def audible(self, camera: str, alert: Alert) -> bool:
        """Whether this alert really sounds while it holds: pin, pattern, mute and snooze all allow it."""
        return self.player.audible(camera, alert)


def relies_on_cameras(config: Config) -> bool:
    """Whether a lost camera can hide an alert with a sound: fatigue is on, or an alert rule sounds."""
    return config.fatigue.enabled or any(rule.buzzer != SILENT for rule in config.alerts)


def is_on(camera: CameraSnapshot) -> bool:
    """Whether frames are expected from this camera."""
    return camera.settings.enabled and camera.status != "disabled"


def _sound_of(camera: CameraSnapshot) -> CameraSound:
    alerts = camera.reading.alerts if camera.reading is not None else ()
    judged = camera.fatigue is None or camera.fatigue.judged
    return CameraSound(tuple(alerts), WATCHING.get(camera.status), not camera.settings.buzzer, judged)
