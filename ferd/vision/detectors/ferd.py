"""Our own detector: one pass of a small net over a gray picture gives boxes and five points.

The net looks at a picture of a fixed size and answers, for each cell of three grids (strides of 8, 16 and 32
pixels), with 15 numbers: the logit of "the centre of a face of this grid's size is here", the box, the points.
No anchors, as in CenterNet (Zhou et al. 2019) and FCOS (Tian et al. 2019).
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.errors import ModelError
from ferd.models import sandbox as trial
from ferd.models.bundle import Bundle
from ferd.models.runtime import Network
from ferd.types import Box, Face, Frame, Image, Landmarks
from ferd.vision.align import Similarity, cut_turned
from ferd.vision.geometry import roll

STRIDES = (8, 16, 32)
VALUES = 15
"""Of one cell: logit, centre x and y, width, height, five points (x, y)."""
SIZE_UNIT = 4.0
"""A width is stride * 4 * exp(value / 4): all values then have about the same range, as one int8 scale wants it."""
PLACE_UNIT = 0.5
"""Centre and points lie value * stride / 2 from the middle of the cell."""
CUT = 0.85
"""A face that reaches further down the upper part of a tall frame is perhaps cut off there: the first look holds."""
DOUBTFUL, SURE = 0.3, 0.65
"""Between these scores it may be a face: it is looked at once more, alone, and has to reach the threshold then."""
BESIDE = 0.4
"""What lies beside a sure face is looked at again only from this score on: the ordinary frame costs one pass."""
CLOSER_LOOKS = 2
"""So many doubtful faces of a frame are looked at once more, the surest first: that bounds what a frame can cost."""
CLOSER_SIDE = 64
"""Pixels of the input that the longer side of a doubtful face then has."""
NEAR = 0.2
"""What the closer look finds overlaps the doubtful box by more than this; that is often a rough one."""
SAME_FACE = 0.4
"""Two boxes that overlap by more than this are one face. Heads side by side overlap less."""


def letterbox(picture: Image, size: tuple[int, int]) -> tuple[Image, float]:
    """A gray picture (H, W) in the top left corner of a black one of `size` (width, height), as large as fits.

    Also returns by how much it was scaled.
    """
    height, width = picture.shape
    scale = min(size[0] / width, size[1] / height)
    new = min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale)))
    if new != (width, height):
        picture = np.asarray(
            cv2.resize(picture, new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
        )
    if new == size:
        return picture, scale
    canvas = np.zeros((size[1], size[0]), np.uint8)
    canvas[: new[1], : new[0]] = picture
    return canvas, scale


def grid(size: tuple[int, int]) -> NDArray[np.float32]:
    """(cells, 3): x and y of the middle of each cell and its stride, in pixels, in the order of the net's output."""
    parts = []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        middle = np.stack([x, y], axis=-1).reshape(-1, 2) * stride + stride / 2
        parts.append(np.column_stack([middle, np.full(len(middle), stride)]))
    return np.concatenate(parts).astype(np.float32)


