"""docs/fatigue.md: its configuration is one, its table says the defaults, its links are there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

from ferd.config import Config, FatigueConfig
from ferd.policy.episodes import SLIP_S, UNKNOWN_S
from ferd.policy.eye_measures import BLINK_S
from ferd.types import Unjudged

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/fatigue.md").read_text()
FLOWING = " ".join(PAGE.split())


def test_its_configuration_is_taken():
    block = PAGE.partition("       [cameras.driver]")[2].partition("\n3. ")[0]
    config = Config.model_validate(tomllib.loads("[cameras.driver]\n" + re.sub(r"^ +", "", block, flags=re.MULTILINE)))
    assert config.fatigue.enabled
    assert config.buzzer.pin == 18


def test_its_table_says_every_key_and_its_default():
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+|false) \|", PAGE, re.MULTILINE))
    keys = {key: field.default for key, field in FatigueConfig.model_fields.items() if key != "enabled"}
    assert {key: json.loads(value) for key, value in told.items()} == keys


def test_it_names_every_reason_why_nobody_can_judge():
    for reason in get_args(Unjudged):
        assert f"`{reason}`" in PAGE


def test_what_it_says_of_slips_is_so():
    assert f"up to {SLIP_S} s of open eyes and {UNKNOWN_S} s of unseen ones" in FLOWING
    assert f"blinks end before {BLINK_S} s" in FLOWING


def test_its_links_are_there():
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
