"""Collect face tiles with the teacher's labels, and tiles that show no face; cached in one file in the work folder."""

from __future__ import annotations

import json
import multiprocessing
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.vision.landmarks import cut
from training.face_teacher import Teacher
from training.landmarks_teacher import Label, LandmarkTeacher

Image = NDArray[np.uint8]

TILE = 192  # pixels; a face's extent takes UNIT of them
UNIT = 64
LEAST = 34  # pixels: the extent of the smallest face that the teacher labels
LOOK = 400  # pixels: the longer side of a picture as the detector sees it
SMALL = 160  # pixels: pictures below are enlarged for the detector
EMPTY = 96  # pixels: tiles without a face
EMPTY_EACH = 14  # tiles of a picture without a face
BESIDE_EACH = 2  # tiles beside the faces of a picture
ROOM = 0.6  # share of a tile inside the picture from which on its surroundings are real
SOURCES = ("faces", "drivers", "infrared", "eye_state", "photos", "rafdb", "affectnet_ffhq", "kdef", "jaffe")
HELD = {"infrared": ("3", "8", "11"), "jaffe": ("KM",)}  # people held back from small sets
EYES = ("unknown", "open", "closed")


@dataclass(frozen=True)
class Job:
    """A picture to label. `held`: kept back, with everything else of the same person. `eyes`: index into EYES."""

    source: str
    name: str
    held: bool
    file: Path | None = None
    packed: bytes = b""
    eyes: int = 0
    turned: bool = False


@dataclass(frozen=True)
class Found:
    """Faces and empty places of one picture, ready to be stored."""

    tiles: list[Image]
    points: list[NDArray[np.float32]]  # (40, 2), in extents of the face from its middle, upright
    pose: list[tuple[float, float, float, float, float]]  # yaw, pitch, roll, eye distance in space (extents), noise
    size: list[float]  # extent in pixels of the picture
    room: list[float]  # share of the tile inside the picture
    boxes: list[tuple[float, float, float]]  # detector's box from the face: x, y of its middle, longer side; extents
    empty: list[Image]


def collect(folder: Path, path: Path, *, workers: int = 2) -> None:
    """Label all pictures and write the cache. Raises TeacherError when the teacher's file cannot be used."""
    from tqdm import tqdm

    LandmarkTeacher(folder)  # a broken file is reported here, not by each worker
    jobs = list(all_jobs(folder))
    with multiprocessing.get_context("spawn").Pool(workers, _begin, (folder,)) as pool:
        found = list(tqdm(pool.imap(_label, jobs, chunksize=16), "teacher", len(jobs), mininterval=10))
    save(path, jobs, found)


def save(path: Path, jobs: list[Job], found: list[Found]) -> None:
    """Write the cache: one row a face, and the empty tiles."""
    owners = [job for job, f in zip(jobs, found, strict=True) for _ in f.tiles]
    empty = [(tile, job) for job, f in zip(jobs, found, strict=True) for tile in f.empty]
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.stem}.new.npz")
    np.savez(
        new,
        tiles=np.stack([t for f in found for t in f.tiles]),
        points=np.stack([p for f in found for p in f.points]),
        pose=np.array([p for f in found for p in f.pose], np.float32),
        size=np.array([s for f in found for s in f.size], np.float32),
        room=np.array([r for f in found for r in f.room], np.float32),
        boxes=np.array([b for f in found for b in f.boxes], np.float32),
        source=np.array([SOURCES.index(job.source) for job in owners], np.uint8),
        held=np.array([job.held for job in owners], bool),
        eyes=np.array([job.eyes for job in owners], np.uint8),
        name=np.array([job.name for job in owners]),
        empty=np.stack([tile for tile, _ in empty]),
        empty_held=np.array([job.held for _, job in empty], bool),
    )
    new.replace(path)


def all_jobs(folder: Path) -> Iterator[Job]:
    """All pictures of all sources that are there. Held back are whole people, where the source names them."""
    from training.face_data import HELD_EYE_STATE, HELD_PARTS, person
    from training.face_data import _same as group_drivers

    for file in sorted({json.loads(line)["file"] for line in _lines(folder / "faces.jsonl")}):
        yield Job("faces", file, aside(person(file), HELD_PARTS), folder / file)
    for file in sorted((folder / "no_faces").glob("*.jpg")):
        yield Job("faces", f"no_faces/{file.name}", aside(file.name, 3), file)
    for group in group_drivers(sorted((folder / "drivers").glob("*/*.jpg"))):
        held = aside(f"{group[0].parent.name} {group[0].name}", HELD_PARTS)
        for file in group:
            yield Job("drivers", f"{file.parent.name}/{file.name}", held, file)
    for line in _lines(folder / "nir.jsonl"):
        row = json.loads(line)
        yield Job("infrared", row["file"], str(row["person"]) in HELD["infrared"], folder / row["file"])
    for line in _lines(folder / "faces_eye_state.jsonl"):
        row = json.loads(line)
        held = aside(f"faces {row['file']}", HELD_EYE_STATE)
        yield Job("eye_state", row["file"], held, folder / row["file"], eyes=EYES.index(row["eyes"]), turned=True)
    for file in sorted((folder / "photos").glob("*/*.jpg")):
        yield Job("photos", file.name, aside(re.sub(r"[_\d]+$", "", file.stem), 8), file)
    for source in ("rafdb", "affectnet_ffhq"):
        yield from _packed(source, folder / f"{source}.npz")
    for source, start, end in (("kdef", 1, 4), ("jaffe", 0, 2)):
        for file in sorted((folder / source).glob("*/*.jpg")):
            who = file.name[start:end]
            held = who in HELD[source] if source in HELD else aside(f"{source} {who}", 8)
            yield Job(source, file.name, held, file)


