"""Write what Chromium's fake camera shows: the demo scene as JPEGs one after the other (it plays them at 30 fps).

Usage: python fake_camera.py OUT.mjpeg [VIDEO]   with VIDEO, that recording instead, at its own rate
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from ferd.config import CameraConfig
from ferd.errors import SourceEnded
from ferd.sources.demo import render
from ferd.sources.factory import open_source

FPS = 30
SECONDS = 11.0
"""She is calm, smiles and is calm again."""


def main(out: Path, video: str | None) -> None:
    with out.open("wb") as file:
        for image in scene() if video is None else recording(video):
            file.write(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def scene():
    for index in range(int(SECONDS * FPS)):
        yield render(index / FPS).image


def recording(video: str):
    source = open_source(CameraConfig(source=video), live=False)
    source.open()
    number, image = 0, None
    try:
        while True:
            frame = source.read()
            while image is not None and number / FPS < frame.t:
                yield image
                number += 1
            image = frame.image
    except SourceEnded:
        return
    finally:
        source.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
