"""Detect faces by ferd's own network: one pass over a gray image gives boxes and five landmarks.

The input has a fixed size. For each cell of three grids (strides of 8, 16 and 32 pixels) the output holds 15 numbers:
the logit of "the centre of a face of this grid's size is here", the box, the landmarks. There are no anchors, as in
CenterNet (Zhou et al. 2019) and FCOS (Tian et al. 2019).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models.bundle import Bundle
from ferd.models.registry import load_network
from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.align import Similarity, cut_turned
from ferd.vision.detectors.base import contains
from ferd.vision.geometry import head_roll
from ferd.vision.images import to_gray

STRIDES = (8, 16, 32)
VALUES = 15
"""Numbers of one cell: logit, centre x and y, width, height, five landmarks (x, y)."""
SIZE_UNIT = 4.0
"""A width is stride * 4 * exp(value / 4): all values then have about the same range, as a single int8 scale needs."""
PLACE_UNIT = 0.5
"""Centre and landmarks lie value * stride / 2 from the middle of the cell."""
UPPER_PART = 0.85
"""A face that reaches further down the upper part of a tall frame may be cut off there: the whole frame decides."""
DOUBTFUL, CERTAIN = 0.3, 0.65
"""Candidates with a score between these are searched a second time, alone, and must reach the threshold then."""
BESIDE = 0.4
"""Beside a certain face, candidates below this score are dropped: the ordinary frame costs one pass."""
REFINE_LIMIT = 2
"""Number of doubtful faces of a frame that get a second pass, best first: bounds the cost of a frame."""
REFINE_SIDE = 64
"""Length of a doubtful face's longer side in the second pass, in pixels of the input."""
NEAR = 0.2
"""Least overlap of a face in the second pass with the doubtful box, which is often a rough one."""
SAME_FACE = 0.4
"""Boxes that overlap by more than this are one face. Heads side by side overlap less."""

IsFace = Callable[[Image, Face], bool]


