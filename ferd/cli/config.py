"""ferd config: prints the default configuration or its JSON Schema."""

from __future__ import annotations

import argparse
import json

from ferd.config.models import Config
from ferd.config.template import default_toml

HELP = "print a commented configuration, or its JSON Schema"
MORE = """
  ferd config default > ferd.toml     a file to start from: every key, its meaning and its default
  ferd config schema                  for editors that complete and check TOML
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["default", "schema"])


def run(args: argparse.Namespace) -> int:
    if args.what == "default":
        print(default_toml(), end="")
    else:
        print(json.dumps(Config.model_json_schema(), indent=2))
    return 0
