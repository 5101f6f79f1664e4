"""What can be said of a lesson before it begins."""

from __future__ import annotations

import pytest

from ferd.errors import FerdError
from ferd.models.finetune.train import check


@pytest.mark.parametrize("label", ["", "  ", "a\x1b[31m", "a\u202eb", "None", "unknown", "x" * 300])
def test_a_class_name_that_cannot_be_shown_or_published_is_refused_before_anything_is_stored(label: str):
    with pytest.raises(FerdError, match=r"rename|are supported"):
        check(["happy", label], [60, 60])


def test_names_in_any_writing_are_taken():
    check(["glücklich", "笑顔", "\U0001f600"], [60, 60, 60])
