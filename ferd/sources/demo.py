"""The demo scene: a person who needs no camera. She comes, smiles, is surprised, sad, dozes off, leaves.

The portrait is the official one of Commodore (later Rear Admiral) Grace M. Hopper, 20 January 1984, from the US Naval
History and Heritage Command: a work of the US government, in the public domain (17 USC 105). matplotlib ships it for
its examples (without a word on its licence), so ferd neither carries nor downloads a picture.

The scene is a function of the time alone: the same t gives the same picture, to the bit.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import SourceEnded, SourceError
from ferd.sources.face_warp import Look, WarpedPortrait
from ferd.types import Frame, Image

WIDTH, HEIGHT = 640, 480
DURATION_S = 40.0
EASE_S = 0.6
"""Seconds in which a look comes and goes."""

FACE_AT = (266.0, 240.0)
"""Middle of the face in the portrait, in pixels."""
FACE_Y = 235.0
"""Height at which the face stays in the scene, in pixels; lower, and the portrait's lower edge would show."""

MISSING = "the demo scene needs the portrait that matplotlib ships: `pip install 'ferd[demo]'`"


REST = Look()


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """Something that happens in the scene, from `start` to `end` in seconds.

    ``label``: the expression that a model is meant to read from it; None where that is not what the act is about.
    """

    start: float
    end: float
    what: str
    label: str | None = None
    look: Look = REST


SCRIPT = (
    SceneEvent(0.0, 3.5, "she is calm", "neutral"),
    SceneEvent(3.5, 8.5, "she smiles", "happiness", Look(smile=1.0, teeth=1.0)),
    SceneEvent(8.5, 11.0, "she is calm again", "neutral"),
    SceneEvent(11.0, 15.5, "she is surprised", "surprise", Look(jaw=1.2, brows=0.6)),
    SceneEvent(15.5, 17.5, "she comes nearer", "neutral"),
    SceneEvent(17.5, 23.5, "she is sad", "sadness", Look(sad=1.0, jaw=0.31)),
    SceneEvent(23.5, 25.5, "she calms down", "neutral"),
    SceneEvent(25.5, 29.5, "she closes her eyes", None, Look(lids=1.0)),
    SceneEvent(29.5, 32.0, "she wakes up and steps back", "neutral"),
    SceneEvent(32.0, 34.0, "she leaves"),
    SceneEvent(34.0, 38.0, "nobody is there"),
    SceneEvent(38.0, DURATION_S, "she comes in"),
)
"""What happens when. The scene repeats; somebody is there from the start, so that a first look begins at once."""

# Where she is: seconds, x of her face in pixels, size (1: the portrait's own, a face about 150 pixels wide).
# She leaves to the right and comes in from the left: between the two she jumps, out of the picture.
WAY = (
    (0.0, 300.0, 0.85), (15.5, 330.0, 0.90), (17.5, 310.0, 1.15), (29.5, 325.0, 1.15), (31.0, 330.0, 0.95),
    (32.0, 335.0, 0.95), (34.0, 870.0, 0.95), (37.99, 870.0, 0.95), (38.0, -215.0, 0.85), (40.0, 300.0, 0.85),
)  # fmt: skip

NEUTRAL_AT = 1.5


class DemoScene:
    """Plays the scene at `fps`, once or (`loop`) for ever. ``Frame.t`` counts on from one round to the next."""

    name = "demo scene"
    noisy = False
    hangs = False

    def __init__(self, *, fps: float = 15.0, loop: bool = False) -> None:
        self._fps = fps
        self._loop = loop
        self._index = 0
        self._scene: Scene | None = None

    def open(self) -> None:
        self._scene = scene()

    def read(self) -> Frame:
        scene = self._scene
        if scene is None:
            raise SourceError(f"{self.name}: is not open")
        t = self._index / self._fps
        if t >= DURATION_S and not self._loop:
            raise SourceEnded(f"{self.name}: ended at {DURATION_S:g} s")
        self._index += 1
        return scene.render(t)

    def close(self) -> None:
        self._scene = None


def render(t: float) -> Frame:
    """The scene at `t` seconds: 640x480 BGR. SourceError without the portrait."""
    return scene().render(t)


def picture() -> Image:
    """One fixed picture with one face at rest: (480, 640, 3) uint8 BGR. For measuring."""
    return render(NEUTRAL_AT).image


@functools.cache
def scene() -> Scene:
    """The scene, made once: its fields and backdrop take a tenth of a second."""
    return Scene(load_portrait())


