"""Correcting ferd's own model from the page: what is missing is told, and what was corrected can be used."""

import numpy as np
import pytest

from ferd.errors import FerdError
from ferd.models.finetune.samples import Collected
from ferd.models.registry import find_bundle
from ferd.outputs.web.training_jobs import adapted


def collected(label, count=12):
    spec = find_bundle("expression").input
    random = np.random.default_rng(len(label))
    crops = [random.integers(0, 255, (spec.height, spec.width), np.uint8) for _ in range(count)]
    return Collected(label, crops=crops, names=[f"{label} {number}" for number in range(count)])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "record neutral and happiness first"),
        ([("neutral", 12), ("mine", 12)], "record happiness first"),
        ([("neutral", 12), ("happiness", 2)], "too few samples"),
    ],
)
def test_what_is_missing_is_told(given, told):
    with pytest.raises(FerdError, match=told):
        adapted("mine", [collected(*one) for one in given])


def test_the_corrected_one_keeps_the_labels_and_lies_on_the_shelf():
    """A class of one's own that was recorded as well is left alone."""
    report = adapted("corrected", [collected("neutral"), collected("mine"), collected("happiness")])
    bundle = find_bundle("corrected")
    assert report["labels"] == list(bundle.labels) == list(find_bundle("expression").labels)
    assert report["held_out"] == 12
    assert sum(report["shift"].values()) == pytest.approx(0, abs=0.05)
    assert bundle.card["adapted"]["after"] == pytest.approx(report["after"], abs=1e-3)
