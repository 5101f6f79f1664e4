"""docs/fleet-storage.md and docs/fleet-provisioning.md: what they name is there, and their examples are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from postgres import SCHEMA

from ferd.cli.main import parser
from ferd.config.fleet import load_fleet

ROOT = Path(__file__).parents[3]
STORAGE, PROVISIONING = ROOT / "docs/fleet-storage.md", ROOT / "docs/fleet-provisioning.md"
PAGES = [STORAGE, PROVISIONING]


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_their_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_their_configurations_are_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "toml"):
        (tmp_path / "fleet.toml").write_text(block)
        load_fleet(tmp_path / "fleet.toml").render("hall-17")


def test_the_commands_are_understood() -> None:
    lines = [line for block in blocks(PROVISIONING, "sh") for line in block.splitlines() if line.startswith("ferd ")]
    assert len(lines) == 3
    for line in lines:
        parser().parse_args(shlex.split(line, comments=True)[1:])


def test_tables_views_and_rules_are_those_of_the_files() -> None:
    text = STORAGE.read_text()
    made = set(re.findall(r"(?:TABLE IF NOT EXISTS|REPLACE VIEW) (ferd\.\w+)", SCHEMA.read_text()))
    table = text.partition("| table or view |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(ferd\.\w+)`", table)) == made
    rules = yaml.safe_load((ROOT / "examples/fleet/prometheus/ferd-rules.yml").read_text())["groups"]
    table = text.partition("| rule | when |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", table)) == {rule["alert"] for group in rules for rule in group["rules"]}
