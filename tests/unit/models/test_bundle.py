"""A model file that is missing, broken or does not fit: a clear error, never a crash of the process."""

import contextlib
import random

import pytest

from ferd.errors import EXIT_CONFIG, ModelError
from ferd.models.bundle import read_bundle
from ferd.models.registry import find_bundle
from ferd.vision.classifier import Classifier


def refuse(path):
    with pytest.raises(ModelError) as told:
        Classifier(read_bundle(path))
    assert told.value.exit_code == EXIT_CONFIG
    return str(told.value)


def test_a_name_that_is_not_on_the_shelf_lists_what_is():
    with pytest.raises(ModelError, match=r"no model named 'expresion'. Installed: .*expression"):
        find_bundle("expresion")


def test_missing(tmp_path):
    assert "no such model file" in refuse(tmp_path / "x.tflite")


def test_empty(bundle_dir):
    (bundle_dir / "expression.tflite").write_bytes(b"")
    assert "is empty" in refuse(bundle_dir)


def test_another_kind_of_file(bundle_dir):
    (bundle_dir / "expression.tflite").write_bytes(b"PK\x03\x04 a zip, perhaps")
    assert "is not a TFLite model" in refuse(bundle_dir)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
def test_truncated(bundle_dir, share):
    path = bundle_dir / "expression.tflite"
    data = path.read_bytes()
    path.write_bytes(data[: max(16, int(len(data) * share))])
    assert str(path) in refuse(bundle_dir)


def test_random_bytes_behind_a_right_head(bundle_dir):
    path = bundle_dir / "expression.tflite"
    path.write_bytes(path.read_bytes()[:8] + random.Random(1).randbytes(50_000))
    assert str(path) in refuse(bundle_dir)


def test_flipped_bits_are_an_error_or_harmless_but_never_a_crash(bundle_dir):
    path = bundle_dir / "expression.tflite"
    data = bytearray(path.read_bytes())
    rng = random.Random(2)
    for _ in range(200):
        data[rng.randrange(16, len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        Classifier(read_bundle(bundle_dir))


def test_a_card_for_another_input_shape(bundle_dir, edit_card):
    edit_card(input={"width": 64, "height": 64, "colour": "gray", "mean": 0.5, "std": 0.5})
    assert "its card says [1, 64, 64, 1]" in refuse(bundle_dir)


def test_a_card_with_too_few_labels(bundle_dir, edit_card):
    edit_card(labels=["happy", "sad"])
    message = refuse(bundle_dir)
    assert "7 scores" in message
    assert "2 labels (happy, sad)" in message


def test_a_label_twice(bundle_dir, edit_card):
    edit_card(labels=["a", "b", "a", "c", "d", "e", "f"])
    assert "holds a twice" in refuse(bundle_dir)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": None}, "lacks the key 'input'"),
        ({"labels": 5}, "is not a model card"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"output": "magic"}, 'output "logits" or "probabilities"'),
        ({"crop": {"eyes": [1, 2, 3]}}, "is not a model card"),
        ({"input": {"width": 0, "height": 48, "colour": "gray", "mean": 0, "std": 0}}, "std"),
        ({"input": {"width": 48, "height": 48, "colour": "infrared", "mean": 0, "std": 1}}, "colour"),
    ],
)
def test_a_wrong_card_is_told_by_its_key(bundle_dir, edit_card, change, message):
    edit_card(**change)
    assert message in refuse(bundle_dir)


def test_a_card_that_is_not_json(bundle_dir):
    (bundle_dir / "expression.json").write_text("{")
    assert "is not a model card" in refuse(bundle_dir)


def test_no_card_and_no_labels(bundle_dir):
    (bundle_dir / "expression.json").unlink()
    assert "no labels.txt beside it" in refuse(bundle_dir)


def test_a_folder_with_two_models(bundle_dir):
    (bundle_dir / "other.tflite").write_bytes((bundle_dir / "expression.tflite").read_bytes())
    assert "holds 2 .tflite files" in refuse(bundle_dir)


def test_a_card_that_is_too_large(bundle_dir):
    card = bundle_dir / "expression.json"
    card.write_bytes(card.read_bytes().replace(b"{", b"{" + b" " * (2 << 20), 1))
    assert "is not a model card" in refuse(bundle_dir)


def test_a_card_that_names_an_output_that_is_not_there(bundle_dir, edit_card):
    edit_card(head=3)
    assert "has 1 outputs, its card names number 4" in refuse(bundle_dir)
