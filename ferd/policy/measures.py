"""What is measured of a face's eyes and mouth: PERCLOS, blinks, the longest closure, yawns.

Sources:
- PERCLOS: the proportion of time in a minute in which the eyes are at least 80 % closed (P80). Wierwille, Ellsworth,
  Wreggit, Fairbanks and Kirn, "Research on vehicle-based driver status/performance monitoring", DOT HS 808 247, 1994;
  taken up by FHWA, "PERCLOS: a valid psychophysiological measure of alertness as assessed by psychomotor vigilance",
  FHWA-MCRT-98-006, 1998. There people rated lids on video; here a model does, and time without an answer is left out.
- Blinks: endogenous blinks last 500 ms at most, longer ones are closures of another kind. Stern, Walrath and
  Goldstein, "The endogenous eyeblink", Psychophysiology 21, 1984.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from ferd.policy.episodes import Episode, EpisodeDetector
from ferd.policy.intervals import Interval, Window

Eyes = Literal["shut", "half", "open", "hidden", "away"]
"""``half``: seen, but neither. ``hidden``: the face is seen, its eyes are not. ``away``: no face."""
SHUT = 0.8
"""P80: at least 80 % closed."""
OPEN = 0.6
"""Open again below this. Between the two it is neither: hysteresis on the value, beside that on time."""

WINDOW_S = 60.0
LEAST_OBSERVED = 0.5
"""Rates are told when at least so much of their window was observed."""
BLINK_S = 0.5
BLINK_LEAST_S = 0.05
"""Shorter than any blink: a frame that was read wrongly."""

YAWN_WINDOW_S = 300.0
YAWN_S = 2.0
"""A mouth is wide open for so long in a yawn; words open it for less."""
MOUTH_UNKNOWN_S, MOUTH_LEAST_KNOWN = 1.0, 0.4
"""A wide-open mouth is often not read for sure, and nothing else looks like it: more may be unknown than of eyes."""
LAUGH = 0.5
"""With the expression of happiness in more than this share of it, it was a laugh."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame says, in words. ``wide``: the mouth is wide open. ``happy``: the expression that is held."""

    eyes: Eyes
    closed: float | None = None
    wide: bool | None = None
    happy: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """The measures at one moment; their meaning is told at `ferd.types.Fatigue`."""

    perclos: float | None
    observed: float
    blinks: float | None
    blink_s: float | None
    longest_s: float
    yawns: int


class Measures:
    """Call `add` with each piece of time, and ask."""

    def __init__(self) -> None:
        self.shut = EpisodeDetector()
        """The closures; what is marked in them is a mouth wide open."""
        self._wide = EpisodeDetector(unknown_s=MOUTH_UNKNOWN_S, least_known=MOUTH_LEAST_KNOWN)
        self._eyes = Window[Eyes | None](WINDOW_S)
        self._closures: deque[Episode] = deque()
        self._yawns: deque[Episode] = deque()

    def add(self, piece: Interval[Look]) -> None:
        look = piece.state or Look("away")
        eyes = None if piece.state is None else look.eyes
        holds = {"shut": True, "half": False, "open": False}.get(look.eyes)
        self._eyes.add(piece.start, piece.end, eyes)
        lost = look.eyes == "away"
        self._closures.extend(self.shut.add(piece.start, piece.end, holds, marked=bool(look.wide), lost=lost))
        wide = self._wide.add(piece.start, piece.end, look.wide, marked=look.happy, lost=lost)
        self._yawns.extend(spell for spell in wide if _is_yawn(spell))
        _drop_before(piece.end - WINDOW_S, self._closures)
        _drop_before(piece.end - YAWN_WINDOW_S, self._yawns)

    @property
    def figures(self) -> Figures:
        observed = self._eyes.share("shut", "half", "open")
        enough = observed >= LEAST_OBSERVED
        current, yawn = self.shut.current, self._wide.current
        closures = [*self._closures, *([current] if current else [])]
        blinks = [spell.length for spell in self._closures if BLINK_LEAST_S <= spell.length <= BLINK_S]
        return Figures(
            perclos=self._eyes.seconds("shut") / (observed * WINDOW_S) if enough else None,
            observed=observed,
            blinks=len(blinks) / observed * 60 / WINDOW_S if enough else None,
            blink_s=sum(blinks) / len(blinks) if blinks and enough else None,
            longest_s=max((spell.length for spell in closures), default=0.0),
            yawns=len(self._yawns) + (yawn is not None and _is_yawn(yawn)),
        )


def _is_yawn(spell: Episode) -> bool:
    return spell.length >= YAWN_S and spell.marked_s <= LAUGH * spell.length


def _drop_before(t: float, spells: deque[Episode]) -> None:
    while spells and spells[0].end < t:
        spells.popleft()
