"""The `ferd` command. Each module beside this one defines a group of commands."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from ferd import __version__
from ferd.cli import bench, buzzer, config, doctor, model, mqtt, replay, run, upgrade, watch
from ferd.cli.common import Command, Parser, add_commands
from ferd.cli.help import HelpFormatter
from ferd.config import locate
from ferd.errors import EXIT_FAILED, ConfigError, FerdError, exhausted
from ferd.installation import Installation, concerned

COMMANDS: tuple[Command, ...] = (
    run.RUN,
    replay.REPLAY,
    config.CHECK,
    doctor.DOCTOR,
    doctor.CAMERAS,
    watch.WATCH,
    bench.BENCH,
    model.MODEL,
    mqtt.MQTT,
    buzzer.BUZZER,
    config.CONFIG,
    upgrade.UPGRADE,
)

EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 wrong usage, 78 invalid configuration or model file."
FIRST_STEPS = """First steps:
  ferd run --try     a first look: the camera or a demo scene, live in this terminal
  ferd doctor        what is wrong here, and the remedy
  ferd config default > ferd.toml    a file to start from
  ferd model --help  your own model, your own classes"""
EXIT_INTERRUPTED = 130


def parser() -> Parser:
    """Build the parser of the whole command line."""
    top = Parser(
        prog="ferd",
        description="The facial expression daemon: reads expressions from a camera and publishes them over MQTT.",
        epilog=f"{FIRST_STEPS}\n\n{EXIT_CODES}",
        formatter_class=HelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"ferd {__version__}")
    add_commands(top, COMMANDS, EXIT_CODES)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors that a user can act on are printed without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? for what it lacks
    args = parser().parse_args(argv)
    installation = concerned(getattr(args, "config", None))
    try:
        code = _run(args, installation)
    except FerdError as error:
        text = locate(str(error), installation.config, os.environ) if isinstance(error, ConfigError) else str(error)
        print(f"ferd: {text}", file=sys.stderr)
        if remedy := exhausted(error):
            print(f"ferd: {remedy}", file=sys.stderr)
            return EXIT_FAILED  # also of a ConfigError: systemd must try again
        _hint_at_root(args, installation)
        return error.exit_code
    except BrokenPipeError:
        # The reader ended (`| head`). Python flushes stdout once more at exit, so it is redirected to /dev/null:
        # docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"ferd: {error}", file=sys.stderr)
        if remedy := exhausted(error):
            print(f"ferd: {remedy}", file=sys.stderr)
        _hint_at_root(args, installation)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _hint_at_root(args: argparse.Namespace, installation: Installation) -> None:
    if installation.is_hidden and args.concerns != "writes":
        print(
            f"ferd: this user cannot see the models and passwords of {installation.unit}; root can: "
            f"sudo {args.command}",
            file=sys.stderr,
        )


def _run(args: argparse.Namespace, installation: Installation) -> int:
    """Run the command for the ferd that it concerns, and print which one that is where there are several."""
    if args.concerns == "writes":
        installation.check_writable(args.command)
    installation.use()
    args.installation = installation
    if args.concerns is not None and installation.unit is not None:
        print(f"ferd: this concerns {installation}", file=sys.stderr)
    try:
        code: int = args.run(args)
    finally:
        if args.concerns == "writes":
            installation.hand_over()
    if args.concerns == "writes" and installation.unit is not None and code == 0:
        print(f"ferd: the service reads its models again with: sudo systemctl reload {installation.unit}")
    return code
