"""Trains ferd's expression model: larger teachers, then the small net that ships, as full int8."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.command import Training
from training.sources import FERPLUS

TRAINING = Training(
    name="train-expression",
    what=__doc__,
    takes="Takes two to three hours on two idle cores; see models/README.md. --epochs is the share of the usual "
    "epochs of every stage, 0 to 1: a trial.",
    needed=FERPLUS,
    epochs=72,
    recipe="training.recipe",
    curves="training.curves",
)


def main() -> int:
    parser = TRAINING.parser()
    parser.add_argument("--measure-crop", action="store_true", help="print where the tiles lie on faces and stop")
    parser.add_argument("--stage", choices=["wide", "deep"], help="train this large net and stop: two at a time")
    return TRAINING.run(parser.parse_args(), _measure)


def _measure(options: argparse.Namespace, folder: Path) -> bool:
    if options.measure_crop:
        from training.crop import print_measured

        print_measured(folder)
    return bool(options.measure_crop)


if __name__ == "__main__":
    sys.exit(main())
