"""What the commands share: how a command is described, its parser, common options, questions, and logging."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from ferd.cli.help import HelpFormatter
from ferd.config import MqttConfig
from ferd.config.schema.values import NAME_PATTERN
from ferd.errors import EXIT_USAGE, FerdError
from ferd.log_limit import RepeatFilter
from ferd.redaction import redact_text

# ---- commands and their parsers ----

COMMAND_METAVAR = "COMMAND"
Concerns = Literal["reads", "writes"] | None


@dataclass(frozen=True, slots=True)
class Command:
    """One command or subcommand.

    ``summary``: one line, without a full stop. ``details``: what --help prints below the options, laid out by
    `ferd.cli.help`. ``add_arguments`` fills the parser. ``run`` returns the exit code; None where the command only has
    subcommands, which set their own. ``concerns``: whether the command reads or writes what belongs to one ferd on this
    machine (`ferd.installation`); main then prints whose it uses. None: it is not printed.
    """

    name: str
    summary: str
    details: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int] | None = None
    concerns: Concerns = None


class Parser(argparse.ArgumentParser):
    """An argument parser that prints the help where a command is missing, and the nearest choice for a misspelt one."""

    def error(self, message: str) -> NoReturn:
        if message.endswith(f"required: {COMMAND_METAVAR}"):
            self.print_help(sys.stderr)
            self.exit(EXIT_USAGE)
        found = re.search(r"argument (.+?): invalid choice: '(.*?)'.*\(choose from (.+)\)", message)
        if found:
            argument, given, choices = found.groups()
            close = difflib.get_close_matches(given, re.findall(r"[\w.-]+", choices), n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]}?" if close else ""
            if argument == COMMAND_METAVAR:
                self.exit(EXIT_USAGE, f'ferd: there is no command "{given}".{hint} `{self.prog} --help` lists all\n')
            message += hint and f".{hint}"
        super().error(message)


def add_commands(parser: argparse.ArgumentParser, commands: Sequence[Command], epilog: str = "") -> None:
    """Add subcommands to a parser. `epilog`: a last paragraph of every --help."""
    added = parser.add_subparsers(title="commands", metavar=COMMAND_METAVAR, required=True)
    for command in commands:
        sub = added.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog="\n\n".join(part for part in (command.details.strip("\n"), epilog) if part),
            formatter_class=HelpFormatter,
        )
        command.add_arguments(sub)
        if command.run is not None:
            sub.set_defaults(run=command.run, concerns=command.concerns, command=sub.prog)


# ---- options ----


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: for commands without options."""


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="F", help="use this configuration file, not the system's")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """Add --host, --port and --config; `broker_with_options` reads them."""
    parser.add_argument("--host", help="the broker, instead of the configured one")
    parser.add_argument("--port", type=_port, help="the broker's port")
    add_config_option(parser)


def broker_with_options(config: MqttConfig, args: argparse.Namespace) -> MqttConfig:
    """Return the configured broker with --host and --port applied."""
    given = {key: value for key, value in (("host", args.host), ("port", args.port)) if value is not None}
    if args.host is not None:
        given["hosts"] = []  # this one only
    return config.model_copy(update=given)


def node_name(text: str) -> str:
    """Validate the name of a node, for argparse."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("the name of a node is 1 to 32 of a-z, 0-9 and hyphen")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def confirmed(question: str) -> bool:
    """Ask a yes/no question; no is the default. Raises FerdError where stdin is not a terminal."""
    if not sys.stdin.isatty():
        raise FerdError("cannot ask for confirmation here: use --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


# ---- logging ----

SYSLOG_LEVEL = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class LineFormatter(logging.Formatter):
    """Format for people. Messages of libraries, and tracebacks, may quote the address of a camera."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


class JournalFormatter(LineFormatter):
    """Put the level in front of each line as journald reads it (sd-daemon(3)); journald adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        level = SYSLOG_LEVEL.get(record.levelno, 6)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def set_up_logging(level: int = logging.INFO, handler: logging.Handler | None = None) -> None:
    """Log to `handler` (None: stderr), in the form for journald or for people."""
    handler = handler or logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
