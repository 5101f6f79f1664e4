"""What cheap cameras and night do to a picture: light, contrast, blur, coarse pixels, noise, JPEG."""

from __future__ import annotations

import math

import cv2
import numpy as np

from training.face_net import HEIGHT, WIDTH
from training.face_teacher import Gray

_Y, _X = (axis.astype(np.float32) for axis in np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j])
_GRAIN = np.random.default_rng(8322).standard_normal((2 * HEIGHT, 2 * WIDTH), np.float32)


def degrade(picture: Gray, rng: np.random.Generator) -> Gray:
    """(256, 320) uint8 -> the same, as another camera would have seen it."""
    if rng.random() < 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4)), np.uint8)
    if rng.random() < 0.12:
        factor = rng.uniform(0.5, 0.9)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.25:
        picture = _lamp(picture, rng)
    if rng.random() < 0.6:
        picture = np.asarray(cv2.LUT(picture, _night(rng) if rng.random() < 0.25 else _light(rng)), np.uint8)
    if rng.random() < 0.3:
        picture = _grain(picture, rng)
    if rng.random() < 0.2:
        done, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8) if done else picture
    return picture


def _light(rng: np.random.Generator) -> Gray:
    """A table: gamma, contrast, exposure."""
    x = np.linspace(0, 1, 256) ** math.exp(rng.uniform(-0.7, 0.7))
    low, high = (0.0, 1.0) if rng.random() < 0.6 else (rng.uniform(0, 0.3), rng.uniform(0.4, 1.0))
    return _table((low + x * (high - low)) * math.exp(rng.uniform(-0.5, 0.4)))


def _night(rng: np.random.Generator) -> Gray:
    """A table: a half to a tenth of the light."""
    return _table(np.linspace(0, 1, 256) ** rng.uniform(0.8, 1.8) * math.exp(rng.uniform(-2.3, -0.7)))


def _table(x: np.ndarray) -> Gray:
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8)


def _lamp(picture: Gray, rng: np.random.Generator) -> Gray:
    """From one side, or one in the middle as infrared lamps are."""
    if rng.random() < 0.5:
        light = 1 + rng.uniform(-0.6, 0.6) * _X + rng.uniform(-0.4, 0.4) * _Y
    else:
        light = 1.2 - rng.uniform(0.3, 0.9) * (_X**2 + _Y**2)
    return np.asarray(np.clip(picture * light, 0, 255), np.uint8)


def _grain(picture: Gray, rng: np.random.Generator) -> Gray:
    """Noise, cut out of a larger sheet of it; less where the picture is dark."""
    y, x = rng.integers(HEIGHT), rng.integers(WIDTH)
    noise = _GRAIN[y : y + HEIGHT, x : x + WIDTH]
    strength = np.float32(rng.uniform(1.3, 15.0) * min(1.0, 0.2 + float(picture.mean()) / 80))
    return np.asarray(np.clip(picture + noise * strength, 0, 255), np.uint8)
