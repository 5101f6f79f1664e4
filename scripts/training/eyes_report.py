"""Judges the int8 eyes file as ferd runs it, prints what matters and writes the card."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from ferd.errors import FerdError
from ferd.evaluation import metrics as score
from ferd.evaluation.eyes import PHOTOGRAPH_THRESHOLD, surest
from ferd.models.bundle import read_bundle
from ferd.types import Face, Frame
from ferd.vision import eyes
from ferd.vision.detectors.base import Detector
from ferd.vision.detectors.ferd import FerdDetector
from ferd.vision.detectors.landmarked import with_landmarks
from ferd.vision.detectors.yunet import YunetDetector
from ferd.vision.eyes import LABELS, EyeMouthReading, EyeReader, normalise_contrast
from training import card
from training.eyes_data import CROP, OTHER, SUNGLASSES, TILE, Tiles, held_back
from training.eyes_net import SIDE
from training.judge import fit_temperature, run_file
from training.net import MEAN, STD, multiply_adds

THRESHOLD = 0.6
NOT_FOR = (
    "Closed eyes are not yet sleep, and open eyes are not yet attention: an aid, never a safety device. "
    "Not for judging or grading anyone. " + card.NOT_FOR
)
PROTOCOL = (
    "int8 file through LiteRT, pictures that training did not see: infrared by group, colour and mouths without "
    "twins, whole faces by picture; drivers were not trained on but for their sunglasses. accuracy is of the answers "
    "given (sure >= threshold), unsure the share without one (a face not found counts), accuracy_forced of all. "
    "faces_by_*: photographs, looked at from all sides as `ferd model eval` does; *_at_first_sight: one look."
)
TRAINED_ON = [
    {"name": "infrared eye crops", "what": "about 6,600 near-infrared crops of drivers, half of them closed",
     "licence": "pictures unstated: they are not part of ferd, only weights ship"},
    {"name": "colour eye crops", "what": "about 920 close-ups from the web, as gray",
     "licence": "pictures unstated: they are not part of ferd, only weights ship"},
    {"name": "whole faces, eyes open or closed", "what": "about 220 pictures from the web, both eyes of each",
     "licence": "pictures unstated: they are not part of ferd, only weights ship"},
    {"name": "mouth crops", "what": "about 3,000, half of them wide open (yawns, laughs)",
     "licence": "pictures unstated: they are not part of ferd, only weights ship"},
    {"name": "what is neither", "what": "rooms and things, other parts of faces, sunglasses (some of them drawn)",
     "licence": "pictures unstated: they are not part of ferd, only weights ship"},
]  # fmt: skip
Answers = list[tuple[str, str | None, bool]]
Find = Callable[[Any], tuple[Any, Face] | None]
"""The face in a picture, and that picture."""
Read = Callable[[Any], EyeMouthReading | None]
"""What the eyes in a picture say."""
LEAST_FACE = 32  # pixels, as `ferd model eval`


def report(path: Path, net: nn.Module, data: dict[str, Tiles], folder: Path) -> None:
    held = {name: tiles.part(held=True) for name, tiles in data.items()}
    content = _card(path, _temperature(path, held), multiply_adds(net, (SIDE, SIDE)))
    card.write(path.with_suffix(".json"), content)
    reader = EyeReader(read_bundle(path))
    figures: dict[str, Any] = {
        name: score.eyes(_crops(reader, held[name])) for name in ("infrared", "colour", "mouths")
    }
    for detector, thorough in detectors(folder, path.parent):
        find = _finder(detector)
        figures[f"faces_by_{detector.name}"] = score.eyes(whole_faces(reader, _thoroughly(reader, thorough), folder))
        figures[f"faces_at_first_sight_by_{detector.name}"] = score.eyes(
            whole_faces(reader, _at_sight(reader, find), folder)
        )
        figures[f"yawns_by_{detector.name}"] = score.eyes(yawns(reader, find, folder))
        worn, bare = _sunglasses(reader, find, folder)
        figures[f"sunglasses_by_{detector.name}"] = {"unsure": worn, "unsure_without": bare}
    content["figures"] = {name: _rounded(f if isinstance(f, dict) else asdict(f)) for name, f in figures.items()}
    content["figures"]["protocol"] = PROTOCOL
    card.write(path.with_suffix(".json"), content)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {content['macs'] / 1e6:.2f} MMAC, "
          f"temperature {content['temperature']}")  # fmt: skip
    for name, values in content["figures"].items():
        print(f"{name:<20} {values if isinstance(values, str) else json.dumps(values)}")


def detectors(folder: Path, models: Path) -> Iterator[tuple[Detector, Detector]]:
    """Our own, where it has been trained, and the teacher, where the data folder has it; each as it is and thorough."""
    try:
        face = read_bundle(models / "face.tflite")
        yield (
            with_landmarks(FerdDetector(face, LEAST_FACE)),
            with_landmarks(FerdDetector(face, LEAST_FACE, PHOTOGRAPH_THRESHOLD)),
        )
    except FerdError as error:
        print(f"without our own detector: {error}")
    for file in (folder / "yunet").glob("*.onnx"):
        yield YunetDetector(file, LEAST_FACE), YunetDetector(file, LEAST_FACE, PHOTOGRAPH_THRESHOLD)


def whole_faces(reader: EyeReader, read: Read, folder: Path) -> Answers:
    """The whole chain on the held back part of faces_eye_state: find the face, cut the eyes, read them."""
    answers: Answers = []
    for line in (folder / "faces_eye_state.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if held_back(f"faces {row['file']}", 3):
            answers.append((row["eyes"], *_answer(reader, read(cv2.imread(str(folder / row["file"]))), "eyes")))
    return answers


def yawns(reader: EyeReader, find: Find, folder: Path) -> Answers:
    """The whole chain on drivers/: is the mouth wide open."""
    answers: Answers = []
    for name, label in (("yawn", "open"), ("no-yawn", "closed")):
        for file in sorted((folder / "drivers" / name).glob("*.jpg")):
            picture = cv2.imread(str(file))
            answers.append((label, *_answer(reader, _read(reader, find(picture), "mouth"), "mouth")))
    return answers


def told(part: EyeMouthReading, what: str) -> str:
    high, low = ("closed", "open") if what in ("eye", "eyes") else ("open", "closed")
    return high if part.share > 0.5 else low


def _answer(reader: EyeReader, part: EyeMouthReading | None, what: str) -> tuple[str | None, bool]:
    return (None, False) if part is None else (told(part, what), reader.sure(part))


def _read(reader: EyeReader, seen: tuple[Any, Face] | None, what: str) -> EyeMouthReading | None:
    if seen is None or seen[1].points is None:
        return None
    read = reader(seen[0], seen[1].points)
    return read.eyes if what == "eyes" else read.mouth


def _crops(reader: EyeReader, tiles: Tiles) -> Iterable[tuple[str, str, bool]]:
    edge = (TILE - CROP) // 2
    for tile, label in zip(tiles.tiles, tiles.labels, strict=True):
        what, state = LABELS[label].split("_")
        part = reader.read(tile[edge:-edge, edge:-edge], "mouth" if what == "mouth" else "eye")
        yield state, told(part, what), reader.sure(part)


def _sunglasses(reader: EyeReader, find: Find, folder: Path) -> tuple[float, float]:
    """Share of drivers whose eyes cannot be told: with sunglasses, and without."""
    unsure: tuple[list[bool], list[bool]] = ([], [])
    for name, numbers in SUNGLASSES.items():
        for file in sorted((folder / "drivers" / name).glob("*.jpg")):
            picture = cv2.imread(str(file))
            sure = _answer(reader, _read(reader, find(picture), "eyes"), "eyes")[1]
            unsure[int(file.stem) not in numbers].append(not sure)
    return float(np.mean(unsure[0])), float(np.mean(unsure[1]))


def _finder(detector: Detector) -> Find:
    def find(picture: Any) -> tuple[Any, Face] | None:
        face = max(detector(Frame(0.0, picture)), key=lambda face: face.box.area, default=None)
        return None if face is None else (picture, face)

    return find


def _at_sight(reader: EyeReader, find: Find) -> Read:
    return lambda picture: _read(reader, find(picture), "eyes")


def _thoroughly(reader: EyeReader, detector: Detector) -> Read:
    return lambda picture: surest(
        detector, picture, lambda look, face: _read(reader, (look, face), "eyes") or EyeMouthReading(0.5, 0.0)
    )


def _temperature(path: Path, held: dict[str, Tiles]) -> float:
    """Fitted on every second picture held back, each source alike."""
    edge = (TILE - CROP) // 2
    crops, labels = [], []
    for tiles in held.values():
        picked = slice(0, None, max(1, len(tiles.tiles) // 200))
        for tile, label in zip(tiles.tiles[picked], tiles.labels[picked], strict=True):
            small = cv2.resize(tile[edge:-edge, edge:-edge], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            crops.append(normalise_contrast(np.asarray(small, np.uint8)))
            labels.append(label)
    return fit_temperature(run_file(path, np.stack(crops), MEAN, STD), np.array(labels))


def _card(path: Path, temperature: float, macs: int) -> dict[str, Any]:
    return {
        "name": path.stem,
        "kind": "eyes",
        "version": 1,
        "labels": list(LABELS),
        "input": {"width": SIDE, "height": SIDE, "colour": "gray", "mean": MEAN, "std": STD},
        "output": "logits",
        "temperature": temperature,
        "threshold": THRESHOLD,
        "squares": {
            "unit": "distance of the eyes, at least least_by_mouth times the way from eyes to mouth",
            "eye": {"side": eyes.EYE_SIDE, "down": eyes.EYE_DOWN},
            "mouth": {"side": eyes.MOUTH_SIDE, "down": eyes.MOUTH_DOWN},
            "least_by_mouth": eyes.LEAST_BY_MOUTH,
            "level": {"mean": 128, "std": eyes.CONTRAST, "least_std": eyes.LEAST_SPREAD},
        },
        "macs": macs,
        "figures": {},
        "trained_on": TRAINED_ON,
        "not_for": NOT_FOR,
        "licence": "Apache-2.0",
        "sha256": card.digest(path),
        "created": datetime.date.today().isoformat(),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value


assert LABELS[OTHER] == "other"
