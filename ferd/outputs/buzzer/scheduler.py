"""Choose the one sound and the LED states for many cameras and many alerts. Pure: every call is given the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ferd.policy.sound_patterns import KINDS, SILENT, Beat, Kind, Moment, Output, Pattern
from ferd.types import LEVELS, LEVELS_OWN, Alert, Level

LOST_GAP_S = 10.0
"""Minimum interval between two reports of a lost camera, for a camera that comes and goes."""

# Seconds that the alert LED is on and off. At most 2.5 flashes a second: WCAG 2.2 (success criterion 2.3.1) allows
# three, to protect people with photosensitive epilepsy.
LED: Mapping[Level, Pattern] = {
    "notice": Pattern("steady", (Beat(1.0, 0.0),)),
    "warning": Pattern("blinks", (Beat(0.5, 0.5),)),
    "alarm": Pattern("flashes", (Beat(0.2, 0.2),)),
}
UNJUDGED = Pattern("winks", (Beat(0.1, 1.9),))
"""The status LED while every camera works, but of one of them nobody can judge whether the driver sleeps."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the values of [buzzer] that decide what is played.

    Attributes:
        patterns: all patterns by name.
        defaults: by kind, the name of the pattern that it plays.
        every_s: by kind, the period of its repetition in seconds, at least the pattern's length. A kind that is
            missing here is played once.
        snooze_silences_alarm: a snooze silences the kind "alarm" too.
    """

    patterns: Mapping[str, Pattern]
    defaults: Mapping[Kind, str]
    every_s: Mapping[Kind, float] = field(default_factory=lambda: {"alarm": 0.0, "warning": 10.0, "blind": 60.0})
    snooze_silences_alarm: bool = False


@dataclass(slots=True)
class ActiveSound:
    """A reason to sound.

    Attributes:
        begins: the time from which on it may be played.
        repeats_s: period of its repetition, None when it is played once.
        over: it was played to its end, or would have been but for a mute or a snooze.
    """

    kind: Kind
    camera: str
    name: str
    pattern: Pattern
    begins: float
    repeats_s: float | None
    over: bool = False

    @property
    def rank(self) -> int:
        return KINDS.index(self.kind)


ACUTE = "eyes_closed"
"""A change to this reason restarts the sound although the level stays: a second microsleep must be heard while
PERCLOS is still high."""


def _is_new(alert: Alert, before: Alert | None) -> bool:
    if before is None or (alert.level, alert.pattern, alert.repeat_s) != (
        before.level,
        before.pattern,
        before.repeat_s,
    ):
        return True
    return alert.reason == ACUTE != before.reason


@dataclass(slots=True)
class _Camera:
    """Hold the state of one camera. ``watching``: None before it delivered a frame or failed."""

    watching: bool | None = None
    judged: bool = True
    muted: bool = False
    alerts: dict[str, Alert] = field(default_factory=dict)
    sounds: dict[str, ActiveSound] = field(default_factory=dict)


_LOST = ""
"""The name of the sound for a lost camera and of the one for a stalled loop: no alert has an empty name."""


class SoundScheduler:
    """Choose one sound: the most urgent kind over all cameras, and within a kind the one that began first.

    A notice is played once unless it asks to be repeated, every other kind is repeated while it holds. ``now`` is in
    seconds of one clock that never goes back. The setters return True when they changed something.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reports_lost = True
        self._stall: ActiveSound | None = None
        self._stalled = False
        self._cameras: dict[str, _Camera] = {}
        self._snoozed_until = float("-inf")
        self._playing: ActiveSound | None = None
        self._started = 0.0
        self._lost_at = float("-inf")
        self._level: Level = "none"
        self._level_since = 0.0

    @property
    def playing(self) -> ActiveSound | None:
        """The sound that the latest call of `at` chose."""
        return self._playing

    @property
    def stalled(self) -> bool:
        """What `set_stalled` was given last."""
        return self._stalled

    def use(self, settings: Settings, now: float) -> None:
        """Take over other patterns. What holds goes on: sounds whose pattern stays the same do not start again."""
        self._settings = settings
        for name, camera in self._cameras.items():
            before, camera.sounds = camera.sounds, {}
            sounds = [self._alert_sound(name, alert, now) for alert in camera.alerts.values()]
            if camera.watching is False:
                sounds.append(self._sound_of("blind", name, _LOST, LEVELS_OWN, now))
            camera.sounds = {sound.name: _continued(before.get(sound.name), sound) for sound in sounds if sound}
        if self._stalled:
            stall = self._sound_of("blind", "", _LOST, LEVELS_OWN, now)
            self._stall = stall and _continued(self._stall, stall)

    def set_alerts(self, camera: str, alerts: Iterable[Alert], now: float) -> bool:
        """Set the alerts that hold on this camera, in place of all before."""
        one = self._camera(camera)
        holding = {alert.name: alert for alert in alerts if alert.level != "none"}
        ended = one.alerts.keys() - holding.keys()
        for name in ended:
            one.sounds.pop(name, None)
        new = [alert for name, alert in holding.items() if _is_new(alert, one.alerts.get(name))]
        for alert in new:
            self._renew(one, camera, alert, now)
        one.alerts = holding
        return bool(ended or new)

    def set_watching(self, camera: str, watching: bool | None, now: float) -> bool:
        """Set whether the camera delivers frames; None while that is not known."""
        one = self._camera(camera)
        if one.watching is watching:
            return False
        one.watching = watching
        one.sounds.pop(_LOST, None)
        lost = self._lost_sound(camera, now) if watching is False else None
        if lost is not None:
            one.sounds[_LOST] = lost
        return True

    def set_judged(self, camera: str, judged: bool) -> bool:
        """Set whether closed eyes would be noticed; True where nobody asked for that."""
        one = self._camera(camera)
        changed, one.judged = one.judged != judged, judged
        return changed

    def set_muted(self, camera: str, muted: bool) -> bool:
        """Silence everything of this camera, alarms too: its buzzer switch is off."""
        one = self._camera(camera)
        changed, one.muted = one.muted != muted, muted
        return changed

    def set_reports_lost(self, wanted: bool) -> bool:
        """Set whether a lost camera and a stalled loop are heard."""
        changed, self._reports_lost = self._reports_lost != wanted, wanted
        return changed

    def set_stalled(self, stalled: bool, now: float) -> bool:
        """Set whether the loop that reads the cameras has stopped.

        While it has, no camera counts as watching and the pattern of a lost camera is played in place of notices and
        warnings. An alarm goes on: nothing has shown that the driver is awake.
        """
        if stalled == self._stalled:
            return False
        self._stalled = stalled
        self._stall = self._lost_sound("", now) if stalled else None
        return True

    def forget(self, camera: str) -> bool:
        """Reset a camera that was switched off or removed: it is neither watching nor lost, and no alert holds."""
        before = self._camera(camera)
        self._cameras[camera] = _Camera(muted=before.muted)
        return before != self._cameras[camera]

    def snooze(self, until: float) -> bool:
        """Silence everything until then, but for an alarm unless configured otherwise."""
        self._snoozed_until = until
        return True

    def audible(self, camera: str, alert: Alert, now: float) -> bool:
        """Whether this alert is heard while it holds."""
        if alert.level == "none" or self._pattern(alert.level, alert.pattern) is None:
            return False
        muted = camera in self._cameras and self._cameras[camera].muted
        return not muted and not self._snoozed(alert.level, now)

    def at(self, now: float) -> tuple[Output, float | None]:
        """Return what is to be heard and seen, and the time at which that changes by itself (None: never)."""
        self._end(now)
        self._choose(now)
        sound, led = self._sound(now), self._alert_led(now)
        watching = [camera.watching for camera in self._cameras.values() if camera.watching is not None]
        changes = [now + moment.left_s for moment in (sound, led) if moment.left_s is not None]
        changes += [waiting.begins for waiting in self._sounds() if waiting.begins > now]
        if self._snoozed_until > now:
            changes.append(self._snoozed_until)
        status_led = bool(watching) and all(watching) and not self._stalled
        if status_led and not all(camera.judged for camera in self._cameras.values()):
            wink = UNJUDGED.at(now, 0.0)
            status_led = wink.on
            changes.append(now + (wink.left_s or 0.0))
        return Output(sound.on, sound.tone, status_led, led.on), min(changes, default=None)

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera())

    def _sounds(self) -> Iterator[ActiveSound]:
        for camera in self._cameras.values():
            yield from camera.sounds.values()
        if self._stall is not None:
            yield self._stall

    def _pattern(self, kind: Kind, name: str | None) -> Pattern | None:
        """Return the pattern, None for silence. An unknown name plays the kind's default: a typo must be heard."""
        if name is None or name == SILENT:
            return None
        usual = self._settings.defaults[kind]
        if name not in self._settings.patterns and usual != SILENT:
            name = usual
        return self._settings.patterns.get(name)

    def _renew(self, one: _Camera, camera: str, alert: Alert, now: float) -> None:
        """Give an alert that began or changed its sound."""
        before = one.alerts.get(alert.name)
        one.sounds.pop(alert.name, None)
        sound = self._alert_sound(camera, alert, now)
        if sound is None:
            return
        one.sounds[alert.name] = sound
        if before is not None and LEVELS.index(alert.level) < LEVELS.index(before.level):
            # The lower level that remains does not sound at once: the situation improved.
            sound.over = sound.repeats_s is None
            sound.begins += sound.repeats_s or 0.0

    def _alert_sound(self, camera: str, alert: Alert, now: float) -> ActiveSound | None:
        if alert.level == "none":
            return None
        sound = self._sound_of(alert.level, camera, alert.name, alert.pattern, now)
        if sound is not None and sound.repeats_s is None and alert.repeat_s is not None:
            sound.repeats_s = alert.repeat_s
        return sound

    def _lost_sound(self, camera: str, now: float) -> ActiveSound | None:
        return self._sound_of("blind", camera, _LOST, LEVELS_OWN, max(now, self._lost_at + LOST_GAP_S))

    def _sound_of(
        self, kind: Kind, camera: str, name: str, pattern_name: str | None, begins: float
    ) -> ActiveSound | None:
        pattern = self._pattern(kind, pattern_name)
        if pattern is None:
            return None
        return ActiveSound(kind, camera, name, pattern, begins, self._settings.every_s.get(kind))

    def _snoozed(self, kind: Kind, now: float) -> bool:
        return now < self._snoozed_until and (kind != "alarm" or self._settings.snooze_silences_alarm)

    def _silenced(self, sound: ActiveSound, now: float) -> bool:
        if sound is self._stall:
            known = [camera for camera in self._cameras.values() if camera.watching is not None]
            muted = bool(known) and all(camera.muted for camera in known)
        else:
            muted = self._cameras[sound.camera].muted
        unwanted = sound.kind == "blind" and not self._reports_lost
        outdated = self._stall is not None and sound.kind in ("notice", "warning")
        return unwanted or outdated or muted or self._snoozed(sound.kind, now)

    def _end(self, now: float) -> None:
        """Mark a sound that is played once as over when its pattern has ended."""
        sound = self._playing
        if sound and sound.repeats_s is None and sound.pattern.at(now - self._started).left_s is None:
            sound.over = True

    def _choose(self, now: float) -> None:
        heard = []
        for sound in self._sounds():
            if sound.begins > now or sound.over:
                continue
            if not self._silenced(sound, now):
                heard.append(sound)
            elif sound.repeats_s is None:
                sound.over = True  # it is not played later, when the silence ends
        best = max(heard, key=lambda sound: (sound.rank, sound is self._playing, -sound.begins), default=None)
        if best is not self._playing:
            self._play(best, heard, now)

    def _play(self, best: ActiveSound | None, heard: Iterable[ActiveSound], now: float) -> None:
        if self._playing is not None and self._playing.repeats_s is None:
            self._playing.over = True
        self._playing, self._started = best, now
        if best is None:
            return
        if best.kind == "blind":
            self._lost_at = now
        for sound in heard:
            if sound is not best and sound.repeats_s is None and sound.rank <= best.rank:
                sound.over = True  # the sound that plays now stands for it

    def _sound(self, now: float) -> Moment:
        sound = self._playing
        if sound is None:
            return Moment(False, None, None)
        return sound.pattern.at(now - self._started, sound.repeats_s)

    def _alert_led(self, now: float) -> Moment:
        """Follow the worst alert, whether it is heard or not."""
        levels = [alert.level for camera in self._cameras.values() for alert in camera.alerts.values()]
        worst: Level = max(levels, key=LEVELS.index, default="none")
        if worst != self._level:
            self._level, self._level_since = worst, now
        return LED[worst].at(now - self._level_since, 0.0) if worst in LED else Moment(False, None, None)


def _continued(before: ActiveSound | None, after: ActiveSound) -> ActiveSound:
    """Return the sound that plays already when it is the same as the new one."""
    if before is None:
        return after
    if (before.kind, before.pattern, before.repeats_s) == (after.kind, after.pattern, after.repeats_s):
        return before
    after.over = before.over and after.repeats_s is None
    return after
