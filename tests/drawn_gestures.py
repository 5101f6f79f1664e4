"""The drawn person of the demo scene makes gestures: the ground truth of the gesture tests."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ferd.sources import demo
from ferd.sources.face_warp import Look, WarpedPortrait
from ferd.types import Frame

GESTURES = (
    "wink_left", "wink_right", "double_blink", "long_blink", "nod", "shake", "tilt_left", "tilt_right",
    "mouth_open", "smile", "brows_up",
)  # fmt: skip
LENGTH_S = {"wink_left": 0.5, "wink_right": 0.5, "double_blink": 0.7, "long_blink": 1.3, "nod": 1.2, "shake": 1.2,
            "tilt_left": 1.1, "tilt_right": 1.1, "mouth_open": 1.3, "smile": 1.8, "brows_up": 1.0}  # fmt: skip
FIRST_S, EVERY_S = 2.5, 4.0
TILT_DEG = 24.0


@dataclass(frozen=True)
class Made:
    """A gesture that the drawn person makes, from `start` to `end` in seconds."""

    name: str
    start: float
    end: float


def script(names: tuple[str, ...] = GESTURES) -> list[Made]:
    """Return what is made when: one gesture every EVERY_S."""
    starts = [FIRST_S + EVERY_S * i for i in range(len(names))]
    return [Made(name, start, start + LENGTH_S[name]) for name, start in zip(names, starts, strict=True)]


def frames(made: list[Made], fps: float, *, lost: float = 0.0, mirror: bool = False, seed: int = 1) -> Iterator[Frame]:
    """Draw (640x480 BGR) from 0 to two seconds after the last gesture; a share of the frames is lost."""
    luck = random.Random(seed)
    for i in range(round((made[-1].end + 2.0) * fps)):
        if luck.random() >= lost:
            frame = _draw(made, i / fps)
            yield Frame(frame.t, np.ascontiguousarray(frame.image[:, ::-1])) if mirror else frame


@functools.cache
def _person() -> tuple[demo.Scene, WarpedPortrait]:
    scene = demo.scene()
    return scene, scene._portrait


def _draw(made: list[Made], t: float) -> Frame:
    scene, portrait = _person()
    doing = next((one for one in made if one.start <= t < one.end), None)
    look, tilt = _look(doing.name, t - doing.start) if doing else (Look(lids=demo.blink(t + 0.3)), 0.0)
    image = scene._room.copy()
    place = np.vstack([demo.portrait_to_scene(t, 320.0, 1.05), [0, 0, 1]])
    turn = np.vstack([cv2.getRotationMatrix2D((266.0, 330.0), -tilt, 1.0), [0, 0, 1]])  # about the neck, clockwise
    matrix = (place @ turn)[:2]
    person, alpha = (cv2.warpAffine(p, matrix, (640, 480)) for p in (portrait.portrait(look), portrait.alpha))
    cv2.blendLinear(person, image, alpha, 1 - alpha, dst=image)
    return Frame(t, scene._with_noise(image, t))


def _look(name: str, t: float) -> tuple[Look, float]:
    """What she shows `t` seconds after a gesture began, and the tilt of her head in degrees."""
    hold = _held(t, LENGTH_S[name])
    wave = math.sin(2 * math.pi * t / 0.6)
    looks = {
        "wink_left": Look(left_lid=hold),
        "wink_right": Look(right_lid=hold),
        "double_blink": Look(lids=max(_held(t, 0.25, 0.06), _held(t - 0.4, 0.25, 0.06))),
        "long_blink": Look(lids=hold),
        "nod": Look(bow=0.8 * wave),
        "shake": Look(turn=wave),
        "mouth_open": Look(jaw=1.3 * hold),
        "smile": Look(smile=1.1 * hold),
        "brows_up": Look(brows=2.0 * hold),
    }
    return looks.get(name, Look()), {"tilt_left": TILT_DEG, "tilt_right": -TILT_DEG}.get(name, 0.0) * hold


def _held(t: float, length: float, ease: float = 0.12) -> float:
    return max(0.0, min(t / ease, (length - t) / ease, 1.0))