def aside(name: str, parts: int) -> bool:
    """Return True for one name in `parts`, always the same ones."""
    return zlib.crc32(name.encode()) % parts == 0


def _packed(source: str, path: Path) -> Iterator[Job]:
    if not path.exists():
        return
    with np.load(path, allow_pickle=False) as data:
        jpg, offset, names = data["jpg"], data["offset"], data["name"]
    for i, name in enumerate(names):
        packed = jpg[offset[i] : offset[i + 1]].tobytes()
        yield Job(source, str(name), aside(f"{source} {name}", 10), packed=packed)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


_tools: tuple[Teacher, LandmarkTeacher] | None = None


def _begin(folder: Path) -> None:
    global _tools  # noqa: PLW0603 - one teacher a process
    cv2.setNumThreads(1)
    _tools = Teacher(folder), LandmarkTeacher(folder)


def _label(job: Job) -> Found:
    assert _tools
    detector, teacher = _tools
    found = Found([], [], [], [], [], [], [])
    image = _read(job)
    if image is None:
        return found
    if job.name.startswith("no_faces/"):
        found.empty.extend(_empty(image, [], EMPTY_EACH, job.name))
        return found
    zoom = min(1.0, LOOK / max(image.shape))
    if zoom < 1:
        look = np.asarray(cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        look = image
    if job.turned:
        look, faces = detector.turned(look)
        image, zoom = look, 1.0
    else:
        faces = detector.close(look) if max(look.shape) <= SMALL * 2 else detector.faces(look, [])
    boxes = [np.array(face.box) / zoom for face, _ in faces]
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    for (face, doubted), box in zip(faces, boxes, strict=True):
        if doubted or face.points is None or max(box[2:]) < LEAST:
            continue
        label = teacher.label(image, [(x / zoom, y / zoom) for x, y in face.points])
        if label is not None and label.extent >= LEAST:
            _add(found, gray, label, box)
    if job.source in ("faces", "drivers", "infrared") and faces:
        found.empty.extend(_empty(image, boxes, BESIDE_EACH, job.name))
    return found


def _add(found: Found, gray: Image, label: Label, box: NDArray[np.float64]) -> None:
    crop = label.crop
    turn = np.exp(-1j * np.radians(crop.roll)) / crop.side
    upright = (label.points[:, 0] + 1j * label.points[:, 1] - complex(crop.x, crop.y)) * turn
    middle = complex(*(box[:2] + box[2:] / 2)) - complex(crop.x, crop.y)
    tile = crop._replace(side=crop.side * TILE / UNIT)
    half = tile.side / 2
    height, width = gray.shape
    inside = max(0.0, min(crop.x + half, width) - max(crop.x - half, 0))
    inside *= max(0.0, min(crop.y + half, height) - max(crop.y - half, 0))
    found.tiles.append(cut(gray, tile, TILE))
    found.points.append(np.stack([upright.real, upright.imag], axis=1).astype(np.float32))
    found.pose.append((label.yaw, label.pitch, label.roll, label.eye_distance / crop.side, label.noise))
    found.size.append(label.extent)
    found.room.append(inside / tile.side**2)
    upright_middle = middle * turn
    found.boxes.append((upright_middle.real, upright_middle.imag, float(max(box[2:])) / crop.side))


def _empty(image: Image, boxes: list[NDArray[np.float64]], count: int, name: str) -> Iterator[Image]:
    """Square places at random that touch no box."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    short = min(gray.shape)
    for _ in range(count * 3):
        side = short * float(np.exp(rng.uniform(np.log(0.15), 0)))
        if side < 32:
            continue
        x, y = (float(rng.uniform(side / 2, length - side / 2 + 1e-6)) for length in gray.shape[::-1])
        apart = [max(abs(b[0] + b[2] / 2 - x) - b[2] / 2, abs(b[1] + b[3] / 2 - y) - b[3] / 2) for b in boxes]
        if all(way > side / 2 for way in apart):
            square = gray[int(y - side / 2) : int(y + side / 2), int(x - side / 2) : int(x + side / 2)]
            method = cv2.INTER_AREA if side > EMPTY else cv2.INTER_LINEAR
            yield np.asarray(cv2.resize(square, (EMPTY, EMPTY), interpolation=method), np.uint8)
            count -= 1
            if count == 0:
                return


def _read(job: Job) -> Image | None:
    """The picture in BGR; None where it cannot be decoded: that is reported by its absence from the cache."""
    raw = np.frombuffer(job.packed, np.uint8) if job.packed else np.fromfile(str(job.file), np.uint8)
    image = cv2.imdecode(raw, cv2.IMREAD_COLOR) if raw.size else None
    return None if image is None else np.asarray(image, np.uint8)
