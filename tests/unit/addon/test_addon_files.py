"""The add-on's description, its translations and its program name the same options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ferd_addon
import pytest
import yaml

from ferd import __version__

ADDON = Path(__file__).parents[3] / "addon"
DESCRIPTION: dict[str, Any] = yaml.safe_load((ADDON / "config.yaml").read_text())
SCHEMA = DESCRIPTION["schema"]
KNOWN_TYPES = r"(str|password|bool|port|int(\(\d*,\d*\))?|float(\(\d*,\d*\))?|list\([^)]+\)|match\(.+\))\??"
LANGUAGES = sorted((ADDON / "translations").glob("*.yaml"))


def test_the_program_knows_the_options_of_the_description() -> None:
    assert set(SCHEMA) == {*ferd_addon.OPTIONS, *ferd_addon.OTHERS}
    assert set(SCHEMA["cameras"][0]) == {"name", "password", *ferd_addon.CAMERA_OPTIONS}


def test_each_default_belongs_to_an_option_and_each_type_is_known() -> None:
    assert set(DESCRIPTION["options"]) <= set(SCHEMA)
    kinds = [kind for kind in SCHEMA.values() if isinstance(kind, str)] + list(SCHEMA["cameras"][0].values())
    assert [kind for kind in kinds if not re.fullmatch(KNOWN_TYPES, kind)] == []
    required = {name for name, kind in SCHEMA.items() if not str(kind).endswith("?")}
    assert required == set(DESCRIPTION["options"])


def test_it_is_the_version_of_ferd_and_its_page() -> None:
    assert DESCRIPTION["version"] == __version__
    assert DESCRIPTION["ingress_port"] == ferd_addon.PORT


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_each_translation_has_every_option(file: Path) -> None:
    texts = yaml.safe_load(file.read_text(encoding="utf-8"))["configuration"]
    assert set(texts) == set(SCHEMA)
    assert [name for name, one in texts.items() if set(one) != {"name", "description"}] == []


def test_there_is_english_and_another_language() -> None:
    assert {"en", "de"} <= {file.stem for file in LANGUAGES}
