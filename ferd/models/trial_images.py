"""What an unknown model is tried with: noise, flat values, drawn faces and what else a camera may show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ferd.models.preprocess import spec_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ferd.models.sandbox import Scale

NOISE_IMAGES = 4


def inputs(
    shape: tuple[int, ...], scales: Sequence[Scale], limits: tuple[float, float] | None
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (name, real values of the input's shape): noise first, then flat values, then images of faces and others.

    Images go through each of the ``scales``; a quantised input also gets them stretched over all that it can hold.
    """
    rng = np.random.default_rng(0)
    for _ in range(NOISE_IMAGES):
        yield "noise", rng.uniform(-1, 1, shape).astype(np.float32)
    for name, value in (("zeros", 0.0), ("ones", 1.0), ("minus ones", -1.0)):
        yield name, np.full(shape, value, np.float32)
    spec = spec_of(shape)
    if spec is None:
        return  # not an image classifier: the importer says so
    channels = 1 if spec.colour == "gray" else 3
    for name, image in pictures(spec.height, spec.width):
        whole = np.broadcast_to(image[:, :, None], (spec.height, spec.width, channels)).astype(np.float32)
        ways = [(whole / 255 - np.asarray(mean)) / np.asarray(std) for mean, std in scales]
        if limits is not None:
            low, high = limits
            ways.append(low + whole / 255 * (high - low))
        for way in ways:
            ordered = np.moveaxis(way, -1, 0) if spec.layout == "nchw" else way
            yield name, ordered.reshape(shape).astype(np.float32)


def pictures(height: int, width: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield (name, gray values 0 to 255): faces in several lights and sizes, and what else a camera may show."""
    rng = np.random.default_rng(1)
    lights = ((200, 40, 120), (120, 20, 60), (90, 30, 210), (235, 190, 250), (60, 40, 20))
    faces = [_Face(*light) for light in lights]
    faces += [_Face(180, 60, 100, size=1.6), _Face(180, 60, 100, size=0.6)]
    for face in faces:
        yield "a drawn face", face.draw(height, width)
    grain = rng.normal(0, 12, (height, width))
    yield "a drawn face in poor light", np.clip(_Face(50, 20, 35).draw(height, width) + grain, 0, 255)
    ramp = np.linspace(0, 255, width)[None, :].repeat(height, axis=0)
    yield "a gradient", ramp.astype(np.float32)
    yield "a gradient", ramp[:, ::-1].astype(np.float32)
    tiles = np.indices((height, width)) // max(1, min(height, width) // 8)
    yield "a checkerboard", (255 * (tiles.sum(axis=0) % 2)).astype(np.float32)
    for level in (0, 64, 128, 192, 255):
        yield f"a flat image of gray {level}", np.full((height, width), level, np.float32)


@dataclass(frozen=True, slots=True)
class _Face:
    """A face to draw: gray values of skin, hair and room. Size 1: as large as in the crops that classifiers get."""

    skin: float
    hair: float
    room: float
    size: float = 1.0

    def draw(self, height: int, width: int) -> NDArray[np.float32]:
        """Draw head, hair, brows, eyes, nose and mouth by soft ellipses, lit from one side: (height, width)."""
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j] / self.size
        image = np.full(x.shape, float(self.room))
        for cx, cy, rx, ry, value in self._ellipses():
            inside = np.clip((1 - np.hypot((x - cx) / rx, (y - cy) / ry)) * 6 + 0.5, 0, 1)
            image += inside * (value - image)
        lit: NDArray[np.float32] = np.clip(image * (1 + 0.15 * x), 0, 255).astype(np.float32)
        return lit

    def _ellipses(self) -> Iterator[tuple[float, float, float, float, float]]:
        """Yield centre x and y, radius x and y, gray value; the head reaches from -1 to 1."""
        skin, hair = self.skin, self.hair
        yield 0, -0.15, 0.85, 0.95, hair
        yield 0, 0.1, 0.7, 0.9, skin
        for side in (-0.3, 0.3):
            yield side, -0.32, 0.2, 0.05, hair
            yield side, -0.15, 0.15, 0.08, min(255.0, skin + 40)
            yield side, -0.15, 0.07, 0.08, 0.2 * skin
        yield 0, 0.2, 0.12, 0.06, 0.7 * skin
        yield 0, 0.52, 0.3, 0.09, 0.5 * skin
