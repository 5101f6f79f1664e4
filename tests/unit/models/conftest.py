"""Copies of the shipped model that can be damaged."""

import json
import shutil

import pytest

from ferd.models.registry import shipped_dir


@pytest.fixture
def bundle_dir(tmp_path):
    """A folder with a copy of the shipped expression model and its card."""
    for suffix in (".tflite", ".json"):
        shutil.copy(shipped_dir() / f"expression{suffix}", tmp_path)
    return tmp_path


@pytest.fixture
def edit_card(bundle_dir):
    def edit(**changes):
        path = bundle_dir / "expression.json"
        card = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))

    return edit
