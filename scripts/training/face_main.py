"""Trains ferd's face detector, with YuNet as its teacher: boxes and five points from a gray picture; as full int8."""

from __future__ import annotations

import sys

from training.command import Training
from training.sources import YUNET, Source

TRAINING = Training(
    name="train-face",
    what=__doc__,
    takes="On two cores: 1 minute for the teacher, then 100 s an epoch, half an hour; thrice that beside other work.",
    needed=(
        Source("faces.jsonl", "boxes and points of the faces, YuNet's, checked by eye on samples"),
        Source("faces", "the pictures of faces.jsonl"),
        Source("no_faces", "pictures without a face: rooms, things, nature"),
        Source("photos", "gray press photos in one folder a label (Apache-2.0)", needed=False),
        Source("yunet", f"the teacher, {YUNET.origin}"),
    ),
    epochs=18,
    recipe="training.face_recipe",
)


def main() -> int:
    parser = TRAINING.parser()
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    return TRAINING.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
