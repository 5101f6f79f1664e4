"""Trains ferd's eyes model: open or closed eyes, open or closed mouth, or neither; as full int8."""

from __future__ import annotations

import sys

from training.command import Training
from training.sources import YUNET, Source

TRAINING = Training(
    name="train-eyes",
    what=__doc__,
    takes="On one core of two: 1 minute to cut the crops, then about 17 s an epoch, 15 minutes in all.",
    needed=(
        Source("eyes_ir.npz", "near-infrared eye crops of drivers with open and group"),
        Source("eyes_rgb", "colour eye close-ups in open/ and closed/"),
        Source("mouths.npz", "mouth crops with open"),
        Source("faces_eye_state.jsonl", "whole faces with eyes open or closed, box and points"),
        Source("faces_eye_state", "the pictures of faces_eye_state.jsonl"),
        Source("drivers", "frames of drivers in yawn/ and no-yawn/"),
        Source("faces.jsonl", "boxes and points of the faces, YuNet's"),
        Source("faces", "the pictures of faces.jsonl"),
        Source("no_faces", "pictures without a face: rooms, things, nature"),
        Source("yunet", f"finds the drivers' faces, {YUNET.origin}"),
    ),
    epochs=30,
    recipe="training.eyes_recipe",
)

if __name__ == "__main__":
    sys.exit(TRAINING.run(TRAINING.parser().parse_args()))
