"""Faces that nobody labelled: the teachers say what they see in them, and the pupil learns that."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ferd.types import Box, Face, Landmarks
from training.data import TRAIN_LABELS, Sample
from training.photos import Tile, by_box, by_eyes, stack

LEAST_SCORE = 0.8
LEAST_SIDE = 32  # pixels, longer side of the face


def load_unlabelled(folder: Path) -> Sample:
    """Faces of faces.jsonl, in turn by their eyes and by their box; targets of 0. Empty without the file."""
    index = folder / "faces.jsonl"
    rows = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()] if index.exists() else []
    spread = np.random.default_rng(8322)
    tiles: list[Tile] = []
    for row in tqdm(rows, desc="faces without a label", unit="picture", mininterval=2):
        clear = [f for f in row["faces"] if f["score"] >= LEAST_SCORE and max(f["box"][2:]) >= LEAST_SIDE]
        if not clear:
            continue
        picture = np.asarray(cv2.imread(str(folder / row["file"]), cv2.IMREAD_GRAYSCALE), np.uint8)
        for told in clear:
            points = told["points"]
            face = Face(Box(*told["box"]), Landmarks(*zip(points[::2], points[1::2], strict=True)))
            by_turns = len(tiles) % 2 == 0
            tiles.append(by_eyes(picture, face) if by_turns else by_box(picture, face, spread))
    return Sample(stack(tiles), np.zeros((len(tiles), len(TRAIN_LABELS)), np.float32))
