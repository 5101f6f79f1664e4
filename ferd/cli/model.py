"""ferd model: what is on the model shelf."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ferd.cli import model_add, model_eval, model_show, model_teach, model_try

HELP = "the models on the shelf: list, show, add, remove, teach, try, eval"
MORE = """
  ferd model list                  what is there
  ferd model show expression       labels, input, figures, data, licence; the file is loaded and run once
  ferd model show ./my.tflite      the same for a file with labels.txt beside it (Teachable Machine)
  ferd model add export.zip        a Teachable Machine export as downloaded, put on the shelf
  ferd model remove my-model       off the shelf again
  ferd model teach mood --class happy --class tired     new classes, learned here
  ferd model try mood              live bars
  ferd model eval expression DATA  how good it is; see `ferd model eval --help`
"""

AddArguments = Callable[[argparse.ArgumentParser], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="list|show|add|remove|teach|try|eval", required=True)
    model_show.add_list_arguments(what.add_parser("list", help="the models on the shelf"))
    model_show.add_show_arguments(what.add_parser("show", help="everything about one model"))
    _add(what, "add", model_add.HELP, model_add.MORE, model_add.add_add_arguments)
    model_add.add_remove_arguments(what.add_parser("remove", help="take a model of your own off the shelf"))
    _add(what, "teach", model_teach.HELP, model_teach.MORE, model_teach.add_arguments)
    _add(what, "try", model_try.HELP, model_try.MORE, model_try.add_arguments)
    _add(what, "eval", model_eval.HELP, model_eval.MORE, model_eval.add_arguments)


def _add(
    what: Any, name: str, summary: str, more: str, add_arguments: Callable[[argparse.ArgumentParser], None]
) -> None:
    parser = what.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=more.strip("\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    code: int = args.do(args)
    return code