def load_portrait() -> Image:
    """(600, 512, 3) uint8 BGR, from matplotlib's folder. matplotlib itself is not imported: that takes a second."""
    found = importlib.util.find_spec("matplotlib")
    folders = (found.submodule_search_locations if found else None) or []
    for folder in folders:
        portrait = cv2.imread(str(Path(folder) / "mpl-data" / "sample_data" / "grace_hopper.jpg"))
        if portrait is not None:
            return np.asarray(portrait, np.uint8)
    raise SourceError(MISSING)


class Scene:
    """The room and the person in it."""

    def __init__(self, portrait: Image) -> None:
        self._puppet = WarpedPortrait(portrait)
        self._room = room()
        self._grain = grain()

    def render(self, t: float) -> Frame:
        """The scene at `t` seconds (any number: it repeats)."""
        now = t % DURATION_S
        image = self._room.copy()
        x, size = place(now)
        if abs(x - WIDTH / 2) < WIDTH / 2 + 250 * size:
            self._draw_person(image, now, x, size)
        return Frame(t=t, image=self._with_grain(image, t))

    def _draw_person(self, image: Image, now: float, x: float, size: float) -> None:
        portrait = self._puppet.portrait(look_at(now))
        place_of = posture(now, x, size)
        person = cv2.warpAffine(portrait, place_of, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(self._puppet.alpha, place_of, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        cv2.blendLinear(person, image, alpha, 1 - alpha, dst=image)

    def _with_grain(self, image: Image, t: float) -> Image:
        """Adds what a sensor adds. The place in the grain changes with t, so no two frames are equal."""
        step = round(t * 1000)
        top, left = (step * 37) % 97, (step * 61) % 89
        brighter, darker = (part[top : top + HEIGHT, left : left + WIDTH] for part in self._grain)
        return np.asarray(cv2.subtract(cv2.add(image, brighter), darker), np.uint8)


def act_at(t: float) -> SceneEvent:
    """What happens at `t` seconds."""
    now = t % DURATION_S
    return next(act for act in SCRIPT if act.start <= now < act.end)


def look_at(t: float) -> Look:
    """Her look at `t` seconds: that of the act, eased in and out, and a short blink now and then."""
    act = act_at(t)
    now = t % DURATION_S
    weight = smooth((now - act.start) / EASE_S) * smooth((act.end - now) / EASE_S)
    values = {field.name: weight * getattr(act.look, field.name) for field in fields(Look)}
    values["lids"] = max(values["lids"], blink(now))
    return Look(**values)


def blink(now: float) -> float:
    """How far a blink has closed her eyes: every 3.7 s for about 0.2 s."""
    return max(0.0, 1 - abs((now % 3.7) - 2.0) / 0.12)


def place(now: float) -> tuple[float, float]:
    """x of her face in pixels, and her size, at `now` seconds."""
    for (t0, x0, s0), (t1, x1, s1) in itertools.pairwise(WAY):
        if now < t1:
            part = smooth((now - t0) / (t1 - t0))
            return x0 + (x1 - x0) * part, s0 + (s1 - s0) * part
    return WAY[-1][1], WAY[-1][2]


def posture(now: float, x: float, size: float) -> NDArray[np.float64]:
    """Portrait to scene, (2, 3): she sways a little and tilts her head, as people do."""
    x += 7 * math.sin(now * 0.9) + 3 * math.sin(now * 2.3)
    y = FACE_Y + 3 * math.sin(now * 1.3)
    matrix = cv2.getRotationMatrix2D(FACE_AT, 2.5 * math.sin(now * 0.7), size)
    move = np.array([x - FACE_AT[0], y - FACE_AT[1]])
    return np.column_stack([matrix[:, :2], matrix[:, 2] + move])


def smooth(part: float) -> float:
    """0 to 1 without a jerk at either end."""
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


def room() -> Image:
    """A wall out of focus, lighter where a window would be: (480, 640, 3)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 0.75 + 0.35 * np.exp(-(np.square((columns - 470) / 260) + np.square((rows - 120) / 240)))
    wall = np.array([150, 158, 160], np.float32) * light[..., None]
    shelf = np.exp(-np.square((rows - 330) / 9)) * np.clip((250 - columns) / 40, 0, 1)
    return np.asarray(np.clip(wall - 45 * shelf[..., None], 0, 255), np.uint8)


def grain() -> tuple[Image, Image]:
    """Sensor noise, what it adds and what it takes away, larger than the scene so that it can be shifted."""
    noise = np.random.default_rng(1906).normal(0, 2.2, (HEIGHT + 97, WIDTH + 89, 3))
    return np.clip(noise, 0, 20).astype(np.uint8), np.clip(-noise, 0, 20).astype(np.uint8)
