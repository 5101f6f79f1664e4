"""Labels come from the bundle, quantisation from the file, probabilities from logits and temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tflite_files import classifier as tiny_classifier

from ferd.errors import ModelError
from ferd.models.bundle import read_bundle
from ferd.models.preprocess import InputSpec
from ferd.models.registry import find_bundle
from ferd.models.runtime import Tensor
from ferd.vision.classifier import Classifier, sharpen, softmax
from ferd.vision.images import to_input_colour

floats = st.floats(-50, 50, width=32)


@pytest.fixture(scope="module")
def classifier():
    return Classifier(find_bundle("expression"))


def test_the_shipped_model_has_the_seven_labels_and_is_int8(classifier):
    assert classifier.labels == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert classifier.network.input.dtype == np.int8
    assert classifier.network.outputs[0].dtype == np.int8
    assert classifier.bundle.checksum_ok
    assert classifier.bundle.path.stat().st_size < 600_000


def test_probabilities(classifier):
    picture = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    scores = classifier(picture)
    assert scores.shape == (7,)
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert (classifier(picture) == scores).all()


def test_different_pictures_give_different_scores(classifier):
    flat = classifier(np.full((48, 48), 128, np.uint8))
    noise = classifier(np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8))
    assert np.abs(flat - noise).max() > 0.01


def test_the_pixel_table_is_the_card_and_the_file(classifier):
    spec, tensor = classifier.input, classifier.network.input
    picture = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    real = (picture.astype(np.float64) / 255 - spec.mean) / spec.std
    stored = np.clip(np.rint(real / tensor.scale + tensor.zero_point), -128, 127)
    assert np.abs(classifier.prepare(picture).reshape(48, 48) - stored).max() <= 1


def test_a_damaged_copy_is_not_vouched_for(bundle_dir):
    path = bundle_dir / "expression.tflite"
    assert read_bundle(bundle_dir).checksum_ok
    path.write_bytes(path.read_bytes() + b"\0")
    assert not read_bundle(bundle_dir).checksum_ok


def test_a_file_with_labels_only_runs_too(bundle_dir):
    (bundle_dir / "expression.json").unlink()
    (bundle_dir / "labels.txt").write_text("\n".join(f"{i} class {i}" for i in range(7)))
    classifier = Classifier(read_bundle(bundle_dir))
    assert classifier.labels[6] == "class 6"
    assert classifier.input == InputSpec(48, 48, "gray", 0.5, 0.5)
    assert classifier(np.zeros((48, 48), np.uint8)).sum() == pytest.approx(1, abs=1e-5)


@given(arrays(np.float32, 7, elements=floats))
def test_softmax_is_a_distribution_in_the_same_order(logits):
    probabilities = softmax(logits)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities[int(np.argmax(logits))] == probabilities.max()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_no_numbers_say_nothing(wrong):
    scores = np.array([0.1, wrong, 0.2, 0.3], np.float32)
    assert softmax(scores).tolist() == sharpen(scores, 1.5).tolist() == [0.25] * 4


@given(arrays(np.float32, 5, elements=st.floats(0.015625, 1, width=32)))
def test_temperature_one_leaves_probabilities_alone(values):
    probabilities = (values / values.sum()).astype(np.float32)
    assert sharpen(probabilities, 1.0) == pytest.approx(probabilities, abs=1e-5)


@given(
    arrays(np.float32, 9, elements=st.floats(-1, 1, width=32)),
    st.sampled_from([np.int8, np.uint8]),
)
def test_quantising_and_back_stays_within_half_a_step(values, dtype):
    tensor = Tensor(0, (9,), np.dtype(dtype), 1 / 100, 0 if dtype == np.int8 else 128)
    assert tensor.dequantise(tensor.quantise(values)) == pytest.approx(values, abs=0.0051)


def test_a_tensor_without_a_scale_is_left_as_it_is():
    tensor = Tensor(0, (2,), np.dtype(np.float32), 0.0, 0)
    assert tensor.quantise(np.array([0.25, -3], np.float32)).tolist() == [0.25, -3]


@pytest.mark.parametrize(("colour", "shape"), [("gray", (4, 6)), ("rgb", (4, 6, 3))])
@pytest.mark.parametrize("source", [(4, 6), (4, 6, 3)])
def test_any_camera_fits_any_input(colour, shape, source):
    picture = np.full(source, 77, np.uint8)
    assert to_input_colour(picture, InputSpec(6, 4, colour)).shape == shape


def test_rgb_is_not_bgr():
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[..., 2] = 200  # red, as OpenCV stores it
    assert to_input_colour(picture, InputSpec(2, 2, "rgb"))[0, 0].tolist() == [200, 0, 0]


@pytest.fixture
def without_card(tmp_path):
    """A float model with labels.txt beside it, as `[expression] model` may name it."""

    def write(labels):
        (tmp_path / "m.tflite").write_bytes(tiny_classifier())
        (tmp_path / "labels.txt").write_text("\n".join(labels))
        return read_bundle(tmp_path / "m.tflite")

    return write


def test_a_float_file_without_card_says_that_its_scale_is_a_guess(without_card, caplog):
    Classifier(without_card(["a", "b", "c"]))
    assert "pixels are scaled to -1..1, a guess. `ferd model add" in caplog.text


def test_a_class_that_reads_like_no_value_is_warned_of(without_card, caplog):
    Classifier(without_card(["a", "None", "c"]))
    assert 'the class "None" of model m reads like no value' in caplog.text
    assert "--rename" in caplog.text


def test_labels_that_do_not_fit_a_file_without_card_name_the_remedy(without_card):
    with pytest.raises(ModelError, match="`ferd model add` also takes models with one score"):
        Classifier(without_card(["a", "b"]))
