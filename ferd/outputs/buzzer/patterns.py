"""What can be played, as data. Pure: a pattern and the seconds since it began give what is to be heard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["notice", "blind", "warning", "alarm"]
"""The reasons to sound, from least to most urgent: the levels of alerts, and "the camera is lost"."""
KINDS: tuple[Kind, ...] = ("notice", "blind", "warning", "alarm")

SILENT = "off"
"""The name of no pattern at all."""
LEVELS_OWN = "default"
"""The same as in ferd.types, which is not imported here: numpy would take a tenth of a second of `ferd buzzer off`."""
MIN_ON_S = 0.01
MAX_S = 60.0
MAX_BEATS = 64
MIN_HZ, MAX_HZ = 110.0, 7040.0  # three octaves below and above A5, the span that the passive buzzer is opened with
_NOTE = re.compile(r"([A-G])([#b]?)([0-9])")
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True, slots=True)
class Beat:
    """A sound of ``on_s`` seconds, then silence of ``off_s``. ``tone``: in Hz, None for the buzzer's usual one."""

    on_s: float
    off_s: float
    tone: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a pattern sounds like now. ``left_s``: seconds until that changes, None when it is over."""

    on: bool
    tone: float | None
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Beats in their order."""

    name: str
    beats: tuple[Beat, ...]

    @property
    def length_s(self) -> float:
        return sum(beat.on_s + beat.off_s for beat in self.beats)

    def at(self, elapsed_s: float, period_s: float | None = None) -> Moment:
        """What is to be heard ``elapsed_s`` seconds (0 or more) after the pattern began.

        ``period_s``: it begins again after so many seconds, its own length at least; None: it is played once.
        """
        if period_s is not None:
            period_s = max(period_s, self.length_s)
            elapsed_s %= period_s
        for beat in self.beats:
            if elapsed_s < beat.on_s:
                return Moment(True, beat.tone, beat.on_s - elapsed_s)
            elapsed_s -= beat.on_s
            if elapsed_s < beat.off_s:
                return Moment(False, None, beat.off_s - elapsed_s)
            elapsed_s -= beat.off_s
        if period_s is None:
            return Moment(False, None, None)
        return Moment(False, None, max(0.0, period_s - self.length_s - elapsed_s))


@dataclass(frozen=True, slots=True)
class Output:
    """What the pins are to show now. ``tone``: in Hz, None for the buzzer's usual one."""

    sound: bool = False
    tone: float | None = None
    watching: bool = False
    level: bool = False


def pattern(name: str, beats: Sequence[Sequence[float | str]]) -> Pattern:
    """The pattern of lists as they stand in a configuration: [[on_s, off_s], [on_s, off_s, "A5" or hertz], …].

    Raises ValueError that says what is wrong with them and how it is meant.
    """
    if not 1 <= len(beats) <= MAX_BEATS:
        raise ValueError(f"pattern {name}: 1 to {MAX_BEATS} beats, this has {len(beats)}")
    return Pattern(name, tuple(_beat(name, beat) for beat in beats))


def _beat(name: str, given: Sequence[float | str]) -> Beat:
    where = f"pattern {name}, beat {list(given)}"
    if len(given) not in (2, 3) or not all(_is_number(part) for part in given[:2]):
        raise ValueError(
            f'{where}: a beat is [seconds on, seconds off], with a tone [0.2, 0.1, "A5"] or [0.2, 0.1, 880]'
        )
    on_s, off_s = float(given[0]), float(given[1])
    if not MIN_ON_S <= on_s <= MAX_S or not 0 <= off_s <= MAX_S:
        raise ValueError(f"{where}: {MIN_ON_S} to {MAX_S:g} seconds on, 0 to {MAX_S:g} seconds off")
    return Beat(on_s, off_s, hertz(given[2], where) if len(given) == 3 else None)


def _is_number(part: object) -> bool:
    return isinstance(part, int | float) and not isinstance(part, bool)


def hertz(tone: float | str, where: str = "tone") -> float:
    """The frequency of 880 or "A5" (scientific pitch notation, A4 = 440 Hz). Raises ValueError."""
    if isinstance(tone, str):
        found = _NOTE.fullmatch(tone)
        if not found:
            raise ValueError(f'{where}: {tone!r} is no note; write "A5", "C#6", "Bb4" or a number in hertz')
        letter, sign, octave = found.groups()
        steps = _SEMITONES[letter] + {"#": 1, "b": -1, "": 0}[sign] + 12 * (int(octave) + 1) - 69
        tone = float(440 * 2 ** (steps / 12))
    if not _is_number(tone) or not MIN_HZ <= tone <= MAX_HZ:
        raise ValueError(f"{where}: {tone} Hz is out of range; use {MIN_HZ:g} to {MAX_HZ:g} Hz (A2 to A8)")
    return float(tone)


def _built_in(**patterns: Sequence[Sequence[float | str]]) -> Mapping[str, Pattern]:
    return {name: pattern(name, beats) for name, beats in patterns.items()}


BUILT_IN: Mapping[str, Pattern] = _built_in(
    chirp=[[0.06, 0.94]],
    double=[[0.12, 0.12], [0.12, 1.14]],
    urgent=[[0.12, 0.08], [0.12, 0.08], [0.12, 0.28]],
    continuous=[[1.0, 0.0]],
    blind=[[0.6, 0.2, 880], [0.15, 0.15, 440], [0.15, 0.0, 440]],
    melody=[[0.12, 0.03, "C6"], [0.12, 0.03, "E6"], [0.12, 0.03, "G6"], [0.3, 1.0, "C7"]],
)
"""One long and two short stand for "I am blind": no other pattern begins long. An active buzzer plays the rhythm."""

DEFAULTS: Mapping[Kind, str] = {"notice": "chirp", "blind": "blind", "warning": "double", "alarm": "urgent"}
"""Which pattern each kind plays unless configured. Quicker pulses sound more urgent (IEC 60601-1-8 uses them so)."""


def draw(shown: Pattern, step_s: float = 0.06) -> str:
    """The pattern as a line of text, one sign each `step_s`: ▄ is sound."""
    steps = max(1, min(72, round(shown.length_s / step_s)))
    return "".join("▄" if shown.at((n + 0.5) * step_s).on else "·" for n in range(steps))
