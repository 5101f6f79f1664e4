"""Trains ferd's points model: eyes, nose and mouth corners in a face that was found; as full int8."""

from __future__ import annotations

import sys

from training.command import Training
from training.sources import YUNET, Source

TRAINING = Training(
    name="train-points",
    what=__doc__,
    takes="On one core of two: a minute to look at the faces, then about 5 s an epoch, 8 minutes in all.",
    needed=(
        Source("faces.jsonl", "boxes and points of the faces, YuNet's"),
        Source("faces", "the pictures of faces.jsonl"),
        Source("no_faces", "pictures without a face: rooms, things, nature"),
        Source("drivers", "frames of drivers in yawn/ and no-yawn/"),
        Source("faces_eye_state.jsonl", "whole faces with eyes open or closed, box and points"),
        Source("faces_eye_state", "the pictures of faces_eye_state.jsonl"),
        Source("yunet", f"the teacher, {YUNET.origin}"),
    ),
    epochs=60,
    recipe="training.points_recipe",
)

if __name__ == "__main__":
    sys.exit(TRAINING.run(TRAINING.parser().parse_args()))
