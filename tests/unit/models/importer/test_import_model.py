"""Exports in all their forms come onto the shelf and classify as their own runtime says."""

import cv2
import numpy as np
import pytest
from tflite_files import bright_or_dark, classifier, constant, metadata, two_heads, with_float_input, with_labels_inside

from ferd.errors import ModelError
from ferd.models.importer.install import ImportOptions, import_model, read_scale
from ferd.models.importer.samples import read_samples
from ferd.models.registry import find_bundle, shipped_dir
from ferd.models.runtime import Network
from ferd.sources import demo
from ferd.vision.classifier import Classifier

MOOD = ImportOptions("mood")


def test_a_quantised_zip_as_downloaded(export, shelf):
    bundle = import_model(export(), MOOD)
    assert bundle.labels == ("Happy", "Sad", "Tired")
    assert bundle.path == shelf / "mood.tflite"
    assert bundle.checksum_ok
    assert find_bundle("mood") == bundle
    assert (bundle.input.width, bundle.input.height, bundle.input.colour) == (16, 16, "rgb")


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_the_scores_are_those_of_the_file_itself(export, shelf, dtype):
    """Pixels go from -1 to 1 as in Teachable Machine: 0 is the least value that the input holds, 255 the largest."""
    path = export("x.zip", **{"m.tflite": classifier(dtype=dtype), "labels.txt": "a\nb\nc\n"})
    loaded = Classifier(import_model(path, MOOD))
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
    assert import_model(folder, ImportOptions("a")).labels == ("Froh", "Müde", "Weg")
    assert import_model(folder / "model_unquant.tflite", ImportOptions("b")).labels == ("Froh", "Müde", "Weg")


def test_labels_inside_the_file(tmp_path, shelf):
    path = tmp_path / "flowers.tflite"
    path.write_bytes(with_labels_inside(classifier(), "rose\n tulip\nlily\n"))
    assert import_model(path, MOOD).labels == ("rose", "tulip", "lily")


def test_labels_of_the_user_win(export, shelf, tmp_path):
    (tmp_path / "mine.txt").write_text("x\ny\nz\n")
    assert import_model(export(), ImportOptions("mood", labels=tmp_path / "mine.txt")).labels == ("x", "y", "z")


def test_a_model_of_the_whole_picture(export, shelf):
    assert import_model(export(), ImportOptions("mug", view="frame")).input.of == "frame"
    assert find_bundle("mug").input.of == "frame"


def test_logits_are_told_from_probabilities(export, shelf):
    path = export("x.zip", **{"m.tflite": classifier(softmax=False), "labels.txt": "a\nb\nc\n"})
    assert import_model(path, ImportOptions("l")).output == "logits"
    assert import_model(export(), ImportOptions("p")).output == "probabilities"


@pytest.mark.parametrize(
    ("values", "told", "expected"),
    [
        (None, (127.0, 128.0), (127 / 255, 128 / 255)),
        (None, (0.0, 255.0), (0.0, 1.0)),
        ("0..255", (0.0, 255.0), (0.0, 1 / 255)),
        ("0..1", None, (0.0, 1.0)),
    ],
)
def test_how_a_float_model_wants_its_pixels(export, shelf, values, told, expected):
    """The user's word, else the metadata's."""
    data = classifier() if told is None else classifier() + metadata(*told)
    path = export("x.zip", **{"m.tflite": data, "labels.txt": "a\nb\nc\n"})
    spec = import_model(path, ImportOptions("m", scale=values)).input
    assert (spec.mean, spec.std) == pytest.approx(expected)


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
    assert import_model(path, MOOD).labels == ("a", "b", "c")


def test_a_name_that_is_taken_is_kept_unless_replaced(export, shelf):
    first = import_model(export(), MOOD)
    before = first.path.read_bytes()
    other = export("y.zip", **{"m.tflite": classifier(seed=9), "labels.txt": "a\nb\nc\n"})
    with pytest.raises(Exception, match="exists already; add --replace"):
        import_model(other, MOOD)
    assert first.path.read_bytes() == before
    assert import_model(other, ImportOptions("mood", replace=True)).labels == ("a", "b", "c")


# 4 x - 2 is what the shipped model wants of pixels x from 0 to 1.
SCALED = {"0..1": (4.0, -2.0), "-1..1": (2.0, 0.0), "0..255": (4 / 255, -2.0)}


@pytest.mark.parametrize("scale", SCALED)
def test_the_scale_of_a_float_model_is_found_on_faces(tmp_path, shelf, scale):
    """Emotion models of others are trained on 0..1 more often than not, and no file says so."""
    shipped = find_bundle(str(shipped_dir() / "expression.tflite"))
    (tmp_path / "fer.tflite").write_bytes(with_float_input(shipped.path.read_bytes(), *SCALED[scale]))
    (tmp_path / "labels.txt").write_text("\n".join(label.title() for label in shipped.labels))
    bundle = import_model(tmp_path / "fer.tflite", MOOD)
    report = bundle.card["imported"]
    assert report["scale"].startswith(f"{scale}, by a trial on ")
    assert next(line for line in report["trial"] if line.startswith("* ")).startswith(f"* {scale}:")
    assert len(report["trial"]) == 4
    assert ("unsure" in report) == (scale == "-1..1")  # 0..1 is half of it, and read nearly as well


