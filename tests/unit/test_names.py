from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferd.names import LONGEST_STATE, label_problem, slug


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


@pytest.mark.parametrize(
    "label", ["", " ", "None", "none", "unknown", "Unavailable", "null", "a" * (LONGEST_STATE + 1)]
)
def test_a_class_name_that_reads_like_no_value_or_is_too_long_is_refused(label: str):
    assert label_problem(label)


@pytest.mark.parametrize("label", ["Happy", "no one", "nonesuch", "0 fingers", "a" * LONGEST_STATE, "müde"])
def test_every_other_class_name_is_accepted(label: str):
    assert label_problem(label) is None
