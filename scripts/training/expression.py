"""Trains ferd's expression model on faces of eight sets, helped by the teachers' word; full int8, and its card."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.command import Training
from training.sources import FERPLUS

TRAINING = Training(
    name="train-expression",
    what=__doc__,
    takes="Takes an hour and a half on two idle cores that know bfloat16, more on others; see models/README.md.",
    needed=FERPLUS,
    epochs=70,
    recipe="training.recipe",
    curves="training.curves",
)


def main() -> int:
    parser = TRAINING.parser()
    parser.add_argument(
        "--teachers",
        action="store_true",
        help="ask the teachers in DATA/teachers about every picture, write word.npz into the work folder and stop",
    )
    parser.add_argument("--measure-crop", action="store_true", help="print where the tiles lie on faces and stop")
    return TRAINING.run(parser.parse_args(), _instead)


def _instead(options: argparse.Namespace, folder: Path) -> bool:
    if options.teachers:
        from training.teachers import write

        write(options, folder)
    elif options.measure_crop:
        from training.crop import print_measured

        print_measured(folder)
    return bool(options.teachers or options.measure_crop)


if __name__ == "__main__":
    sys.exit(main())
