"""The `ferd` command. Each command is a module of its own beside this one."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from ferd import __version__
from ferd.cli import bench, buzzer, cameras, check, config, doctor, model, mqtt, replay, run, upgrade, watch
from ferd.errors import EXIT_FAILED, FerdError

COMMANDS = (run, replay, check, doctor, cameras, watch, bench, model, mqtt, buzzer, config, upgrade)

EXIT_CODES = "Exit codes: 0 fine, 1 failed, 2 wrong usage, 78 wrong configuration or model file."


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="ferd",
        description="The facial expression daemon: reads expressions from a camera and tells them over MQTT.",
        epilog=EXIT_CODES,
    )
    top.add_argument("--version", action="version", version=f"ferd {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP[0].upper() + command.HELP[1:] + ".",
            epilog=f"{command.MORE.strip()}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? for what it lacks
    args = parser().parse_args(argv)
    try:
        code: int = args.run(args)
    except FerdError as error:
        print(f"ferd: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`). Python flushes stdout once more at its end, so it is pointed at nothing:
        # docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"ferd: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return code
