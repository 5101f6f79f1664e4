"""ferd mqtt: what ferd says over MQTT, and taking it back."""

from __future__ import annotations

import argparse
import json

HELP = "what ferd says over MQTT (schema), and removing it from the broker (purge)"
MORE = """
  ferd mqtt schema                 every topic and payload as JSON Schema
  ferd mqtt schema --markdown      the same to read: docs/mqtt.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="schema", required=True)
    schema = what.add_parser("schema", help="every topic and payload as JSON Schema")
    schema.add_argument("--markdown", action="store_true", help="as a page to read")
    schema.set_defaults(do=_schema)


def run(args: argparse.Namespace) -> int:
    code: int = args.do(args)
    return code


def _schema(args: argparse.Namespace) -> int:
    from ferd.publish.schema import schema
    from ferd.publish.schema_page import page

    print(page() if args.markdown else json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", end="")
    return 0
