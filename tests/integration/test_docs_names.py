"""All documents: the links, files and constants that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "models/README.md"])
FOLDERS = "ferd|tests|scripts|docs|models|systemd|examples"
PLACEHOLDERS = re.compile(r"NAME|NODE|\*|^ferd/(hall|desk)-pi")  # a name to choose, or an MQTT topic


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_exist(page: Path):
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []
    files = re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./@*-]+)", text)
    assert [file for file in files if not PLACEHOLDERS.search(file) and not (ROOT / file.rstrip(".")).exists()] == []


def test_the_constants_of_the_architecture_exist():
    constants = re.findall(r"`([\w/]+\.py)` ([A-Z_]+)\b", (ROOT / "docs/architecture.md").read_text())
    assert len(constants) > 10
    for file, name in constants:
        assert re.search(rf"^{name}\b", (ROOT / "ferd" / file).read_text(), re.MULTILINE), f"{file} {name}"


def test_every_decision_and_howto_is_in_its_index():
    for folder in ("docs/decisions", "docs/howto"):
        index = (ROOT / folder / "README.md").read_text()
        for page in (ROOT / folder).glob("*.md"):
            assert page.name == "README.md" or f"({page.name})" in index, page
