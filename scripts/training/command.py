"""What all trainings have in common on the command line: where the data is, going on or anew, the curve."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.sources import REPO, MissingDataError, Source, StartError, data_folder, require


@dataclass(frozen=True)
class Training:
    """`recipe`: the module whose `train(options, folder)` does it. `curves`: the one whose `plot(folder)` draws.

    Both are named, not imported: torch and matplotlib take seconds, and the first check runs without them.
    """

    name: str
    what: str
    takes: str
    needed: tuple[Source, ...]
    epochs: float
    recipe: str
    curves: str = "training.face_loop"

    def parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=self.name, description=self.what, epilog=self.takes)
        add = parser.add_argument
        add("--data", metavar="DIR", help="training data (default: $FERD_DATA or ../shared/data)")
        add("--out", metavar="DIR", type=Path, default=REPO / "models", help="for model and card")
        add("--work", metavar="DIR", type=Path, default=REPO / "build" / self.name, help="for checkpoints and curves")
        add("--epochs", type=type(self.epochs), default=self.epochs)
        add("--threads", type=int, default=1, help="more are slower where something else runs")
        add("--check-data", action="store_true", help="only say whether the data is there")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--resume", action="store_true", help="go on from a checkpoint (the default)")
        how.add_argument("--fresh", action="store_true", help="forget checkpoints, start anew")
        how.add_argument("--plot", action="store_true", help="draw the curve so far and stop")
        return parser

    def run(
        self, options: argparse.Namespace, instead: Callable[[argparse.Namespace, Path], bool] = lambda *_: False
    ) -> int:
        """The exit code. `instead` may do something else with the data, and says so by True."""
        folder = data_folder(options.data)
        try:
            if options.plot:
                print(_module(self.curves).plot(options.work))
                return 0
            require(folder, self.needed)
            if not options.check_data and not instead(options, folder):
                _module(self.recipe).train(options, folder)
        except (MissingDataError, StartError) as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return 1
        return 0


def _module(name: str) -> Any:
    return importlib.import_module(name)
