"""Play on the pins what the scheduler chooses.

A call that changes something drives the pins at once, in the caller's thread: an edge does not wait for another
thread to be scheduled (5 ms and more in Python while frames are analysed). Changes that come with time alone, such as
the beats of a pattern, are made by one thread that sleeps until the next one. That thread also notices when the loop
stops calling `update`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ferd.config import BuzzerConfig
from ferd.errors import BuzzerError
from ferd.outputs.buzzer import pin_state
from ferd.outputs.buzzer.output import BuzzerOutput, open_output
from ferd.outputs.buzzer.scheduler import ActiveSound, Settings, SoundScheduler
from ferd.policy.sound_patterns import Output
from ferd.snapshot import LOOP_STALLED_S
from ferd.types import Alert

log = logging.getLogger(__name__)

STOP_S = 2.0
MAX_SNOOZE_S = 3600.0
"""The longest snooze; for a longer silence there is the buzzer switch."""

OpenOutput = Callable[[BuzzerConfig, Callable[[], None]], BuzzerOutput]


@dataclass(frozen=True, slots=True)
class CameraSound:
    """Describe what the buzzer has to know of a camera that is switched on.

    Attributes:
        alerts: those that hold now.
        watching: True while it delivers frames, False while it is lost, None before either is known.
        muted: nothing of this camera is heard, alarms neither.
        judged: closed eyes would be noticed; True where nobody watches for them.
    """

    alerts: tuple[Alert, ...] = ()
    watching: bool | None = None
    muted: bool = False
    judged: bool = True


class BuzzerPlayer:
    """The buzzer, its LEDs and its button.

    All methods may be called from any thread, before `start`, and without any pin configured. A pin that fails is
    logged once and ends the sounds, never the daemon.
    """

    def __init__(
        self,
        config: BuzzerConfig,
        *,
        open_output: OpenOutput = open_output,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._open_output, self._clock = config, open_output, clock
        self._scheduler = SoundScheduler(_settings(config))
        self._condition = threading.Condition()  # guards all below
        self._cameras: Mapping[str, CameraSound] = {}
        self._updated_at: float | None = None
        self._started = self._stopped = False
        self._shown = Output()
        self._output: BuzzerOutput | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the pins, if there are any. Errors are logged."""
        with self._condition:
            self._started = True
            self._open()

    def stop(self) -> None:
        """Silence everything at once and release the pins."""
        with self._condition:
            self._stopped = True
            self._close()
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def update(self, cameras: Mapping[str, CameraSound], *, reports_lost: bool) -> None:
        """Set the state of all cameras that are switched on, by name.

        Args:
            cameras: a camera that is missing here is switched off or was removed.
            reports_lost: a lost camera is heard.
        """

        def change(now: float) -> bool:
            scheduler, changed = self._scheduler, False
            for name in self._cameras.keys() - cameras.keys():
                changed |= scheduler.forget(name)
            for name, camera in cameras.items():
                changed |= scheduler.set_muted(name, camera.muted)
                changed |= scheduler.set_judged(name, camera.judged)
                changed |= scheduler.set_alerts(name, camera.alerts, now)
                changed |= scheduler.set_watching(name, camera.watching, now)
            changed |= scheduler.set_reports_lost(reports_lost)
            changed |= scheduler.set_stalled(False, now)
            self._cameras, self._updated_at = cameras, now
            return changed

        self._apply(change)

    def use(self, config: BuzzerConfig) -> None:
        """Take over another configuration. What holds goes on to sound; the pins are reopened only if they differ."""
        with self._condition:
            if config == self._config:
                return
            before, self._config = self._config, config
            self._scheduler.use(_settings(config), self._clock())
            if self._started and not self._stopped:
                if self._output is None or _wiring(config) != _wiring(before):
                    self._close()
                    self._open()
                self._advance()
            self._condition.notify_all()

    def snooze(self, seconds: float) -> float:
        """Silence the buzzer for so many seconds (0 ends it); return what was granted, at most MAX_SNOOZE_S.

        An alarm is heard all the same, unless the configuration says otherwise.
        """
        granted = min(max(0.0, seconds), MAX_SNOOZE_S)
        self._apply(lambda now: self._scheduler.snooze(now + granted))
        log.info("buzzer snoozed for_s=%g alarm_too=%s", granted, self._config.snooze_silences_alarm)
        return granted

    def audible(self, camera: str, alert: Alert) -> bool:
        """Whether this alert really sounds while it holds: pin, pattern, mute and snooze all allow it."""
        with self._condition:
            has_buzzer = self._output is not None and self._config.pin is not None
            return has_buzzer and self._scheduler.audible(camera, alert, self._clock())

    def advance(self) -> float | None:
        """Drive the pins as they are to be now; return the time at which that changes by itself (None: never)."""
        with self._condition:
            return self._advance()

    def _pressed(self) -> None:
        self.snooze(self._config.snooze_s)

    def _apply(self, change: Callable[[float], bool]) -> None:
        """Make a change; if it returns True, drive the pins and have the thread plan again."""
        with self._condition:
            if change(self._clock()) and self._output is not None:
                self._advance()
                self._condition.notify_all()

    def _open(self) -> None:
        if not self._config.pins:
            return
        try:
            self._output = self._open_output(self._config, self._pressed)
        except BuzzerError as error:
            log.error("buzzer failed error=%s", error)  # noqa: TRY400  # the message has the remedy, no traceback
            return
        pin_state.note(self._config.outputs)
        log.info("buzzer ready %s", " ".join(f"{key}={pin}" for key, pin in self._config.pins.items()))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="buzzer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        logged: ActiveSound | None = None
        stall_logged = False
        try:
            while True:
                with self._condition:
                    if self._stopped:
                        return
                    until = self._advance()
                    playing = self._scheduler.playing if self._output is not None else None
                    stalled = self._scheduler.stalled
                    if playing is logged and stalled == stall_logged:
                        self._condition.wait(None if until is None else max(0.0, until - self._clock()))
                        continue
                # Outside the lock: slow logging must not delay a pin.
                if stalled != stall_logged:
                    _log_stall(stalled)
                if playing is not logged:
                    _log(playing)
                logged, stall_logged = playing, stalled
        finally:
            with self._condition:
                self._close()

    def _advance(self) -> float | None:
        if self._output is None:
            return None
        now = self._clock()
        stalls_at = None if self._updated_at is None or not self._cameras else self._updated_at + LOOP_STALLED_S
        if stalls_at is not None and now >= stalls_at:
            self._scheduler.set_stalled(True, now)
            stalls_at = None
        output, until = self._scheduler.at(now)
        if output != self._shown:
            self._shown = output
            try:
                self._output.show(output)
            except BuzzerError as error:
                log.error("buzzer failed error=%s", error)  # noqa: TRY400  # the message has the remedy, no traceback
                self._close()
                return None
        return min((at for at in (until, stalls_at) if at is not None), default=None)

    def _close(self) -> None:
        output, self._output = self._output, None
        self._shown = Output()
        if output is None:
            return
        try:
            output.close()
        except BuzzerError as error:
            log.error("buzzer not silenced error=%s", error)  # noqa: TRY400
        else:
            pin_state.clear()


def _settings(config: BuzzerConfig) -> Settings:
    return Settings(config.playable, config.defaults, config.every_s, config.snooze_silences_alarm)


def _wiring(config: BuzzerConfig) -> tuple[object, ...]:
    """What an open output cannot change."""
    return config.pins, config.kind, config.active_high, config.tone_hz


def _log(sound: ActiveSound | None) -> None:
    if sound is None:
        log.info("buzzer silent")
    else:
        log.info(
            "buzzer plays=%s level=%s camera=%s alert=%s", sound.pattern.name, sound.kind, sound.camera, sound.name
        )


def _log_stall(stalled: bool) -> None:
    if stalled:
        log.error("the loop has stopped: no camera was read for %g s, no alert can be raised", LOOP_STALLED_S)
    else:
        log.info("the loop runs again")
