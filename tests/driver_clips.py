"""Clips of a drawn driver for the real pipeline: the portrait of the demo scene, with closed eyes and yawns on cue."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from drivers import Act

from ferd.config import load_config
from ferd.sources import demo
from ferd.sources.face_warp import Look, WarpedPortrait
from ferd.types import Frame, Image, Reading
from ferd.vision.loader import Models
from ferd.vision.pipeline import Pipeline

LOOKS = {"shut": Look(lids=1.0), "yawn": Look(jaw=1.0), "laugh": Look(smile=1.0, teeth=1.0)}
DRIVER = (300.0, 1.0)
"""Where the driver's face is (x in pixels), and how large: 1 is about 150 pixels."""
PASSENGER = (520.0, 1.7)


@functools.cache
def _puppet() -> WarpedPortrait:
    return WarpedPortrait(demo.load_portrait())


@functools.cache
def _portrait(what: str) -> Image:
    return _puppet().portrait(LOOKS.get(what, Look()))


def frame(t: float, what: str = "", *, driver: tuple[float, float] = DRIVER, passenger: bool = False) -> Frame:
    """One frame: the driver doing `what` ("away": nobody), perhaps with a passenger before them."""
    image = demo.room()
    if what != "away":
        _draw(image, t, what, driver)
    if passenger:
        _draw(image, t, "", PASSENGER)
    noise = np.random.default_rng(round(t * 1000)).integers(-4, 5, image.shape)
    return Frame(t, np.clip(image + noise, 0, 255).astype(np.uint8))


def clip(acts: Sequence[Act], seconds: float, fps: float) -> Iterator[Frame]:
    """Frames from 0 on; one act at a time."""
    for i in range(int(seconds * fps)):
        t = i / fps
        yield frame(t, next((act.what for act in acts if act.start <= t < act.end), ""))


def readings(frames: Iterator[Frame], config: str = "[fatigue]\nenabled = true\n", folder=None) -> list[Reading]:
    """The whole pipeline with the shipped models over these frames."""
    path = folder / "ferd.toml"
    path.write_text(config)
    loaded = load_config(path, {})
    pipeline = Pipeline.of(Models(loaded), loaded, loaded.cameras["camera"])
    return [pipeline.step(each) for each in frames]


def _draw(image: Image, t: float, what: str, place: tuple[float, float]) -> None:
    way = demo.portrait_to_scene(t, *place)
    person = cv2.warpAffine(_portrait(what), way, (demo.WIDTH, demo.HEIGHT), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(_puppet().alpha, way, (demo.WIDTH, demo.HEIGHT), flags=cv2.INTER_LINEAR)
    cv2.blendLinear(person, image, alpha, 1 - alpha, dst=image)
