"""Plays on the pins what the mixer decides.

Whoever tells of a change drives the pins at once, in their own thread: an edge does not wait for another thread to
get its turn (5 ms and more in Python while the pictures are worked on). What changes by itself, the beats of a
pattern, is the work of one thread that sleeps until then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from ferd.config import BuzzerConfig, Config
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import pin_state as claims
from ferd.outputs.buzzer.output import BuzzerOutput, open_output
from ferd.outputs.buzzer.patterns import SILENT, Output
from ferd.outputs.buzzer.scheduler import ActiveSound, Settings, SoundScheduler
from ferd.types import Alert

log = logging.getLogger(__name__)

STOP_S = 2.0
MAX_SNOOZE_S = 3600.0
"""Longer silence is what the switch is for."""

OpenPanel = Callable[[BuzzerConfig, Callable[[], None]], BuzzerOutput]


def make_player(config: Config) -> BuzzerPlayer:
    """The buzzer of this configuration; without pins one whose calls do nothing."""
    return BuzzerPlayer(config.buzzer, tells_blind=relies_on_cameras(config))


def relies_on_cameras(config: Config) -> bool:
    """Whether somebody would miss a sound while a camera is lost: fatigue is watched, or an alert sounds."""
    return config.fatigue.enabled or any(rule.buzzer != SILENT for rule in config.alerts)


class BuzzerPlayer:
    """The daemon's buzzer. All methods may be called from any thread, before `start` and without any pin configured.

    A pin that fails is told once and ends the sounds, never the daemon. ``tells_blind``: whether a lost camera is
    told by a sound.
    """

    def __init__(
        self,
        config: BuzzerConfig,
        *,
        tells_blind: bool,
        open_panel: OpenPanel = open_output,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._open_panel, self._clock = config, open_panel, clock
        self._mixer = SoundScheduler(
            Settings(config.playable, config.defaults, config.every_s, config.snooze_silences_alarm)
        )
        self._mixer.tell_blind(tells_blind)
        self._condition = threading.Condition()  # guards all below
        self._shown = Output()
        self._panel: BuzzerOutput | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Opens the pins, if there are any. What goes wrong is logged."""
        if not self._config.pins:
            return
        try:
            self._panel = self._open_panel(self._config, self._pressed)
        except BuzzerError as error:
            log.error("buzzer failed error=%s", error)  # noqa: TRY400  # the remedy is told, a traceback helps nobody
            return
        claims.note(self._config.outputs)
        log.info("buzzer ready %s", " ".join(f"{key}={pin}" for key, pin in self._config.pins.items()))
        self._thread = threading.Thread(target=self._run, name="buzzer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Silence, at once; the pins are given back."""
        with self._condition:
            self._close()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def show(self, camera: str, alerts: Iterable[Alert]) -> None:
        """These alerts hold now on this camera, and no others."""
        self._tell(lambda: self._mixer.show(camera, alerts, self._clock()))

    def blind(self, camera: str, blind: bool) -> None:
        """The camera is lost, or (False) is watching."""
        self._tell(lambda: self._mixer.blind(camera, blind, self._clock()))

    def tell_blind(self, wanted: bool) -> None:
        """Whether a lost camera is to be heard: for a configuration that changes around the buzzer."""
        self._tell(lambda: self._mixer.tell_blind(wanted))

    def mute(self, camera: str, muted: bool) -> None:
        """Nothing of this camera is heard, alarms neither."""
        self._tell(lambda: self._mixer.mute(camera, muted))

    def forget(self, camera: str) -> None:
        """The camera was switched off on purpose: it neither watches nor is blind, and nothing of it holds."""
        self._tell(lambda: self._mixer.forget(camera))

    def snooze(self, seconds: float) -> float:
        """Silence for so long (0 ends it); gives what was granted, MAX_SNOOZE_S at most.

        An alarm is heard all the same, unless the configuration says otherwise.
        """
        granted = min(max(0.0, seconds), MAX_SNOOZE_S)
        self._tell(lambda: self._mixer.snooze(self._clock() + granted))
        log.info("buzzer snoozed for_s=%g alarm_too=%s", granted, self._config.snooze_silences_alarm)
        return granted

    def audible(self, camera: str, alert: Alert) -> bool:
        """Whether this alert really sounds while it holds: pin, pattern, mute and snooze all let it."""
        with self._condition:
            has_buzzer = self._panel is not None and self._config.pin is not None
            return has_buzzer and self._mixer.audible(camera, alert, self._clock())

    def _pressed(self) -> None:
        self.snooze(self._config.snooze_s)

    def _tell(self, change: Callable[[], bool]) -> None:
        """Plays on, and has the thread plan anew, when `change` says that there is something to do."""
        with self._condition:
            if change() and self._panel is not None:
                self._advance()
                self._condition.notify_all()

    def _run(self) -> None:
        told: ActiveSound | None = None
        try:
            while True:
                with self._condition:
                    if self._panel is None:
                        return
                    until = self._advance()
                    playing = self._mixer.playing
                    if playing is told:
                        self._condition.wait(None if until is None else max(0.0, until - self._clock()))
                        continue
                _log(playing)  # outside: a log that is slow must hold nobody up
                told = playing
        finally:
            with self._condition:
                self._close()

    def _advance(self) -> float | None:
        """Makes the pins as they are to be now; gives the time at which that changes by itself."""
        output, until = self._mixer.at(self._clock())
        if self._panel is not None and output != self._shown:
            self._shown = output
            try:
                self._panel.show(output)
            except BuzzerError as error:
                log.error("buzzer failed error=%s", error)  # noqa: TRY400  # the remedy is told, no traceback
                self._close()
        return until

    def _close(self) -> None:
        panel, self._panel = self._panel, None
        if panel is None:
            return
        try:
            panel.close()
        except BuzzerError as error:
            log.error("buzzer not silenced error=%s", error)  # noqa: TRY400
        else:
            claims.clear()


def _log(voice: ActiveSound | None) -> None:
    if voice is None:
        log.info("buzzer silent")
    else:
        log.info(
            "buzzer plays=%s level=%s camera=%s alert=%s", voice.pattern.name, voice.kind, voice.camera, voice.name
        )
