"""Trains ferd's expression model: larger teachers, then the small net that ships, as full int8."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.sources import REPO, MissingDataError, data_folder, require

EPILOG = "It should take about an hour on two idle cores; see models/README.md."


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train-expression", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--data", metavar="DIR", help="training data (default: $FERD_DATA or ../shared/data)")
    add("--out", metavar="DIR", type=Path, default=REPO / "models", help="for model and card")
    add(
        "--work",
        metavar="DIR",
        type=Path,
        default=REPO / "build" / "train-expression",
        help="for checkpoints, curves and prepared pictures",
    )
    add(
        "--epochs", type=float, default=1.0, metavar="SHARE", help="of the usual epochs of every stage, 0 to 1: a trial"
    )
    add("--threads", type=int, default=1)
    add("--check-data", action="store_true", help="only say whether the data is there")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="go on from a checkpoint (the default)")
    how.add_argument("--fresh", action="store_true", help="forget checkpoints, start anew")
    how.add_argument("--measure-crop", action="store_true", help="print where the tiles lie on faces and stop")
    how.add_argument("--plot", action="store_true", help="draw the curves so far and stop")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    folder = data_folder(options.data)
    try:
        if not options.plot:
            require(folder)
    except MissingDataError as error:
        print(f"train-expression: {error}", file=sys.stderr)
        return 1
    if options.check_data:
        return 0
    # torch and matplotlib take seconds to import and are absent from the dev venv
    if options.plot:
        from training.curves import plot

        print(plot(options.work))
        return 0
    if options.measure_crop:
        from training.crop import print_measured

        print_measured(folder)
        return 0
    from training.recipe import train

    train(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
