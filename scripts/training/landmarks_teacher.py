"""Label faces with MediaPipe's face landmarks (Apache-2.0): points, head pose from the points in space, and doubt.

Runs the landmark network inside face_landmarker.task through LiteRT, on the face and on its mirror image; what the two
disagree on is noise of the teacher, and faces with much of it are dropped.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.vision.landmarks import LABELS, Crop

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

TASK = "teachers/face_landmarker.task"
NETWORK, GEOMETRY = "face_landmarks_detector.tflite", "geometry_pipeline_metadata_landmarks.binarypb"
INPUT = 256
MESH = 468  # landmarks of the mesh; 468 and 473 are the irises
ROI = 1.5  # side of the teacher's crop, in units of the landmarks' extent
SURE = 0.5  # presence that the teacher must report on both looks
AGREE = 0.06  # disagreement of the two looks, mean over our points, in extents of the face
AGAIN = 0.025  # above this disagreement a third look is taken

# In the order of LABELS: our landmark is this one of the mesh.
PICKED = (
    *(33, 160, 159, 158, 133, 153, 145, 144),
    *(263, 387, 386, 385, 362, 380, 374, 373),
    *(70, 105, 107),
    *(300, 334, 336),
    *(1, 98, 327),
    *(61, 0, 291, 17),
    *(78, 13, 308, 14),
    *(152, 172, 397, 234, 454),
    *(468, 473),
)
assert len(PICKED) == len(LABELS)


class TeacherError(Exception):
    """The teacher's file cannot be used; the text names it and the remedy."""


@dataclass(frozen=True)
class Label:
    """What the teacher sees. `points`: (40, 2) in pixels of the picture; angles in degrees as in ferd.vision.landmarks.

    `noise`: mean disagreement of two looks in extents of the face. `depth`: (40,) pixels, smaller is nearer.
    """

    points: NDArray[np.float32]
    yaw: float
    pitch: float
    roll: float
    extent: float
    eye_distance: float  # in space, pixels
    presence: float
    noise: float

    @property
    def crop(self) -> Crop:
        """The square of the upright face, one extent wide."""
        x, y = _middle(self.points.astype(np.float64), self.roll)[0]
        return Crop(x, y, self.extent, self.roll)


class LandmarkTeacher:
    def __init__(self, folder: Path) -> None:
        """Raises TeacherError when the .task file is missing, no archive, or lacks a part."""
        from ai_edge_litert.interpreter import Interpreter

        network, geometry = read_task(folder / TASK)
        self.shape, self.weights = canonical(geometry)
        self.mirror = mirror_map(self.shape)
        self._net = Interpreter(model_content=network, num_threads=1)
        self._net.allocate_tensors()
        self._in = self._net.get_input_details()[0]["index"]
        outputs = {d["name"]: d["index"] for d in self._net.get_output_details()}
        self._points, self._flag = outputs["Identity"], outputs["Identity_1"]

    def label(self, image: Image, five: Sequence[tuple[float, float]]) -> Label | None:
        """Label the face whose eyes, nose and mouth corners were found; None where the teacher is not sure."""
        looks: list[Array] = []
        crop, presence = start(five), 1.0
        for mirrored in (False, True, False):
            mesh, flag = self._look(image, crop, mirrored=mirrored)
            presence = min(presence, flag)
            if presence < SURE:
                return None
            looks.append(mesh)
            crop = self._roi(mesh)
            if len(looks) == 2 and _noise(*looks) < AGAIN:
                break
        noise = _noise(*looks[-2:])
        if noise > AGREE:
            return None
        mesh = (looks[-1] + looks[-2]) / 2
        yaw, pitch, roll = self.pose(mesh)
        points = mesh[list(PICKED), :2]
        _, extent = _middle(points, roll)
        apart = mesh[[33, 133]].mean(axis=0) - mesh[[263, 362]].mean(axis=0)
        return Label(points.astype(np.float32), yaw, pitch, roll, extent, float(np.linalg.norm(apart)), presence, noise)

    def pose(self, mesh: Array) -> tuple[float, float, float]:
        """Yaw, pitch, roll in degrees: the turn that takes the canonical face onto the mesh (weighted Kabsch)."""
        seen = mesh[:MESH] * (1, -1, -1)
        weights = self.weights[:, None] / self.weights.sum()
        a = self.shape - (self.shape * weights).sum(axis=0)
        b = seen - (seen * weights).sum(axis=0)
        u, _, vt = np.linalg.svd((b * weights).T @ a)
        turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        return angles(turn)

    def _look(self, image: Image, crop: Crop, *, mirrored: bool) -> tuple[Array, float]:
        scale = INPUT / crop.side
        cos, sin = math.cos(math.radians(crop.roll)), math.sin(math.radians(crop.roll))
        matrix = scale * np.array([[cos, sin, 0], [-sin, cos, 0]])
        matrix[:, 2] = INPUT / 2 - matrix[:, :2] @ (crop.x, crop.y)
        method = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA
        seen = cv2.warpAffine(image, matrix, (INPUT, INPUT), flags=method, borderMode=cv2.BORDER_REPLICATE)
        code = cv2.COLOR_GRAY2RGB if seen.ndim == 2 else cv2.COLOR_BGR2RGB
        rgb = cv2.cvtColor(seen, code).astype(np.float32) / 255
        self._net.set_tensor(self._in, np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb)[None])
        self._net.invoke()
        mesh = self._net.get_tensor(self._points).reshape(-1, 3).astype(np.float64)
        flag = float(self._net.get_tensor(self._flag).reshape(-1)[0])
        if mirrored:
            mesh = mesh[self.mirror]
            mesh[:, 0] = INPUT - mesh[:, 0]
        flat = (mesh[:, :2] - INPUT / 2) / scale @ np.array([[cos, sin], [-sin, cos]]) + (crop.x, crop.y)
        return np.column_stack([flat, mesh[:, 2] / scale]), 1 / (1 + math.exp(-flag))

    def _roi(self, mesh: Array) -> Crop:
        roll = self.pose(mesh)[2]
        (x, y), extent = _middle(mesh[:MESH, :2], roll)
        return Crop(x, y, ROI * extent, roll)


