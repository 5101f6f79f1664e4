"""Trains ferd's landmarks model: presence, pose and 40 landmarks of a face; int8 with a float output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.command import Training
from training.sources import REPO, YUNET, Source

SHIPPED = REPO / "models" / "landmarks.tflite"

TRAINING = Training(
    name="train-landmarks",
    what=__doc__,
    takes="On two idle cores: 15 minutes for the teacher, then 110 epochs of 18 s, 50 minutes in all.",
    needed=(
        Source("faces.jsonl", "boxes and points of the faces, YuNet's"),
        Source("faces", "the pictures of faces.jsonl"),
        Source("no_faces", "pictures without a face: rooms, things, nature"),
        Source("yunet", f"finds the faces, {YUNET.origin}"),
        Source("teachers/face_landmarker.task", "the teacher: MediaPipe's face landmarks (Apache-2.0)"),
        Source("drivers", "frames of drivers in yawn/ and no-yawn/", needed=False),
        Source("photos", "gray press photos in one folder a label", needed=False),
        Source("nir.jsonl", "near infrared frames", needed=False),
        Source("faces_eye_state.jsonl", "whole faces with eyes open or closed", needed=False),
        Source("rafdb.npz", "RAF-DB, packed", needed=False),
        Source("affectnet_ffhq.npz", "AffectNet and FFHQ, packed", needed=False),
        Source("kdef", "KDEF in one folder a label", needed=False),
        Source("jaffe", "JAFFE in one folder a label", needed=False),
    ),
    epochs=110,
    recipe="training.landmarks_recipe",
)


def teachers(options: argparse.Namespace, folder: Path) -> bool:
    """Only look at all pictures through the teacher, where --teachers was given."""
    if options.teachers:
        from training.landmarks_data import collect

        collect(folder, options.work / "labels.npz", workers=max(1, options.threads))
    return bool(options.teachers)


def main() -> int:
    parser = TRAINING.parser()
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--start", metavar="FILE", type=Path, default=SHIPPED, help="begin with its weights (%(default)s)")
    how.add_argument("--from-nothing", dest="start", action="store_const", const=None, help="begin with random weights")
    parser.add_argument("--teachers", action="store_true", help="only make the labels again, in --work, and stop")
    return TRAINING.run(parser.parse_args(), teachers)


if __name__ == "__main__":
    sys.exit(main())
