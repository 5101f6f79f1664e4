"""Decides what is to be heard and seen: many cameras, many alerts, one buzzer. Pure: every call is told the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ferd.outputs.buzzer.patterns import KINDS, SILENT, Beat, Kind, Moment, Output, Pattern
from ferd.types import LEVELS, LEVELS_OWN, Alert, Level

BLIND_GAP_S = 10.0
"""A camera that comes and goes is not told more often than this."""

# Seconds that the level's lamp is on and off. At most 2.5 flashes a second: three are the limit of WCAG 2.2
# (success criterion 2.3.1), for the sake of people with photosensitive epilepsy.
LAMP: Mapping[Level, Pattern] = {
    "notice": Pattern("steady", (Beat(1.0, 0.0),)),
    "warning": Pattern("blinks", (Beat(0.5, 0.5),)),
    "alarm": Pattern("flashes", (Beat(0.2, 0.2),)),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """``patterns``: by name. ``defaults``: the name of the pattern that each kind plays. ``every_s``: of those kinds
    that are repeated, after how many seconds they begin again, their own length at least.
    """

    patterns: Mapping[str, Pattern]
    defaults: Mapping[Kind, str]
    every_s: Mapping[Kind, float] = field(default_factory=lambda: {"alarm": 0.0, "warning": 10.0, "blind": 60.0})
    snooze_silences_alarm: bool = False


@dataclass(slots=True)
class ActiveSound:
    """A reason to sound. ``repeats_s``: period in which it begins again, None when it is played once.

    ``over``: it has been played, or would have been but for silence that somebody asked for.
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
"""The reason that is told anew although its level holds already: a second microsleep must not go unheard because
PERCLOS is still high."""


def _is_news(alert: Alert, before: Alert | None) -> bool:
    if before is None or (alert.level, alert.pattern) != (before.level, before.pattern):
        return True
    return alert.reason == ACUTE != before.reason


@dataclass(slots=True)
class _Camera:
    """``sees``: None while nobody expects pictures of it: at first, or when it is switched off."""

    sees: bool | None = None
    muted: bool = False
    alerts: dict[str, Alert] = field(default_factory=dict)
    voices: dict[str, ActiveSound] = field(default_factory=dict)


_BLIND = ""
"""The name of the voice that tells of a lost camera: no alert is called so."""