def read_task(path: Path) -> tuple[bytes, bytes]:
    """The landmark network and the geometry of a face_landmarker.task. Raises TeacherError with the remedy."""
    remedy = "put MediaPipe's face_landmarker.task (float16, Apache-2.0) there, or name the data folder with --data"
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(NETWORK), archive.read(GEOMETRY)
    except FileNotFoundError:
        raise TeacherError(f"{path} is missing: {remedy}") from None
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise TeacherError(f"{path} is not a face_landmarker.task ({error}): {remedy}") from None


def canonical(geometry: bytes) -> tuple[Array, Array]:
    """The canonical face (468, 3), x to the right of the picture, y up, z to the camera, and the landmarks' weights."""
    values: list[float] = []
    weights = np.zeros(MESH)
    try:
        for number, part in fields(geometry):
            if number == 1:
                values = [struct.unpack("<f", v)[0] for n, v in fields(part) if n == 3]
            elif number == 2:
                pair = dict(fields(part))
                weights[int.from_bytes(pair[1], "little")] = struct.unpack("<f", pair[2])[0]
        shape = np.array(values).reshape(MESH, 5)[:, :3]
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise TeacherError(f"{GEOMETRY} in the .task file is of another form ({error}); another release?") from None
    if weights.sum() <= 0:
        raise TeacherError(f"{GEOMETRY} in the .task file names no landmarks for the pose; another release?")
    return shape, weights


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protocol buffer: number and bytes (a varint as little-endian bytes). Raises IndexError."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint().to_bytes(8, "little")
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"field of kind {kind}")
        length = varint() if kind == 2 else 8 if kind == 1 else 4
        if at + length > len(message):
            raise IndexError("the message ends too early")
        yield key >> 3, message[at : at + length]
        at += length


def mirror_map(shape: Array) -> NDArray[np.int64]:
    """(478,): the landmark that each one becomes in a mirror."""
    mirrored = shape * (-1, 1, 1)
    pairs = np.linalg.norm(mirrored[:, None] - shape[None], axis=2).argmin(axis=1)
    return np.concatenate([pairs, range(473, 478), range(468, 473)])


def angles(turn: Array) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of turn = Rz(-roll) Ry(yaw) Rx(pitch); x right, y up, z to the camera."""
    yaw = -math.asin(min(1.0, max(-1.0, turn[2, 0])))
    pitch = math.atan2(turn[2, 1], turn[2, 2])
    roll = -math.atan2(turn[1, 0], turn[0, 0])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def start(five: Sequence[tuple[float, float]]) -> Crop:
    """The teacher's first crop, from eyes, nose and mouth corners (right before left)."""
    right, left, _, mouth_right, mouth_left = (complex(*p) for p in five)
    eyes, mouth = (right + left) / 2, (mouth_right + mouth_left) / 2
    axis = (left - right) - 1j * (mouth - eyes)
    middle = eyes + 0.45 * (mouth - eyes)
    unit = max(abs(left - right), abs(mouth - eyes), 1e-3)
    return Crop(middle.real, middle.imag, 3.5 * unit, math.degrees(math.atan2(axis.imag, axis.real)))


def _noise(a: Array, b: Array) -> float:
    picked = list(PICKED)
    extent = max(np.ptp(a[picked, 0]), np.ptp(a[picked, 1]), 1e-3)
    return float(np.linalg.norm(a[picked, :2] - b[picked, :2], axis=1).mean()) / extent


def _middle(points: Array, roll: float) -> tuple[tuple[float, float], float]:
    """Middle of the upright extent of the points, and its longer side."""
    turn = complex(math.cos(math.radians(roll)), -math.sin(math.radians(roll)))
    upright = (points[:, 0] + 1j * points[:, 1]) * turn
    low = complex(upright.real.min(), upright.imag.min())
    high = complex(upright.real.max(), upright.imag.max())
    middle = (low + high) / 2 / turn
    return (middle.real, middle.imag), max(high.real - low.real, high.imag - low.imag)
