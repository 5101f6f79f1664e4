from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.outputs.mqtt.names import slug


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("fatigue", "fatigue"),
        ("Sad for long", "sad-for-long"),
        ("  Phone, at the wheel!  ", "phone-at-the-wheel"),
        ("Müde Augen", "mude-augen"),
        ("someone_smiled", "someone-smiled"),
        ("a" * 31 + " long one", "a" * 31),
    ],
)
def test_short_forms(name: str, short: str):
    assert slug(name) == short


def test_names_without_latin_letters_differ():
    assert slug("困") != slug("疲")
    assert re.fullmatch(r"x[0-9a-f]{6}", slug("困"))


@given(st.text())
def test_a_slug_fits_into_a_topic_and_is_its_own(name: str):
    assert re.fullmatch(r"[a-z0-9-]{1,32}", slug(name))
    assert slug(slug(name)) == slug(name)
