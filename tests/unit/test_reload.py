"""What a new configuration changes."""

from __future__ import annotations

import pytest

from ferd.config import Config
from ferd.reload import Changes, changes, stamps

BASE = {"node": {"name": "hall"}, "cameras": {"desk": {"source": "demo"}, "door": {"source": "demo"}}}


def config(**sections):
    return Config.model_validate(BASE | sections)


def difference(old, new):
    return changes(old, new, stamps(old, {}), stamps(new, {}))


def test_the_same_changes_nothing():
    assert not difference(config(), config())
    assert str(difference(config(), config())) == ""


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"mqtt": {"port": 1884}}, Changes(mqtt=True)),
        ({"node": {"name": "hall", "id": "second"}}, Changes()),
        ({"buzzer": {"pin": 18}}, Changes(buzzer=True)),
        ({"smoothing": {"min_hold_s": 1.0}}, Changes(rest=True)),
        ({"detector": {"kind": "haar"}}, Changes(rest=True)),
        ({"expression": {"model": "other"}}, Changes(rest=True)),
        ({"cameras": {"desk": {"source": "demo"}}}, Changes(closed=("door",))),
        ({"cameras": BASE["cameras"] | {"attic": {"source": "usb"}}}, Changes(opened=("attic",))),
        ({"cameras": BASE["cameras"] | {"door": {"source": "usb"}}}, Changes(opened=("door",), closed=("door",))),
        (
            {"node": {"name": "den"}},
            Changes(node=True, mqtt=True, opened=("desk", "door"), closed=("desk", "door")),
        ),
    ],
)
def test_only_what_differs_is_built_anew(sections, expected):
    assert difference(config(), config(**sections)) == expected


def test_every_section_belongs_to_somebody():
    """A section that is added later changes the models and rules, unless somebody says otherwise."""
    for name in Config.model_fields:
        assert name in ("node", "cameras", "mqtt", "buzzer", "web") or difference(
            config(), config().model_copy(update={name: None})
        ) == Changes(rest=True)


def test_a_password_file_with_another_content_is_a_change(tmp_path):
    file = tmp_path / "password"
    file.write_text("wrong")
    same = config(mqtt={"username": "ferd", "password_file": str(file)})
    before = stamps(same, {})
    assert not changes(same, same, before, stamps(same, {}))
    file.write_text("right one")
    assert changes(same, same, before, stamps(same, {})) == Changes(mqtt=True)


def test_so_is_a_file_that_no_key_names(tmp_path):
    file = tmp_path / "model"
    before = stamps(config(), {"expression": (file,)})
    file.write_text("better")
    assert changes(config(), config(), before, stamps(config(), {"expression": (file,)})) == Changes(rest=True)
