"""docs/fleet.md: its configuration is one, and what it names is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ferd.config import Config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fleet.md").read_text()


def test_its_configurations_are_taken():
    blocks = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    configs = [Config.model_validate(tomllib.loads(block)).mqtt for block in blocks]
    assert any(config.persist_events for config in configs)
    assert any(len(config.servers) == 3 for config in configs)


def test_its_links_and_scripts_are_there():
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for script in re.findall(r"`\./(scripts/[\w-]+)", PAGE):
        assert (ROOT / script).exists(), script


def test_what_is_bridged_is_what_the_table_says():
    example = (ROOT / "examples/mosquitto/bridge.conf").read_text()
    bridged = re.findall(r"^topic (\S+)", example, re.MULTILINE)
    table = PAGE.partition("| topics | bridge them? |")[2].partition("\n\n")[0]
    for topic in bridged:
        assert f"ferd/{topic}" in table.replace("…/", "ferd/+/+/"), topic
