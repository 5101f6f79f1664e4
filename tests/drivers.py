"""A synthetic driver: what the face does over time, and what a noisy reader says of it, frame by frame.

A scene is a list of acts, each from one second to another; between them the driver is awake and looks ahead. The
reader's errors are drawn at random, by the rates that the eyes model was measured with.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ferd.policy.drowsiness import DrowsinessLimits, DrowsinessPolicy
from ferd.types import LEVELS, EyeMouthState, Fatigue

What = Literal["shut", "down", "aside", "away", "yawn", "laugh", "talk", "dark glasses"]


@dataclass(frozen=True, slots=True)
class Act:
    start: float
    end: float
    what: What


@dataclass(frozen=True, slots=True)
class Reader:
    """Rates of a reader, each frame on its own. ``lost``: frames that never arrive; ``missed``: no face is found."""

    unsure: float = 0.0
    open_as_shut: float = 0.0
    shut_as_open: float = 0.0
    lost: float = 0.0
    missed: float = 0.0
    lowered_as_shut: float = 0.25
    """Of the frames in which the lids are lowered to look down: an assumption, nobody measured it."""


PERFECT = Reader(lowered_as_shut=0.0)
LOSSY = Reader(lost=0.1, lowered_as_shut=0.0)
MISSING = Reader(missed=0.1, lowered_as_shut=0.0)
CROPS = Reader(unsure=0.01, open_as_shut=0.0, shut_as_open=0.03, lost=0.1)
"""Infrared crops, held back (models/eyes.json, figures.infrared: unsure 0.8 %, closed 97.1 %, open 100 %)."""
DRIVERS = Reader(unsure=0.26, open_as_shut=0.01, shut_as_open=0.03, lost=0.1, lowered_as_shut=0.25)
"""250 frames of drivers who do not yawn: 26 % unsure; 11 read as shut, of which 6 looked down or narrowed their eyes,
as far as one sees. How much of the time they looked down is not known."""
FACES = Reader(unsure=0.29, open_as_shut=0.03, shut_as_open=0.0, lost=0.1)
"""Whole faces from the web through our detector (figures.faces_by_face: unsure 29 %, closed 100 %, open 97.3 %)."""


def times(seconds: float, fps: float, rng: random.Random, reader: Reader, jitter: float = 0.2) -> Iterator[float]:
    """Frame times that jitter by a share of the frame time, some of them lost."""
    for i in range(int(seconds * fps)):
        if rng.random() >= reader.lost:
            yield (i + 0.5 + rng.uniform(-jitter, jitter) / 2) / fps


def signals(now: set[What], rng: random.Random, reader: Reader) -> EyeMouthState | None:
    """What one frame gives. None: no face."""
    if "away" in now or rng.random() < reader.missed:
        return None
    mouth = 0.97 if now & {"yawn", "laugh"} else rng.choice([0.02, 0.1, 0.6]) if "talk" in now else 0.02
    return EyeMouthState(_eyes(now, rng, reader), mouth)


def _eyes(now: set[What], rng: random.Random, reader: Reader) -> float | None:
    if "dark glasses" in now:
        return rng.choice([0.05, 0.95]) if rng.random() < 0.06 else None  # eyes.json: unsure in 94 %
    if "aside" in now or rng.random() < reader.unsure:
        return None
    if "shut" in now:
        return 0.03 if rng.random() < reader.shut_as_open else rng.uniform(0.9, 1.0)
    if "down" in now:
        if rng.random() < reader.lowered_as_shut:
            return rng.uniform(0.8, 1.0)
        return rng.choice([None, rng.uniform(0.0, 0.4), 0.7])
    return 0.97 if rng.random() < reader.open_as_shut else rng.uniform(0.0, 0.1)


def watch(
    acts: Sequence[Act],
    seconds: float,
    fps: float,
    reader: Reader,
    seed: int = 0,
    *,
    limits: DrowsinessLimits | None = None,
) -> list[tuple[float, Fatigue]]:
    """The policy over a scene, frame by frame."""
    rng = random.Random(seed)
    policy = DrowsinessPolicy(limits or DrowsinessLimits())
    rest, current, told = sorted(acts, key=lambda act: -act.start), [], []
    for t in times(seconds, fps, rng, reader):
        while rest and rest[-1].start <= t:
            current.append(rest.pop())
        current = [act for act in current if act.end > t]
        now = {act.what for act in current}
        told.append((t, policy.update(t, signals(now, rng, reader), happy="laugh" in now)))
    return told


def changes(told: Iterable[tuple[float, Fatigue]]) -> list[tuple[float, str, str | None]]:
    """(t, level, reason) at each change of the level."""
    found, level = [], "none"
    for t, fatigue in told:
        if fatigue.level != level:
            level = fatigue.level
            found.append((t, level, fatigue.reason))
    return found


def risen(told: Iterable[tuple[float, Fatigue]]) -> list[tuple[float, str, str | None]]:
    """The changes to a worse level."""
    found, rank = [], 0
    for t, level, reason in changes(told):
        if LEVELS.index(level) > rank:
            found.append((t, level, reason))
        rank = LEVELS.index(level)
    return found


def blinks(seconds: float, rng: random.Random, per_minute: float, longest: float = 0.4) -> list[Act]:
    """Blinks of 100 ms to `longest`, at random times, so many a minute on average; half a second open between them."""
    acts, t = [], 0.0
    while (t := t + 0.5 + rng.expovariate(1 / (60 / per_minute - 0.75))) < seconds - 1:
        acts.append(Act(t, t + rng.uniform(0.1, longest), "shut"))
        t = acts[-1].end
    return acts


def normal_hour(seed: int = 0, seconds: float = 3600.0) -> list[Act]:
    """An hour of a wide-awake driver: blinks at 10 to 20 a minute, glances of 2 s, talking, laughing, a tunnel."""
    rng = random.Random(seed)
    acts: list[Act] = []
    for minute in range(int(seconds // 60)):
        shift = 60.0 * minute
        acts += [Act(a.start + shift, a.end + shift, "shut") for a in blinks(60.0, rng, rng.uniform(10, 20))]
    t = 0.0
    while (t := t + rng.uniform(6, 25)) < seconds - 10:
        what: What = rng.choice(["aside", "down"])
        acts.append(Act(t, t + rng.uniform(0.5, 2.0), what))
    t = 0.0
    while (t := t + rng.uniform(60, 300)) < seconds - 60:
        talk: What = rng.choice(["talk", "talk", "laugh"])
        length = rng.uniform(10, 40) if talk == "talk" else rng.uniform(1, 4)
        acts.append(Act(t, t + length, talk))
        if talk == "laugh" and rng.random() < 0.5:
            acts.append(Act(t, t + min(length, 1.5), "shut"))  # eyes squeezed
    acts = [act for act in acts if act.what != "shut" or not _crowded(act, acts)]
    acts.append(Act(1800.0, 1845.0, "away"))  # the tunnel: too dark to see anybody
    return acts


def _crowded(act: Act, acts: Sequence[Act]) -> bool:
    """Two blinks in less than half a second: they would be one longer closure for anybody."""
    return any(a.what == "shut" and a.start < act.start < a.end + 0.5 for a in acts)
