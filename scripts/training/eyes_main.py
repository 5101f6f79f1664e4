"""Trains ferd's eyes model: open or closed eyes, open or closed mouth, or neither; as full int8."""

from __future__ import annotations

import sys

from training.command import Training
from training.sources import YUNET, Source

TRAINING = Training(
    name="train-eyes",
    what=__doc__,
    takes="On one core of two: 5 minutes to cut the crops, then 50 s an epoch, half an hour in all.",
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
        Source("nir.jsonl", "near infrared frames of people in rooms", needed=False),
        Source("kdef", "KDEF in one folder a label", needed=False),
        Source("photos", "gray press photos in one folder a label", needed=False),
    ),
    epochs=26,
    recipe="training.eyes_recipe",
)

if __name__ == "__main__":
    sys.exit(TRAINING.run(TRAINING.parser().parse_args()))