def decode(values: NDArray[np.floating], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 15) numbers of the net for n cells -> (n, 15): score, box x y w h, points, in pixels of the input."""
    stride = cells[:, 2:3]
    out = np.empty(values.shape, np.float32)
    out[:, 0] = 1 / (1 + np.exp(-values[:, 0]))
    size = stride * np.float32(SIZE_UNIT) * np.exp(np.clip(values[:, 3:5], -8, 8) / np.float32(SIZE_UNIT))
    out[:, 1:3] = cells[:, :2] + values[:, 1:3] * stride * np.float32(PLACE_UNIT) - size / 2
    out[:, 3:5] = size
    middle = np.tile(cells[:, :2], 5)
    out[:, 5:] = middle + values[:, 5:] * stride * np.float32(PLACE_UNIT)
    return out


def weighted_nms(rows: NDArray[np.float32], least_overlap: float = SAME_FACE) -> NDArray[np.float32]:
    """Rows of `decode` that mean the same face become one: their mean, weighted by score; the best score stays.

    The mean of neighbouring cells is truer than the best cell alone, and smooths int8 steps (point error 5.1 % of the
    width; the best alone 5.5, weights by the plain square 5.3).
    """
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    ends = rows[:, 1:3] + rows[:, 3:5]
    area = rows[:, 3] * rows[:, 4]
    merged = []
    left = np.ones(len(rows), bool)
    for best in range(len(rows)):
        if not left[best]:
            continue
        both = np.minimum(ends[best], ends) - np.maximum(rows[best, 1:3], rows[:, 1:3])
        shared = np.prod(np.maximum(both, 0), axis=1)
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
    """The shipped `face` model behind the detector seam. Gray only: infrared pictures are as good as any."""

    name = "face"
    gray = True

    def __init__(self, bundle: Bundle, min_face_px: int, threshold: float | None = None) -> None:
        """`min_face_px` in pixels of the frame. `threshold`: all that reaches this score in the first look is a face;
        without it doubtful faces are looked at once more, and the card's threshold holds.

        Raises ModelError when the file is broken or is not a face model.
        """
        if bundle.input is None or bundle.input.colour != "gray" or bundle.card.get("kind") != "face":
            raise ModelError(f"{bundle.path}: is no face model of ferd: its card does not say so")
        if not bundle.checksum_ok and (reason := trial.probe(bundle.path)):
            raise ModelError(f"{bundle.path}: {reason.removeprefix(f'{bundle.path}: ')}. Copy it again")
        self._network = Network(bundle.path)
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
        values = (np.arange(256, dtype=np.float32) / 255 - np.float32(spec.mean)) / np.float32(spec.std)
        self._lookup = self._network.input.quantise(values)
        self._output = output
        self._min_face = min_face_px
        self.threshold = float(bundle.card.get("threshold", 0.5) if threshold is None else threshold)
        self._lowest = DOUBTFUL if threshold is None else threshold
        self._sure = max(SURE, self.threshold) if threshold is None else threshold
        chance = min(max(self._lowest, 1e-4), 1 - 1e-4)
        self._least = output.quantise(np.array(math.log(chance / (1 - chance)), np.float32))

    def __call__(self, frame: Frame) -> list[Face]:
        faces = self._faces(self.prepare(frame), frame.width, frame.height)
        if frame.height > frame.width:
            faces = _either(faces, self._upper_part(frame))
        faces = [face for face in faces if max(face.box.w, face.box.h) >= self._min_face]
        sure = [face for face in faces if face.score >= self._sure]
        closer = [seen for face in self._doubtful(faces, sure) for seen in self._closer(frame.image, face)]
        return _either(sure, closer) if closer else sure

    def _faces(self, picture: Image, width: int, height: int) -> list[Face]:
        """The faces in a prepared picture, in pixels of the picture that it was: so wide and high."""
        factor = 1 / min(self.size[0] / width, self.size[1] / height)
        return [_face(row, factor) for row in self.search(picture) if row[0] >= self._lowest]

    def _doubtful(self, faces: list[Face], sure: list[Face]) -> list[Face]:
        """Those worth another look. What lies on a sure face is a part of it."""
        least = BESIDE if sure else self._lowest
        wanted = [face for face in faces if least <= face.score < self._sure]
        return [face for face in wanted if not any(_holds(s.box, face.box.centre) for s in sure)][:CLOSER_LOOKS]

    def _closer(self, picture: Image, face: Face) -> list[Face]:
        """A doubtful face seen once more, upright and CLOSER_SIDE pixels high; none when that shows no face there.

        Small and tilted heads are found so: of heads tilted by 30 degrees 95 % instead of 92, of those amid 640x480
        pixels 97 instead of 93, and fewer rooms give an alarm. It costs another pass in one room of ten, and in one
        picture of people of ten.
        """
        assert face.points
        tilt, centre = roll(face.points), face.box.centre
        unit = max(face.box.w, face.box.h) / CLOSER_SIDE
        cut = cut_turned(picture, centre, unit * self.size[0], tilt, self.size)
        rows = self.search(cut if cut.ndim == 2 else np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), np.uint8))
        back = Similarity(unit * cmath.rect(1, tilt), complex(*centre))
        seen = [_placed(_face(row, 1.0), back, self.size) for row in rows if row[0] >= self.threshold]
        return [near for near in seen if near.box.overlap(face.box) > NEAR][:1]

    def _upper_part(self, frame: Frame) -> list[Face]:
        """A second look at the upper part of a tall frame, where heads are: the whole of it shrinks too much.

        Of the held back faces 97.6 % are found instead of 94.4 %, all the more in street pictures of 400x600. It costs
        another pass, in tall frames only.
        """
        height = min(frame.height, round(frame.width * self.size[1] / self.size[0]))
        upper = np.ascontiguousarray(frame.image[:height])
        faces = self._faces(self.prepare(Frame(frame.t, upper)), frame.width, height)
        return [face for face in faces if face.box.y + face.box.h < CUT * height]

    def prepare(self, frame: Frame) -> Image:
        """(height, width) gray of the input's size; from the camera's own small stream where that is large enough."""
        small = frame.small
        if small is not None and (small.shape[1] >= self.size[0] or small.shape[0] >= self.size[1]):
            return letterbox(small, self.size)[0]
        picture = frame.image
        if picture.ndim == 3:
            picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        return letterbox(picture, self.size)[0]

    def search(self, picture: Image) -> Any:
        """Rows of score, box, points in pixels of the picture, one for each face, best first."""
        stored = self._network.invoke(cv2.LUT(picture, self._lookup)[None, :, :, None])[0]
        found = np.flatnonzero(stored[:, 0] >= self._least)
        return weighted_nms(decode(self._output.dequantise(stored[found]), self._cells[found]))

    def __repr__(self) -> str:
        return f"<FerdDetector {self.size[0]}x{self.size[1]} threshold={self.threshold:.2f} {self._network!r}>"


def _either(wide: list[Face], close: list[Face]) -> list[Face]:
    """The faces of both looks, best first; where both saw one face, the surer look holds."""
    kept: list[Face] = []
    for face in sorted([*wide, *close], key=lambda face: -face.score):
        if all(face.box.overlap(other.box) <= SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.x <= point[0] < box.x + box.w and box.y <= point[1] < box.y + box.h


def _placed(face: Face, back: Similarity, size: tuple[int, int]) -> Face:
    """A face of a turned look, in pixels of the picture: `back` takes what is seen from the look's middle there.

    Its box becomes the upright box around the turned ellipse in it, as in training.
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
    score, *rest = (float(v) for v in row)
    x, y, w, h, *places = (value * factor for value in rest)
    return Face(Box(x, y, w, h), Landmarks(*zip(places[::2], places[1::2], strict=True)), score)
