"""Runs the real pipeline over the demo scene and draws what it read at some moments, with the band of the whole."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from ferd.config import CameraConfig, Config
from ferd.replay import frames
from ferd.sources.factory import open_source
from ferd.types import Frame, Reading
from ferd.vision.pipeline import Models

FPS = 10
COLOURS = {  # BGR
    None: (90, 90, 90),
    "neutral": (200, 200, 200),
    "happiness": (60, 200, 240),
    "surprise": (200, 100, 200),
    "sadness": (220, 130, 70),
    "anger": (70, 70, 220),
    "fear": (200, 200, 80),
    "disgust": (90, 180, 90),
}
TILE = (400, 300)
FONT = cv2.FONT_HERSHEY_DUPLEX


def main(out: Path) -> None:
    story = read_scene()
    chosen = [one_of(story, label) for label in ("neutral", "happiness", "surprise", "sadness")]
    tiles = [tile(frame, reading) for frame, reading in chosen if frame is not None]
    picture = np.vstack([np.hstack(tiles), band(story, TILE[0] * len(tiles))])
    picture = cv2.resize(picture, (1200, picture.shape[0] * 1200 // picture.shape[1]), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(out), picture)
    print(f"{out}: {picture.shape[1]}x{picture.shape[0]}")


def read_scene() -> list[tuple[Frame, Reading]]:
    pipeline = Models(Config()).pipeline(CameraConfig())
    source = open_source(CameraConfig(source="demo", fps=FPS), live=False)
    source.open()
    return [(frame, pipeline.step(frame)) for frame in frames(source)]


def one_of(story: list[tuple[Frame, Reading]], label: str) -> tuple[Frame | None, Reading | None]:
    """The moment at which `label` is held most surely."""
    held = [pair for pair in story if pair[1].main_face and pair[1].main_face.expression == label]
    return max(held, key=lambda pair: pair[1].main_face.confidence, default=(None, None))


def tile(frame: Frame, reading: Reading) -> np.ndarray:
    picture = frame.image.copy()
    face = reading.main_face
    colour = COLOURS[face.expression]
    x, y, w, h = map(round, face.track.face.box)
    cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 3, cv2.LINE_AA)
    cv2.putText(picture, f"{face.expression} {face.confidence:.2f}", (14, 38), FONT, 1.0, colour, 2, cv2.LINE_AA)
    picture[330:474, 6:196] //= 3  # a dark ground for the bars
    for row, (label, share) in enumerate(sorted(face.smooth.items(), key=lambda item: -item[1])[:4]):
        top = 340 + row * 32
        cv2.rectangle(picture, (14, top), (14 + round(174 * share), top + 22), COLOURS[label], -1)
        ink = (30, 30, 30) if share > 0.6 else COLOURS[label]
        cv2.putText(picture, label, (18, top + 17), FONT, 0.6, ink, 1, cv2.LINE_AA)
    return cv2.resize(picture, TILE, interpolation=cv2.INTER_AREA)


def band(story: list[tuple[Frame, Reading]], width: int) -> np.ndarray:
    """What was held when, from left to right."""
    strip = np.full((70, width, 3), 24, np.uint8)
    before = None
    for index, (_, reading) in enumerate(story):
        left, right = (round(width * i / len(story)) for i in (index, index + 1))
        face = reading.main_face
        label = face.expression if face else None
        strip[8:40, left:right] = COLOURS[label] if face else (40, 40, 40)
        if face and label and label != before:
            cv2.putText(strip, label, (left + 2, 60), FONT, 0.5, COLOURS[label], 1, cv2.LINE_AA)
        before = label if face else None
    return strip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