def test_labels_in_the_wrong_order_are_noticed(tmp_path, shelf):
    shipped = find_bundle(str(shipped_dir() / "expression.tflite"))
    (tmp_path / "fer.tflite").write_bytes(with_float_input(shipped.path.read_bytes(), *SCALED["0..1"]))
    (tmp_path / "labels.txt").write_text("\n".join(reversed(shipped.labels)))
    report = import_model(tmp_path / "fer.tflite", MOOD).card["imported"]
    assert "are the labels in the order of the model?" in report["unsure"][0]


def test_a_scale_that_no_picture_decides_is_said(export, shelf):
    path = export("x.zip", **{"m.tflite": classifier(), "labels.txt": "a\nb\nc\n"})
    report = import_model(path, MOOD).card["imported"]
    assert "a guess" in report["scale"]
    assert report["unsure"] == ["the pictures do not decide the scale"]


@pytest.mark.parametrize(
    ("text", "colour", "expected"),
    [
        ("0..1", "gray", (0.0, 1.0)),
        ("0.5/0.25", "gray", (0.5, 0.25)),
        ("imagenet", "rgb", ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ("imagenet", "bgr", ((0.406, 0.456, 0.485), (0.225, 0.224, 0.229))),
        ("0.1,0.2,0.3/0.5", "rgb", ((0.1, 0.2, 0.3), 0.5)),
    ],
)
def test_a_scale_of_the_user(text, colour, expected):
    assert read_scale(text, colour) == expected


@pytest.mark.parametrize("text", ["0..2", "1/0", "a/b", "0.1,0.2/1", "", "1e999/1", "nan/1", "0.1,0.2,0.3/1"])
def test_a_scale_that_is_none(text):
    with pytest.raises(ModelError, match=r"--scale .*is none of"):
        read_scale(text, "gray")


@pytest.mark.parametrize(("name", "dtype"), [("model.tflite", "uint8"), ("model_unquant.tflite", "float32")])
def test_an_export_of_teachable_machine_sees_the_whole_picture(export, shelf, name, dtype):
    path = export(
        "t.zip", **{name: classifier(shape=(1, 224, 224, 3), classes=2, dtype=dtype), "labels.txt": "0 a\n1 b\n"}
    )
    bundle = import_model(path, MOOD)
    assert bundle.input.of == "frame"
    assert "Teachable Machine" in bundle.card["imported"]["sees"]
    assert (bundle.input.mean, bundle.input.std) == pytest.approx((0.5, 0.5), abs=0.01)
    assert import_model(path, ImportOptions("faces", view="face")).input.of == "face"


def test_a_model_of_planes(export, shelf):
    data = classifier(shape=(1, 3, 20, 16))
    loaded = Classifier(import_model(export("x.zip", **{"m.tflite": data, "labels.txt": "a\nb\nc\n"}), MOOD))
    assert (loaded.input.layout, loaded.input.size) == ("nchw", (16, 20))
    picture = np.random.default_rng(3).integers(0, 256, (20, 16, 3), dtype=np.uint8)
    network = Network(loaded.bundle.path)
    direct = network.invoke((picture / 127.5 - 1).astype(np.float32).transpose(2, 0, 1)[None]).reshape(-1)
    np.testing.assert_allclose(loaded(picture), direct, atol=0.01)


@pytest.mark.parametrize(("value", "output", "expected"), [(2.0, "logit", 0.881), (0.7, "probability", 0.7)])
def test_one_number_is_that_of_the_second_label(export, shelf, value, output, expected):
    path = export("x.zip", **{"m.tflite": constant([value]), "labels.txt": "Closed\nOpen\n"})
    bundle = import_model(path, MOOD)
    assert bundle.output == output
    scores = Classifier(bundle)(np.zeros((16, 16), np.uint8))
    assert scores == pytest.approx([1 - expected, expected], abs=1e-3)


def test_sigmoids_of_several_classes_are_no_logits(export, shelf):
    path = export("x.zip", **{"m.tflite": constant([0.9, 0.1, 0.2]), "labels.txt": "a\nb\nc\n"})
    assert Classifier(import_model(path, MOOD))(np.zeros((16, 16), np.uint8)) == pytest.approx([0.75, 1 / 12, 1 / 6])


def test_of_several_outputs_the_one_with_the_labels_counts(export, shelf):
    path = export("x.zip", **{"m.tflite": two_heads([5, 3]), "labels.txt": "a\nb\nc\n"})
    loaded = Classifier(import_model(path, MOOD))
    assert loaded.bundle.head == 1
    assert loaded(np.zeros((16, 16, 3), np.uint8)).shape == (3,)


def test_of_two_equal_outputs_the_user_names_one(export, shelf):
    path = export("x.zip", **{"m.tflite": two_heads([3, 3]), "labels.txt": "a\nb\nc\n"})
    assert import_model(path, ImportOptions("a", output=2)).head == 1
    picture = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    network = Network(find_bundle("a").path)
    direct = network.invoke((picture / 127.5 - 1).astype(np.float32)[None])
    other = network.read(network.outputs[1]).reshape(-1)
    assert not np.allclose(direct.reshape(-1), other)
    np.testing.assert_allclose(Classifier(find_bundle("a"))(picture), other, atol=1e-3)


def test_a_class_gets_another_name(export, shelf):
    path = export("x.zip", **{"m.tflite": classifier(), "labels.txt": "0 None\n1 Sad\n2 Glad\n"})
    bundle = import_model(path, ImportOptions("mood", rename={"None": "nobody"}))
    assert bundle.labels == ("nobody", "Sad", "Glad")


def test_labels_that_belong_to_another_model_beside_it(tmp_path, shelf):
    """Two models and one labels.txt in the downloads folder: whose labels they are is for the user to say."""
    for name in ("a.tflite", "b.tflite"):
        (tmp_path / name).write_bytes(classifier())
    (tmp_path / "labels.txt").write_text("x\ny\nz\n")
    with pytest.raises(ModelError, match="--labels FILE"):
        import_model(tmp_path / "a.tflite", MOOD)
    (tmp_path / "a_labels.txt").write_text("u\nv\nw\n")
    assert import_model(tmp_path / "a.tflite", MOOD).labels == ("u", "v", "w")


def test_labels_that_a_longer_name_beside_it_owns(tmp_path, shelf):
    """mood-2_labels.txt begins with mood as well, and is not mood's."""
    for name in ("mood.tflite", "mood-2.tflite"):
        (tmp_path / name).write_bytes(classifier())
    (tmp_path / "mood-2_labels.txt").write_text("x\ny\nz\n")
    with pytest.raises(ModelError, match="--labels FILE"):
        import_model(tmp_path / "mood.tflite", MOOD)
    assert import_model(tmp_path / "mood-2.tflite", MOOD).labels == ("x", "y", "z")


def test_labels_of_another_model_in_the_same_folder(export, shelf):
    files = {"model.tflite": classifier(), "eyes.tflite": classifier(), "eyes_labels.txt": "x\ny\nz\n"}
    with pytest.raises(ModelError, match="without labels"):
        import_model(export("x.zip", **files), MOOD)
    assert import_model(export("x.zip", **files, **{"labels.txt": "a\nb\nc\n"}), MOOD).labels == ("a", "b", "c")


def test_files_of_labels_that_agree(export, shelf):
    files = {"m.tflite": classifier(), "labels.txt": "0 a\r\n1 b\r\n2 c\r\n", "._labels.txt": "\0\5\x16\7"}
    indices = '{"c": 2, "a": 0, "b": 1}'
    assert import_model(export("x.zip", **files, **{"class_indices.json": indices}), MOOD).labels == ("a", "b", "c")


def test_labels_and_metadata_that_differ(export, shelf):
    """Two sources in another order: neither is taken in silence."""
    files = {"m.tflite": classifier(), "labels.txt": "a\nb\nc\n"}
    with pytest.raises(ModelError, match=r"labels\.txt \(a, b, c\) and metadata\.json \(c, b, a\)"):
        import_model(export("x.zip", **files, **{"metadata.json": '{"labels": ["c", "b", "a"]}'}), MOOD)
    import_model(export("x.zip", **files, **{"metadata.json": '{"labels": ["a", "b", "c"]}'}), MOOD)


def test_two_models_of_the_usual_name(export, shelf):
    files = {"a/model.tflite": classifier(), "b/model.tflite": classifier(dtype="uint8"), "labels.txt": "a\nb\nc\n"}
    with pytest.raises(ModelError, match=r"holds 2 models \(a/model\.tflite, b/model\.tflite\)"):
        import_model(export("x.zip", **files), MOOD)


def test_pictures_of_the_user_decide_between_face_and_whole_picture(tmp_path, shelf):
    """The classes differ in the room, not in the face: a bright wall or a dark one."""
    rng = np.random.default_rng(5)
    for name, level in (("Bright", 230), ("Dark", 20)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            image = demo.render(1.0 + number / 20).image.copy()
            image[:, :180] = image[:, -180:] = rng.normal(level, 8, (480, 180, 3)).clip(0, 255)
            cv2.imwrite(str(tmp_path / "pictures" / name / f"{number}.png"), image)
    (tmp_path / "room.tflite").write_bytes(bright_or_dark(-0.5))
    (tmp_path / "labels.txt").write_text("Bright\nDark\n")
    samples = read_samples(tmp_path / "pictures")
    bundle = import_model(tmp_path / "room.tflite", ImportOptions("room", samples=samples, scale="-1..1"))
    assert bundle.input.of == "frame"
    assert "100 % on whole pictures" in bundle.card["imported"]["sees"]
    assert import_model(tmp_path / "room.tflite", ImportOptions("b", view="face", samples=samples)).input.of == "face"
