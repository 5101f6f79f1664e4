"""ferd upgrade: a new release of the installed service, and the way back when it is not well."""

from __future__ import annotations

import argparse
import os
import sys

from ferd.errors import FerdError

HELP = "upgrade the installed service; the old release comes back when the new one is not well"
MORE = """
As root (sudo):

  ferd upgrade ~/ferd                    from a checkout (git pull there first)
  ferd upgrade ferd-0.2.0-py3-none-any.whl

It installs the new release beside the old one, lets it look at itself and at the configuration, switches, restarts the
service and watches it for 20 seconds. Whatever goes wrong, the old release is in use afterwards.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a checkout's folder or a wheel")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def run(args: argparse.Namespace) -> int:
    from ferd.fs import exists, expand
    from ferd.upgrade import Upgrade

    if os.geteuid() != 0:
        raise FerdError("an upgrade writes to /opt/ferd and restarts the service: sudo ferd upgrade …")
    source = expand(args.source).resolve()
    if not exists(source):
        raise FerdError(f"{source}: is not there. Give a checkout's folder or a wheel")
    if not args.yes and sys.stdin.isatty() and input("Upgrade the running service? [y/N] ").strip().lower() != "y":
        raise FerdError("nothing was changed")
    Upgrade(str(source), say=lambda line: print(f"==> {line}", flush=True))()
    return 0
