"""The demo scene, which needs no camera: a woman comes in, smiles, is surprised, sad, falls asleep and leaves.

The portrait is the official one of Commodore (later Rear Admiral) Grace M. Hopper, 20 January 1984, from the US Naval
History and Heritage Command: a work of the US government, in the public domain (17 USC 105). It lies beside this module
(60 kB), so that the scene can be played wherever ferd is installed.

The scene depends on the time alone: the same t gives the same image, bit by bit.
"""

from __future__ import annotations

import functools
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
"""Seconds in which a look fades in and out."""

FACE_AT = (266.0, 240.0)
"""Middle of the face in the portrait, in pixels."""
FACE_Y = 235.0
"""Height at which the face stays in the scene, in pixels; lower, and the portrait's lower edge would show."""

PORTRAIT = Path(__file__).with_name("portrait.jpg")

REST = Look()


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """Something that happens in the scene, from `start` to `end` in seconds.

    ``label``: the expression that a model should predict; None where the event shows none.
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
"""All events. The scene repeats; a face is visible from the start, so that a reading comes at once."""

# Position: seconds, x of the face in pixels, size (1: the portrait's own, a face about 150 pixels wide). She leaves to
# the right and comes in from the left: between the two she jumps, outside of the image.
KEYFRAMES = (
    (0.0, 300.0, 0.85), (15.5, 330.0, 0.90), (17.5, 310.0, 1.15), (29.5, 325.0, 1.15), (31.0, 330.0, 0.95),
    (32.0, 335.0, 0.95), (34.0, 870.0, 0.95), (37.99, 870.0, 0.95), (38.0, -215.0, 0.85), (40.0, 300.0, 0.85),
)  # fmt: skip

NEUTRAL_AT = 1.5


class DemoScene:
    """Plays the scene at `fps`, once or (`loop`) endlessly. ``Frame.t`` keeps growing from one round to the next."""

    name = "demo scene"
    noisy = False
    opening_s = 0.0

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

    def interrupt(self) -> None:
        """Do nothing: a read takes no time."""

    def close(self) -> None:
        self._scene = None


def render(t: float) -> Frame:
    """Draw the scene at `t` seconds: 640x480 BGR. Raises SourceError without the portrait."""
    return scene().render(t)


def picture() -> Image:
    """Return one fixed image with one neutral face: (480, 640, 3) uint8 BGR. For measurements."""
    return render(NEUTRAL_AT).image


@functools.cache
def scene() -> Scene:
    """Make the scene, once: its displacement fields and background take 0.1 s."""
    return Scene(load_portrait())


def load_portrait() -> Image:
    """Read the portrait, (600, 512, 3) uint8 BGR. Raises SourceError when its file is damaged or missing."""
    portrait = cv2.imread(str(PORTRAIT))
    if portrait is None:
        raise SourceError(f"{PORTRAIT}: the picture of the demo scene is missing or damaged. Install ferd again")
    return np.asarray(portrait, np.uint8)


class Scene:
    """Draws the room and the person in it."""

    def __init__(self, portrait: Image) -> None:
        self._portrait = WarpedPortrait(portrait)
        self._room = room()
        self._noise = sensor_noise()

    def render(self, t: float) -> Frame:
        """Draw the scene at `t` seconds (any number: it repeats)."""
        now = t % DURATION_S
        image = self._room.copy()
        x, size = position(now)
        if abs(x - WIDTH / 2) < WIDTH / 2 + 250 * size:
            self._draw_person(image, now, x, size)
        return Frame(t=t, image=self._with_noise(image, t))

    def _draw_person(self, image: Image, now: float, x: float, size: float) -> None:
        portrait = self._portrait.portrait(look_at(now))
        to_scene = portrait_to_scene(now, x, size)
        person = cv2.warpAffine(portrait, to_scene, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(self._portrait.alpha, to_scene, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        cv2.blendLinear(person, image, alpha, 1 - alpha, dst=image)

    def _with_noise(self, image: Image, t: float) -> Image:
        """Add sensor noise. The offset into the noise changes with t, so no two frames are equal."""
        step = round(t * 1000)
        top, left = (step * 37) % 97, (step * 61) % 89
        brighter, darker = (part[top : top + HEIGHT, left : left + WIDTH] for part in self._noise)
        return np.asarray(cv2.subtract(cv2.add(image, brighter), darker), np.uint8)


def event_at(t: float) -> SceneEvent:
    """Return the event at `t` seconds."""
    now = t % DURATION_S
    return next(event for event in SCRIPT if event.start <= now < event.end)


def look_at(t: float) -> Look:
    """Return the look at `t` seconds: that of the event, faded in and out, with a short blink now and then."""
    event = event_at(t)
    now = t % DURATION_S
    weight = smooth((now - event.start) / EASE_S) * smooth((event.end - now) / EASE_S)
    values = {field.name: weight * getattr(event.look, field.name) for field in fields(Look)}
    values["lids"] = max(values["lids"], blink(now))
    return Look(**values)


def blink(now: float) -> float:
    """Return how far a blink closes the eyes, 0 to 1: every 3.7 s for about 0.2 s."""
    return max(0.0, 1 - abs((now % 3.7) - 2.0) / 0.12)


def position(now: float) -> tuple[float, float]:
    """Return x of the face in pixels and its size at `now` seconds."""
    for (t0, x0, s0), (t1, x1, s1) in itertools.pairwise(KEYFRAMES):
        if now < t1:
            part = smooth((now - t0) / (t1 - t0))
            return x0 + (x1 - x0) * part, s0 + (s1 - s0) * part
    return KEYFRAMES[-1][1], KEYFRAMES[-1][2]


def portrait_to_scene(now: float, x: float, size: float) -> NDArray[np.float64]:
    """Return the affine matrix (2, 3) from portrait to scene: the person sways a little and tilts the head."""
    x += 7 * math.sin(now * 0.9) + 3 * math.sin(now * 2.3)
    y = FACE_Y + 3 * math.sin(now * 1.3)
    matrix = cv2.getRotationMatrix2D(FACE_AT, 2.5 * math.sin(now * 0.7), size)
    move = np.array([x - FACE_AT[0], y - FACE_AT[1]])
    return np.column_stack([matrix[:, :2], matrix[:, 2] + move])


def smooth(part: float) -> float:
    """Return the smoothstep of `part`, 0 to 1."""
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


def room() -> Image:
    """Draw an unfocused wall, lighter near a window: (480, 640, 3)."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    light = 0.75 + 0.35 * np.exp(-(np.square((columns - 470) / 260) + np.square((rows - 120) / 240)))
    wall = np.array([150, 158, 160], np.float32) * light[..., None]
    shelf = np.exp(-np.square((rows - 330) / 9)) * np.clip((250 - columns) / 40, 0, 1)
    return np.asarray(np.clip(wall - 45 * shelf[..., None], 0, 255), np.uint8)


def sensor_noise() -> tuple[Image, Image]:
    """Make sensor noise as what it adds and what it subtracts, larger than the scene so that it can be shifted."""
    noise = np.random.default_rng(1906).normal(0, 2.2, (HEIGHT + 97, WIDTH + 89, 3))
    return np.clip(noise, 0, 20).astype(np.uint8), np.clip(-noise, 0, 20).astype(np.uint8)
