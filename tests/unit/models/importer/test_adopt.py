"""Exports in all their forms come onto the shelf and classify as their own runtime says."""

import numpy as np
import pytest
from tflite_files import classifier, metadata, with_labels_inside

from ferd.models.importer.adopt import Wishes, adopt, input_spec
from ferd.models.registry import find_bundle
from ferd.models.runtime import Network
from ferd.models.sandbox import Facts
from ferd.vision.classifier import Classifier

MOOD = Wishes("mood")


def test_a_quantised_zip_as_downloaded(export, shelf):
    bundle = adopt(export(), MOOD)
    assert bundle.labels == ("Happy", "Sad", "Tired")
    assert bundle.path == shelf / "mood.tflite"
    assert bundle.checksum_ok
    assert find_bundle("mood") == bundle
    assert (bundle.input.width, bundle.input.height, bundle.input.colour) == (16, 16, "rgb")


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_the_scores_are_those_of_the_file_itself(export, shelf, dtype):
    """Pixels go from -1 to 1 as in Teachable Machine: 0 is the least value that the input holds, 255 the largest."""
    path = export("x.zip", **{"m.tflite": classifier(dtype=dtype), "labels.txt": "a\nb\nc\n"})
    loaded = Classifier(adopt(path, MOOD))
    picture = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    network = Network(loaded.bundle.path)
    stored = {"uint8": picture, "int8": (picture.astype(np.int16) - 128).astype(np.int8)}
    plain = stored.get(dtype, (picture / 127.5 - 1).astype(np.float32))
    direct = network.outputs[0].dequantise(network.invoke(plain[None])).reshape(-1)
    np.testing.assert_allclose(loaded(picture), direct / direct.sum(), atol=0.01)


def test_a_folder_and_a_bare_file(export, shelf, tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "model_unquant.tflite").write_bytes(classifier())
    (folder / "labels.txt").write_text("\ufeff0 Froh\r\n1 Müde\r\n2  Weg\r\n", encoding="utf-8")
    assert adopt(folder, Wishes("a")).labels == ("Froh", "Müde", "Weg")
    assert adopt(folder / "model_unquant.tflite", Wishes("b")).labels == ("Froh", "Müde", "Weg")


def test_labels_inside_the_file(tmp_path, shelf):
    path = tmp_path / "flowers.tflite"
    path.write_bytes(with_labels_inside(classifier(), "rose\n tulip\nlily\n"))
    assert adopt(path, MOOD).labels == ("rose", "tulip", "lily")


def test_labels_of_the_user_win(export, shelf, tmp_path):
    (tmp_path / "mine.txt").write_text("x\ny\nz\n")
    assert adopt(export(), Wishes("mood", labels=tmp_path / "mine.txt")).labels == ("x", "y", "z")


def test_a_model_of_the_whole_picture(export, shelf):
    assert adopt(export(), Wishes("mug", view="frame")).input.of == "frame"
    assert find_bundle("mug").input.of == "frame"


def test_logits_are_told_from_probabilities(export, shelf):
    path = export("x.zip", **{"m.tflite": classifier(softmax=False), "labels.txt": "a\nb\nc\n"})
    assert adopt(path, Wishes("l")).output == "logits"
    assert adopt(export(), Wishes("p")).output == "probabilities"


@pytest.mark.parametrize(
    ("values", "told", "expected"),
    [
        (None, None, (0.5, 0.5)),
        (None, (127.0, 128.0), (127 / 255, 128 / 255)),
        (None, (0.0, 255.0), (0.0, 1.0)),
        ("0..255", (0.0, 255.0), (0.0, 1 / 255)),
        ("0..1", None, (0.0, 1.0)),
    ],
)
def test_how_a_float_model_wants_its_pixels(export, shelf, values, told, expected):
    """The user's word, else the metadata's, else Teachable Machine's."""
    data = classifier() if told is None else classifier() + metadata(*told)
    path = export("x.zip", **{"m.tflite": data, "labels.txt": "a\nb\nc\n"})
    spec = adopt(path, Wishes("m", values=values)).input
    assert (spec.mean, spec.std) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("limits", "values", "converted", "expected"),
    [
        ((-1.0, 0.992), None, False, (0.502, 0.502)),
        ((0.0, 1.0), None, False, (0.0, 1.0)),
        ((0.0, 255.0), None, False, (0.0, 1 / 255)),
        ((-0.4, 0.9), None, False, (0.5, 0.5)),  # the range of somebody's pictures
        ((-0.4, 0.9), "0..1", False, (0.0, 1.0)),
        ((0.0, 1.0), None, True, (0.5, 0.5)),  # converted here, with -1..1
    ],
)
def test_how_a_quantised_model_wants_its_pixels(tmp_path, limits, values, converted, expected):
    (tmp_path / "m.tflite").write_bytes(classifier())
    facts = Facts((1, 16, 16, 3), "int8", limits, ((1, 3),), half_floats=False, scores=((1.0, 0.0, 0.0),))
    spec = input_spec(tmp_path / "m.tflite", facts, Wishes("m", values=values), converted=converted)
    assert (spec.mean, spec.std) == pytest.approx(expected, abs=1e-3)


def test_a_folder_in_the_zip_and_what_a_mac_adds(export, shelf):
    path = export(
        "x.zip",
        **{
            "export/model.tflite": classifier(),
            "export/labels.txt": "a\nb\nc\n",
            "__MACOSX/export/._model.tflite": "junk",
            "export/.DS_Store": "junk",
        },
    )
    assert adopt(path, MOOD).labels == ("a", "b", "c")


def test_a_name_that_is_taken_is_kept_unless_replaced(export, shelf):
    first = adopt(export(), MOOD)
    before = first.path.read_bytes()
    other = export("y.zip", **{"m.tflite": classifier(seed=9), "labels.txt": "a\nb\nc\n"})
    with pytest.raises(Exception, match="is there already; add --replace"):
        adopt(other, MOOD)
    assert first.path.read_bytes() == before
    assert adopt(other, Wishes("mood", replace=True)).labels == ("a", "b", "c")
