"""`ferd upgrade`: install a new release of the service, and return to the old one if the new one does not work."""

from __future__ import annotations

import argparse
import os
import sys

from ferd.cli.common import Command, confirmed
from ferd.errors import FerdError

DETAILS = """
Run it as root:
  sudo ferd upgrade ~/ferd                              from a checkout (git pull there first)
  sudo ferd upgrade ferd-0.2.0-py3-none-any.whl         from a wheel

It installs the new release beside the old one, lets the new one check itself and the configuration, switches to it,
restarts the service and watches it for 20 seconds. If any step fails, the old release is in use afterwards.
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="the folder of a checkout, or a wheel")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def _run(args: argparse.Namespace) -> int:
    from ferd.extras import installed_extras
    from ferd.fs import exists, expand
    from ferd.upgrade import EXTRAS, Upgrade

    if os.geteuid() != 0:
        raise FerdError("an upgrade writes to /opt/ferd and restarts the service: sudo ferd upgrade …")
    source = expand(args.source).resolve()
    if not exists(source):
        raise FerdError(f"{source}: does not exist. Give the folder of a checkout, or a wheel")
    if not args.yes and sys.stdin.isatty() and not confirmed("Upgrade the running service?"):
        raise FerdError("nothing was changed")
    os.umask(0o022)  # the service's user must be able to read what root installs
    extras = (*EXTRAS, *installed_extras())
    Upgrade(str(source), say=lambda line: print(f"==> {line}", flush=True), extras=extras)()
    return 0


UPGRADE = Command(
    "upgrade",
    "upgrade the installed service; the old release returns if the new one does not work",
    DETAILS,
    _add_arguments,
    _run,
    "reads",
)