class SoundScheduler:
    """The worst kind wins over all cameras, and within a kind the voice that began first: one sound at a time.

    A notice is played once, all else again and again for as long as it holds. ``now`` is in seconds of
    one clock that never goes back.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tells_blind = True
        self._cameras: dict[str, _Camera] = {}
        self._snoozed_until = float("-inf")
        self._playing: ActiveSound | None = None
        self._started = 0.0
        self._blind_at = float("-inf")
        self._level: Level = "none"
        self._level_since = 0.0

    @property
    def playing(self) -> ActiveSound | None:
        """What the latest call of `at` chose."""
        return self._playing

    def show(self, camera: str, alerts: Iterable[Alert], now: float) -> bool:
        """These alerts hold now on this camera, and no others. True when something changed by that."""
        one = self._camera(camera)
        holding = {alert.name: alert for alert in alerts if alert.level != "none"}
        ended = one.alerts.keys() - holding.keys()
        for name in ended:
            one.voices.pop(name, None)
        news = [alert for name, alert in holding.items() if _is_news(alert, one.alerts.get(name))]
        for alert in news:
            self._renew(one, camera, alert, now)
        one.alerts = holding
        return bool(ended or news)

    def blind(self, camera: str, blind: bool, now: float) -> bool:
        """The camera is lost, or (False) is watching. True when something changed by that."""
        one = self._camera(camera)
        if one.sees is not blind and one.sees is not None:
            return False
        one.sees = not blind
        one.voices.pop(_BLIND, None)
        pattern = self._pattern("blind", LEVELS_OWN)
        if blind and pattern is not None:
            begins = max(now, self._blind_at + BLIND_GAP_S)
            one.voices[_BLIND] = self._voice("blind", camera, _BLIND, pattern, begins)
        return True

    def mute(self, camera: str, muted: bool) -> bool:
        """Nothing of this camera is heard, alarms neither: somebody switched its buzzer off."""
        one = self._camera(camera)
        changed, one.muted = one.muted != muted, muted
        return changed

    def tell_blind(self, wanted: bool) -> bool:
        """Whether a lost camera is to be heard."""
        changed, self._tells_blind = self._tells_blind != wanted, wanted
        return changed

    def forget(self, camera: str) -> bool:
        """The camera was switched off on purpose: it neither watches nor is blind, and nothing of it holds."""
        self._cameras[camera] = _Camera(muted=self._camera(camera).muted)
        return True

    def snooze(self, until: float) -> bool:
        """Silence until then; an alarm is heard all the same unless configured otherwise."""
        self._snoozed_until = until
        return True

    def audible(self, camera: str, alert: Alert, now: float) -> bool:
        """Whether this alert is to be heard, if it holds."""
        if alert.level == "none" or self._pattern(alert.level, alert.pattern) is None:
            return False
        muted = camera in self._cameras and self._cameras[camera].muted
        return not muted and not self._snoozed(alert.level, now)

    def at(self, now: float) -> tuple[Output, float | None]:
        """What is to be heard and seen, and the time at which that changes by itself (None: never)."""
        self._end(now)
        self._choose(now)
        sound, lamp = self._sound(now), self._lamp(now)
        sees = [camera.sees for camera in self._cameras.values() if camera.sees is not None]
        changes = [now + moment.left_s for moment in (sound, lamp) if moment.left_s is not None]
        changes += [voice.begins for voice in self._voices() if voice.begins > now]
        if self._snoozed_until > now:
            changes.append(self._snoozed_until)
        return Output(sound.on, sound.tone, bool(sees) and all(sees), lamp.on), min(changes, default=None)

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera())

    def _voices(self) -> Iterator[ActiveSound]:
        for camera in self._cameras.values():
            yield from camera.voices.values()

    def _pattern(self, kind: Kind, name: str | None) -> Pattern | None:
        """None for silence. A name that is not known is not silence: a slip of the pen must not hide an alarm."""
        if name is None or name == SILENT:
            return None
        usual = self._settings.defaults[kind]
        if name not in self._settings.patterns and usual != SILENT:
            name = usual
        return self._settings.patterns.get(name)

    def _renew(self, one: _Camera, camera: str, alert: Alert, now: float) -> None:
        """The alert began or became another."""
        before = one.alerts.get(alert.name)
        one.voices.pop(alert.name, None)
        pattern = None if alert.level == "none" else self._pattern(alert.level, alert.pattern)
        if alert.level == "none" or pattern is None:
            return
        voice = one.voices[alert.name] = self._voice(alert.level, camera, alert.name, pattern, now)
        if before is not None and LEVELS.index(alert.level) < LEVELS.index(before.level):
            # What is left over from something worse is not told at once: it got better.
            voice.over = voice.repeats_s is None
            voice.begins += voice.repeats_s or 0.0

    def _voice(self, kind: Kind, camera: str, name: str, pattern: Pattern, begins: float) -> ActiveSound:
        return ActiveSound(kind, camera, name, pattern, begins, self._settings.every_s.get(kind))

    def _snoozed(self, kind: Kind, now: float) -> bool:
        return now < self._snoozed_until and (kind != "alarm" or self._settings.snooze_silences_alarm)

    def _silenced(self, voice: ActiveSound, now: float) -> bool:
        unwanted = voice.kind == "blind" and not self._tells_blind
        return unwanted or self._cameras[voice.camera].muted or self._snoozed(voice.kind, now)

    def _end(self, now: float) -> None:
        """What was played once is over when its pattern is."""
        voice = self._playing
        if voice and voice.repeats_s is None and voice.pattern.at(now - self._started).left_s is None:
            voice.over = True

    def _choose(self, now: float) -> None:
        heard = []
        for voice in self._voices():
            if voice.begins > now or voice.over:
                continue
            if not self._silenced(voice, now):
                heard.append(voice)
            elif voice.repeats_s is None:
                voice.over = True  # it is not made up for when the silence ends
        best = max(heard, key=lambda voice: (voice.rank, voice is self._playing, -voice.begins), default=None)
        if best is not self._playing:
            self._play(best, heard, now)

    def _play(self, best: ActiveSound | None, heard: Iterable[ActiveSound], now: float) -> None:
        if self._playing is not None and self._playing.repeats_s is None:
            self._playing.over = True
        self._playing, self._started = best, now
        if best is None:
            return
        if best.kind == "blind":
            self._blind_at = now
        for voice in heard:
            if voice is not best and voice.repeats_s is None and voice.rank <= best.rank:
                voice.over = True  # told by what sounds now

    def _sound(self, now: float) -> Moment:
        voice = self._playing
        if voice is None:
            return Moment(False, None, None)
        return voice.pattern.at(now - self._started, voice.repeats_s)

    def _lamp(self, now: float) -> Moment:
        """Follows the worst alert, whether it is heard or not."""
        levels = [alert.level for camera in self._cameras.values() for alert in camera.alerts.values()]
        worst: Level = max(levels, key=LEVELS.index, default="none")
        if worst != self._level:
            self._level, self._level_since = worst, now
        return LAMP[worst].at(now - self._level_since, 0.0) if worst in LAMP else Moment(False, None, None)