def letterbox(image: Image, size: tuple[int, int]) -> tuple[Image, float]:
    """Scale a gray image (H, W) into the top left corner of a black one of `size` (width, height), as large as fits.

    Returns the new image and the scale.
    """
    height, width = image.shape
    scale = min(size[0] / width, size[1] / height)
    new = min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale)))
    if new != (width, height):
        image = np.asarray(
            cv2.resize(image, new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
        )
    if new == size:
        return image, scale
    canvas = np.zeros((size[1], size[0]), np.uint8)
    canvas[: new[1], : new[0]] = image
    return canvas, scale


def grid(size: tuple[int, int]) -> NDArray[np.float32]:
    """Return (cells, 3): x and y of each cell's middle and its stride, in pixels, in the order of the output."""
    parts = []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        middle = np.stack([x, y], axis=-1).reshape(-1, 2) * stride + stride / 2
        parts.append(np.column_stack([middle, np.full(len(middle), stride)]))
    return np.concatenate(parts).astype(np.float32)


def decode(values: NDArray[np.floating], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (n, 15) outputs of n cells into (n, 15): score, box x y w h, landmarks, in pixels of the input."""
    stride = cells[:, 2:3]
    out = np.empty(values.shape, np.float32)
    out[:, 0] = 1 / (1 + np.exp(-values[:, 0]))
    bounded = np.minimum(np.maximum(values[:, 3:5], -8), 8)
    size = stride * np.float32(SIZE_UNIT) * np.exp(bounded / np.float32(SIZE_UNIT))
    out[:, 3:5] = size
    # Centre and landmarks are six places (x, y) from the middle of the cell.
    places = values[:, _PLACES] * (stride * np.float32(PLACE_UNIT))
    middle = cells[:, None, :2] + places.reshape(-1, 6, 2)
    middle[:, 0] -= size / 2
    out[:, _PLACES] = middle.reshape(-1, 12)
    return out


_PLACES = np.array([1, 2, *range(5, VALUES)])


def weighted_nms(rows: NDArray[np.float32], least_overlap: float = SAME_FACE) -> NDArray[np.float32]:
    """Rows of `decode` that mean the same face become one: their mean, weighted by score; the best score stays.

    The mean of neighbouring cells is truer than the best cell alone, and smooths int8 steps (point error 5.1 % of the
    width; the best alone 5.5, weights by the plain square 5.3).
    """
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    starts = rows[:, 1:3]
    ends = starts + rows[:, 3:5]
    area = rows[:, 3] * rows[:, 4]
    merged = []
    left = np.ones(len(rows), bool)
    for best in range(len(rows)):
        if not left[best]:
            continue
        both = np.minimum(ends[best], ends) - np.maximum(starts[best], starts)
        np.maximum(both, 0, out=both)
        shared = both[:, 0] * both[:, 1]
        same = left & (shared > least_overlap * (area[best] + area - shared))
        left &= ~same
        same[best] = True
        left[best] = False
        weights = rows[same, 0] ** 8
        row = (weights[:, None] * rows[same]).sum(axis=0) / weights.sum()
        row[0] = rows[best, 0]
        merged.append(row)
    return np.array(merged, np.float32).reshape(-1, VALUES)


class FerdDetector:
    """Detect faces with the shipped `face` model. It sees gray only, so infrared images are as good as any.

    Attributes:
        is_face: another model's word on doubtful faces that the second pass does not find; None: they are none.
    """

    name = "face"
    gray = True

    def __init__(self, bundle: Bundle, min_face_px: int, threshold: float | None = None) -> None:
        """Load a bundle.

        Args:
            min_face_px: in pixels of the frame.
            threshold: what reaches this score in the first pass is a face. Without it doubtful faces get a second
                pass, and the card's threshold applies.

        Raises:
            ModelError: the file is broken or is not a face model.
        """
        if bundle.input is None or bundle.input.colour != "gray" or bundle.card.get("kind") != "face":
            raise ModelError(f"{bundle.path}: is not a face model of ferd: its card does not say so")
        self._network = load_network(bundle)
        self.is_face: IsFace | None = None
        spec = bundle.input
        self.size = (spec.width, spec.height)
        self._cells = grid(self.size)
        output = self._network.outputs[0]
        if self._network.input.shape != (1, spec.height, spec.width, 1) or output.shape != (
            1,
            len(self._cells),
            VALUES,
        ):
            raise ModelError(f"{bundle.path}: its shapes are not those of its card; the two do not belong together")
        self._lookup = spec.lookup_table(self._network.input)
        self._output = output
        self._min_face = min_face_px
        self.threshold = float(bundle.card.get("threshold", 0.5) if threshold is None else threshold)
        self._lowest = DOUBTFUL if threshold is None else threshold
        self._certain = max(CERTAIN, self.threshold) if threshold is None else threshold
        chance = min(max(self._lowest, 1e-4), 1 - 1e-4)
        self._least = output.quantise(np.array(math.log(chance / (1 - chance)), np.float32))

    def __call__(self, frame: Frame) -> list[Face]:
        faces = self._faces(self.prepare(frame), frame.width, frame.height)
        if frame.height > frame.width:
            faces = _joined(faces, self._upper_part(frame))
        faces = [face for face in faces if max(face.box.w, face.box.h) >= self._min_face]
        certain = [face for face in faces if face.score >= self._certain]
        refined = [seen for face in self._doubtful(faces, certain) for seen in self._second_look(frame.image, face)]
        return _joined(certain, refined) if refined else certain

    def _faces(self, image: Image, width: int, height: int) -> list[Face]:
        """Return the faces in a prepared image, in pixels of the original of this width and height."""
        factor = 1 / min(self.size[0] / width, self.size[1] / height)
        return [_face(row, factor) for row in self.search(image) if row[0] >= self._lowest]

    def _doubtful(self, faces: list[Face], certain: list[Face]) -> list[Face]:
        """Return the candidates for a second pass. What lies on a certain face is a part of it."""
        least = BESIDE if certain else self._lowest
        wanted = [face for face in faces if least <= face.score < self._certain]
        return [face for face in wanted if not any(contains(s.box, face.box.centre) for s in certain)][:REFINE_LIMIT]

    def _second_look(self, image: Image, face: Face) -> list[Face]:
        seen = self._refine(image, face)
        if not seen and self.is_face is not None and self.is_face(image, face):
            return [replace(face, score=self._certain)]
        return seen

    def _refine(self, image: Image, face: Face) -> list[Face]:
        """Search a doubtful face again, upright and REFINE_SIDE pixels high. Returns [] when no face is found there.

        Finds small and tilted heads: of heads tilted by 30 degrees 95 % instead of 92, of those in 640x480 pixels 97
        instead of 93, with fewer false alarms in empty rooms. It costs a second pass in one of ten rooms and in one of
        ten images of people.
        """
        assert face.points
        tilt, centre = head_roll(face.points), face.box.centre
        unit = max(face.box.w, face.box.h) / REFINE_SIDE
        cut = cut_turned(image, centre, unit * self.size[0], tilt, self.size)
        rows = self.search(to_gray(cut))
        back = Similarity(unit * cmath.rect(1, tilt), complex(*centre))
        seen = [_mapped(_face(row, 1.0), back, self.size) for row in rows if row[0] >= self.threshold]
        return [near for near in seen if near.box.overlap(face.box) > NEAR][:1]

    def _upper_part(self, frame: Frame) -> list[Face]:
        """Search the upper part of a tall frame again, where heads are: the whole frame shrinks too much.

        Of the held-back faces 97.6 % are found instead of 94.4 %, most of them in street images of 400x600. It costs a
        second pass, in tall frames only.
        """
        height = min(frame.height, round(frame.width * self.size[1] / self.size[0]))
        upper = np.ascontiguousarray(frame.image[:height])
        faces = self._faces(self.prepare(Frame(frame.t, upper)), frame.width, height)
        return [face for face in faces if face.box.y + face.box.h < UPPER_PART * height]

    def prepare(self, frame: Frame) -> Image:
        """Return (height, width) gray of the input's size, from the camera's small stream if that is large enough."""
        small = frame.small
        if small is not None and (small.shape[1] >= self.size[0] or small.shape[0] >= self.size[1]):
            return letterbox(small, self.size)[0]
        image = frame.image
        return letterbox(to_gray(image), self.size)[0]

    def search(self, image: Image) -> Any:
        """Return rows of score, box, landmarks in pixels of the image, one for each face, best first."""
        stored = self._network.invoke(cv2.LUT(image, self._lookup)[None, :, :, None])[0]
        found = np.flatnonzero(stored[:, 0] >= self._least)
        return weighted_nms(decode(self._output.dequantise(stored[found]), self._cells[found]))

    def __repr__(self) -> str:
        return f"<FerdDetector {self.size[0]}x{self.size[1]} threshold={self.threshold:.2f} {self._network!r}>"


def _joined(wide: list[Face], close: list[Face]) -> list[Face]:
    """Join the faces of two passes, best first; of one face that both found, the better score stays."""
    kept: list[Face] = []
    for face in sorted([*wide, *close], key=lambda face: -face.score):
        if all(face.box.overlap(other.box) <= SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _mapped(face: Face, back: Similarity, size: tuple[int, int]) -> Face:
    """Map a face of a rotated pass into the frame; `back` maps offsets from the middle of the pass.

    Its box becomes the upright box around the rotated ellipse in it, as in training.
    """
    middle = complex(*size) / 2

    def place(point: tuple[float, float]) -> tuple[float, float]:
        there = back.turn * (complex(*point) - middle) + back.shift
        return there.real, there.imag

    assert face.points
    cos, sin = abs(back.turn.real), abs(back.turn.imag)
    w, h = math.hypot(face.box.w * cos, face.box.h * sin), math.hypot(face.box.w * sin, face.box.h * cos)
    x, y = place(face.box.centre)
    return Face(Box(x - w / 2, y - h / 2, w, h), Landmarks(*map(place, face.points)), face.score)


def _face(row: NDArray[np.float32], factor: float) -> Face:
    score, *rest = row.tolist()
    x, y, w, h, *places = (value * factor for value in rest)
    return Face(Box(x, y, w, h), Landmarks(*zip(places[::2], places[1::2], strict=True)), score)
