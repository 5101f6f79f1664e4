"""What a new configuration changes."""

from __future__ import annotations

import pytest

from ferd.config import Config
from ferd.reload import Difference, difference, stamps

BASE = {"node": {"name": "hall"}, "cameras": {"desk": {"source": "demo"}, "door": {"source": "demo"}}}


def config(**sections):
    return Config.model_validate(BASE | sections)


def compare(old, new):
    return difference(old, new, stamps(old, {}), stamps(new, {}))


def test_the_same_changes_nothing():
    assert not compare(config(), config())
    assert str(compare(config(), config())) == ""


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"mqtt": {"port": 1884}}, Difference(("mqtt",))),
        ({"node": {"name": "hall", "id": "second"}}, Difference()),
        ({"buzzer": {"pin": 18}}, Difference(("buzzer",))),
        ({"smoothing": {"min_hold_s": 1.0}}, Difference(rules=True)),
        ({"fatigue": {"enabled": True}}, Difference(models=True, rules=True)),
        ({"detector": {"kind": "haar"}}, Difference(models=True, rules=True)),
        ({"expression": {"model": "other"}}, Difference(models=True, rules=True)),
        ({"cameras": {"desk": {"source": "demo"}}}, Difference(closed=("door",))),
        ({"cameras": BASE["cameras"] | {"attic": {"source": "usb"}}}, Difference(opened=("attic",))),
        ({"cameras": BASE["cameras"] | {"door": {"source": "usb"}}}, Difference(opened=("door",), closed=("door",))),
        (
            {"node": {"name": "den"}},
            Difference(("node", "mqtt"), opened=("desk", "door"), closed=("desk", "door")),
        ),
    ],
)
def test_only_what_differs_is_built_anew(sections, expected):
    assert compare(config(), config(**sections)) == expected


def test_every_section_belongs_to_somebody():
    """A section that is added later counts as rules, unless somebody says otherwise."""
    old = config()
    for name in Config.model_fields:
        if name not in ("node", "cameras", "mqtt", "buzzer", "web", "fatigue", "gestures"):
            assert difference(old, old.model_copy(update={name: None}), {}, {}).rules


def test_a_password_file_with_another_content_is_a_change(tmp_path):
    file = tmp_path / "password"
    file.write_text("wrong")
    same = config(mqtt={"username": "ferd", "password_file": str(file)})
    before = stamps(same, {})
    assert not difference(same, same, before, stamps(same, {}))
    file.write_text("right one")
    assert difference(same, same, before, stamps(same, {})) == Difference(("mqtt",))


def test_so_is_a_file_that_no_key_names(tmp_path):
    file = tmp_path / "model"
    before = stamps(config(), {"expression": (file,)})
    file.write_text("better")
    assert difference(config(), config(), before, stamps(config(), {"expression": (file,)})) == Difference(
        models=True, rules=True
    )
