"""Trains ferd's points model: eyes, nose and mouth corners in a face that was found; as full int8."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.sources import REPO, YUNET, MissingDataError, Source, data_folder, require

EPILOG = "On one core of two: a minute to look at the faces, then about 5 s an epoch, 6 minutes in all."
NEEDED = (
    Source("faces.jsonl", "boxes and points of the faces, YuNet's"),
    Source("faces", "the pictures of faces.jsonl"),
    Source("no_faces", "pictures without a face: rooms, things, nature"),
    Source("drivers", "frames of drivers in yawn/ and no-yawn/"),
    Source("faces_eye_state.jsonl", "whole faces with eyes open or closed, box and points"),
    Source("faces_eye_state", "the pictures of faces_eye_state.jsonl"),
    Source("yunet", f"the teacher, {YUNET.origin}"),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train-points", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--data", metavar="DIR", help="training data (default: $FERD_DATA or ../shared/data)")
    add("--out", metavar="DIR", type=Path, default=REPO / "models", help="for model and card")
    add("--work", metavar="DIR", type=Path, default=REPO / "build" / "train-points", help="for checkpoints and curves")
    add("--epochs", type=int, default=60)
    add("--threads", type=int, default=1, help="more are slower where something else runs")
    add("--check-data", action="store_true", help="only say whether the data is there")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="go on from a checkpoint (the default)")
    how.add_argument("--fresh", action="store_true", help="forget checkpoints, start anew")
    how.add_argument("--plot", action="store_true", help="draw the curve so far and stop")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    folder = data_folder(options.data)
    try:
        if not options.plot:
            require(folder, NEEDED)
    except MissingDataError as error:
        print(f"train-points: {error}", file=sys.stderr)
        return 1
    if options.check_data:
        return 0
    # torch and matplotlib take seconds to import and are absent from the dev venv
    if options.plot:
        from training.face_loop import plot

        print(plot(options.work))
        return 0
    from training.points_recipe import train

    train(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
