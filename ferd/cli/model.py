"""ferd model: what is on the model shelf."""

from __future__ import annotations

import argparse

from ferd.cli import model_add, model_eval, model_show

HELP = "the models on the shelf: list, show, add, remove, eval"
MORE = """
  ferd model list                  what is there
  ferd model show expression       labels, input, figures, data, licence; the file is loaded and run once
  ferd model show ./my.tflite      the same for a file with labels.txt beside it (Teachable Machine)
  ferd model add export.zip        a Teachable Machine export as downloaded, put on the shelf
  ferd model remove my-model       off the shelf again
  ferd model eval expression DATA  how good it is; see `ferd model eval --help`
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="list|show|add|remove|eval", required=True)
    model_show.add_list_arguments(what.add_parser("list", help="the models on the shelf"))
    model_show.add_show_arguments(what.add_parser("show", help="everything about one model"))
    adding = what.add_parser(
        "add",
        help=model_add.HELP,
        description=model_add.HELP,
        epilog=model_add.MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_add.add_add_arguments(adding)
    model_add.add_remove_arguments(what.add_parser("remove", help="take a model of your own off the shelf"))
    judge = what.add_parser(
        "eval",
        help=model_eval.HELP,
        description=model_eval.HELP,
        epilog=model_eval.MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model_eval.add_arguments(judge)
    judge.set_defaults(do=model_eval.run)


def run(args: argparse.Namespace) -> int:
    code: int = args.do(args)
    return code
