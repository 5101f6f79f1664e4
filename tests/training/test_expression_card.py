"""The shipped expression model and its card belong together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferd.models.registry import find_bundle
from ferd.models.runtime import Network

MODELS = Path(__file__).resolve().parents[2] / "models"
MODEL = MODELS / "expression.tflite"


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    return json.loads((MODELS / "expression.json").read_text(encoding="utf-8"))


def test_the_card_was_written_for_this_file(card: dict[str, Any]) -> None:
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == card["sha256"]


def test_labels_are_the_seven_in_their_fixed_order(card: dict[str, Any]) -> None:
    assert card["labels"] == ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]


def test_the_file_is_small_enough_for_a_zero(card: dict[str, Any]) -> None:
    assert MODEL.stat().st_size < 600_000
    assert card["macs"] <= 40_000_000


def test_the_file_takes_and_gives_what_the_card_says(card: dict[str, Any]) -> None:
    network = Network(MODEL)
    spec = card["input"]
    assert network.input.shape == (1, spec["height"], spec["width"], 1)
    assert network.input.dtype == np.int8
    assert len(network.outputs) == 1
    assert network.outputs[0].shape == (1, len(card["labels"]))
    assert network.outputs[0].dtype == np.int8
    assert card["output"] == "logits"


def test_black_and_white_lie_within_the_range_of_the_input(card: dict[str, Any]) -> None:
    """A range that clips would make dark rooms look alike."""
    tensor = Network(MODEL).input
    spec = card["input"]
    ends = (np.array([0.0, 1.0], dtype=np.float32) - spec["mean"]) / spec["std"]
    stored = tensor.quantise(ends).astype(int)
    assert stored[1] - stored[0] >= 240


def test_figures_hold_what_is_promised(card: dict[str, Any]) -> None:
    figures = card["figures"]
    assert figures["accuracy"] >= 0.85
    assert abs(figures["accuracy"] - figures["accuracy_float"]) < 0.01
    assert figures["ece"] < 0.08
    assert set(figures["recall"]) == set(card["labels"])
    least = {"photos": 0.8, "rafdb": 0.76, "affectnet_ffhq": 0.72, "kdef": 0.8, "ckplus48": 0.85}
    for name, accuracy in least.items():
        assert figures["sets"][name]["accuracy"] >= accuracy
        by_chance = figures["sets"][name]["ece_by_chance"]
        assert by_chance < 0.08
        # A hundred pictures of a perfectly calibrated model measure as much by chance.
        assert figures["sets"][name]["ece"] <= max(0.08, by_chance + 0.015)


def test_the_crop_puts_the_eyes_in_the_upper_half(card: dict[str, Any]) -> None:
    (rx, ry), (lx, ly) = card["crop"]["eyes"]
    assert 0 < rx < lx < 1
    assert 0 < ry < 0.5
    assert 0 < ly < 0.5
    for detector in ("haar", "yunet"):
        assert {"dx", "dy", "scale"} == set(card["crop"][detector])


def test_the_card_names_its_limits(card: dict[str, Any]) -> None:
    assert "5(1)(f)" in card["not_for"]
    assert card["licence"] == "Apache-2.0"
    assert all({"name", "what", "licence"} == set(entry) for entry in card["trained_on"])


def test_the_card_names_the_terms_of_every_set(card: dict[str, Any]) -> None:
    licences = {entry["name"].split(" ")[0]: entry["licence"] for entry in card["trained_on"]}
    for name in ("RAF-DB", "AffectNet", "KDEF", "CK+", "JAFFE"):
        assert "non-commercial" in licences[name]
    assert "CC BY-NC-SA" in licences["AffectNet"]


def test_the_file_that_saw_none_of_the_research_sets_is_there_by_its_own_name() -> None:
    bundle = find_bundle("expression-ferplus")
    assert bundle.name == "expression-ferplus"
    assert bundle.checksum_ok
    names = [source["name"] for source in bundle.card["trained_on"]]
    assert names == ["FER2013 with FER+ labels", "gray press photos", "faces without a label"]
    assert Network(bundle.path).outputs[0].shape == (1, len(bundle.labels))
