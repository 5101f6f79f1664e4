"""What is no export that ferd can take: it is said what it is and what to do, and nothing is stored."""

import json
import stat
import zipfile
from dataclasses import replace

import pytest
from tflite_files import classifier, greedy, hanging, two_heads, with_labels_inside

from ferd.errors import EXIT_CONFIG, ModelError
from ferd.models import sandbox
from ferd.models.importer import export as export_module
from ferd.models.importer import unpack
from ferd.models.importer.install import ImportOptions, import_model


@pytest.fixture
def refuse(shelf):
    """Adopts, expects the error, and that the shelf is as empty as before; returns what was said."""

    def attempt(path, **wishes):
        with pytest.raises(ModelError) as told:
            import_model(path, ImportOptions("mood", **wishes))
        assert not shelf.exists() or not list(shelf.iterdir())
        assert told.value.exit_code == EXIT_CONFIG
        return str(told.value)

    return attempt


def three(**more):
    return {"labels.txt": "a\nb\nc\n"} | more


def test_not_there(refuse, tmp_path):
    assert "is not there" in refuse(tmp_path / "gone.zip")


def test_no_zip_at_all(refuse, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and then nothing of the kind")
    assert "is a broken zip" in refuse(tmp_path / "x.zip")


def test_a_truncated_zip(refuse, export):
    path = export()
    path.write_bytes(path.read_bytes()[:-200])
    assert "is a broken zip" in refuse(path)


def test_an_empty_zip(refuse, export):
    assert "is an empty zip" in refuse(export("x.zip", nothing=None))


@pytest.mark.parametrize("name", ["../../evil.tflite", "/etc/evil.tflite", "a/../../evil", "..\\evil.tflite", "C:evil"])
def test_names_that_climb_out(refuse, export, name, tmp_path):
    assert "leads out of the folder" in refuse(export("x.zip", **{name: "x", **three()}))
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_nonsense_inside(refuse, tmp_path, method):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("model.tflite", classifier())
    whole = bytearray(path.read_bytes())
    whole[60:120] = bytes(range(60))
    path.write_bytes(whole)
    told = refuse(path)
    assert told.startswith(f"{path}: ")
    assert "ownload it again" in told


@pytest.mark.parametrize("names", [["a", "a/model.tflite"], ["a/model.tflite", "a"], ["x" * 300 + ".tflite"]])
def test_names_that_no_disk_holds(refuse, tmp_path, names):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    assert f"{path}: cannot be unpacked" in refuse(path)


def test_what_is_told_names_the_users_file_not_where_it_was_unpacked(refuse, export):
    broken = refuse(export("x.zip", **three(**{"model.tflite": classifier()[:300]})))
    twice = refuse(export("y.zip", **{"model.tflite": classifier(), "labels.txt": "a\na\nb\n"}))
    assert "x.zip: model.tflite" in broken
    assert "y.zip: labels.txt: holds a twice" in twice
    assert "ferd-add-" not in broken + twice


@pytest.mark.parametrize("label", ["a\x00b", "\x1b[31mred", "a\u202eb"])
def test_a_label_that_cannot_be_shown(refuse, export, label):
    told = refuse(export("x.zip", **{"model.tflite": classifier(), "labels.txt": f"{label}\nb\nc\n"}))
    assert "cannot be shown" in told
    assert label not in told


def test_a_keras_file_is_one_file_although_it_is_a_zip(refuse, export):
    path = export("mood.keras", **{"config.json": "{}", "model.weights.h5": "x"})
    (path.parent / "labels.txt").write_text("a\nb\nc\n")
    assert "is a keras export" in refuse(path)
    assert unpack.unpack(path, path.parent / "into") == path


def test_a_link_in_the_zip(refuse, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("labels.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert "holds the link 'labels.txt'" in refuse(path)


def test_a_zip_bomb_by_its_header(refuse, export, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_BYTES", 1 << 20)
    assert "unpacks to more than 1 MB" in refuse(export("x.zip", **three(**{"model.tflite": b"\0" * (2 << 20)})))


def test_a_zip_bomb_with_a_lying_header(refuse, export, monkeypatch):
    """The header says little, the contents go on: the bound holds while unpacking."""
    path = export("x.zip", **three(**{"model.tflite": b"\0" * (2 << 20)}))
    data = path.read_bytes()
    size = (2 << 20).to_bytes(4, "little")
    assert data.count(size) == 2  # once before the contents, once in the directory
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    monkeypatch.setattr(unpack, "MAX_BYTES", 1 << 20)
    assert "x.zip" in refuse(path)


def test_too_many_files(refuse, export):
    assert "holds 203 files" in refuse(export("x.zip", **three(**{f"{n}.txt": "x" for n in range(202)})))


def test_no_model_in_it(refuse, export):
    told = refuse(export("x.zip", **three(**{"readme.md": "hello"})))
    assert "holds no model that ferd can import (labels.txt, readme.md)" in told
    assert "Quantized" in told


@pytest.mark.parametrize(("name", "what"), [("m.onnx", "an ONNX model"), ("m.pt", "a PyTorch model")])
def test_models_of_other_makers(refuse, export, name, what):
    assert what in refuse(export("x.zip", **three(**{name: "x"})))


def test_two_models(refuse, export):
    files = three(**{"a.tflite": classifier(), "b.tflite": classifier()})
    assert "holds 2 models (a.tflite, b.tflite)" in refuse(export("x.zip", **files))


def test_labels_are_missing(refuse, export):
    assert "--labels FILE" in refuse(export("x.zip", **{"model.tflite": classifier()}))


@pytest.mark.parametrize(("text", "count"), [("a\nb\n", 2), ("a\nb\nc\nd\n", 4)])
def test_labels_too_few_or_too_many(refuse, export, text, count):
    told = refuse(export("x.zip", **{"model.tflite": classifier(), "labels.txt": text}))
    assert f"gives 3 scores, but there are {count} labels" in told


def test_two_labels_of_one_name(refuse, export):
    told = refuse(export("x.zip", **{"model.tflite": classifier(), "labels.txt": "Happy\nSad\nHappy\n"}))
    assert "holds Happy twice" in told


def test_a_detection_model(refuse, export):
    told = refuse(export("x.zip", **three(**{"model.tflite": two_heads([40, 10, 10, 1])})))
    assert "gives 4 outputs (1x40, 1x10, 1x10, 1x1), none with a score for each of 3 labels: a model that" in told


def test_two_heads(refuse, export):
    told = refuse(export("x.zip", **three(**{"model.tflite": two_heads([3, 3])})))
    assert "has 2 outputs with 3 scores each" in told
    assert "--output 1 or --output 2" in told


@pytest.mark.parametrize("number", [0, 2, -1])
def test_an_output_that_is_not_there(refuse, export, number):
    assert f"--output {number} is none of them" in refuse(export(), output=number)


def test_one_class_only(refuse, export):
    told = refuse(export("x.zip", **{"model.tflite": classifier(classes=1), "labels.txt": "0 Face\n"}))
    assert 'knows one class, "Face", and so gives the same answer' in told


def test_two_files_of_labels(refuse, export):
    told = refuse(export("x.zip", **three(**{"model.tflite": classifier(), "other/labels.txt": "x\ny\nz\n"})))
    assert "holds several files of labels: labels.txt and other/labels.txt" in told
    assert "--labels FILE" in told


def test_labels_inside_in_another_order(refuse, export):
    data = with_labels_inside(classifier(), "b\na\nc\n")
    assert "has another order (a, b, c)" in refuse(export("x.zip", **three(**{"model.tflite": data})))


@pytest.mark.parametrize("label", ["None", "unknown", "unavailable"])
def test_a_class_that_reads_like_no_value(refuse, export, label):
    told = refuse(export("x.zip", **{"model.tflite": classifier(), "labels.txt": f"0 {label}\n1 b\n2 c\n"}))
    assert f'--rename "{label}=NAME"' in told


def test_renaming_what_is_not_there(refuse, export):
    assert 'there is no class "Joy"' in refuse(export(), rename={"Joy": "x"})


def test_renaming_to_a_name_that_is_there(refuse, export):
    assert "holds Sad twice" in refuse(export(), rename={"Happy": "Sad"})


def test_folders_in_folders(refuse, export, tmp_path):
    deep = "/".join("d" * 30)
    assert "12 folders in one another" in refuse(export("x.zip", **three(**{f"{deep}/model.tflite": classifier()})))
    (tmp_path / "folder" / deep).mkdir(parents=True)
    assert "12 folders in one another" in refuse(tmp_path / "folder")


def test_a_folder_that_links_to_itself(refuse, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "again").symlink_to(tmp_path / "folder")
    assert "holds no model" in refuse(tmp_path / "folder")


def test_a_zip_in_a_zip(refuse, export):
    inner = export("inner.zip").read_bytes()
    assert "inner.zip is a zip again" in refuse(export("x.zip", **{"inner.zip": inner}))


def test_a_file_that_is_too_large_is_not_read(refuse, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "MAX_BYTES", 1 << 20)
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with (tmp_path / "m.tflite").open("wb") as file:
        file.truncate(5 << 20)
    assert "m.tflite is 5 MB; 1 MB are supported" in refuse(tmp_path / "m.tflite")


def test_a_model_that_needs_more_memory_than_there_is(refuse, export, monkeypatch):
    monkeypatch.setattr(sandbox, "memory_limit", lambda _most: 300 << 20)
    told = refuse(export("x.zip", **three(**{"model.tflite": greedy()})))
    assert "needs at least 1525 MB of memory" in told
    assert "300 MB are free here" in told


def test_a_model_of_sounds_or_sensors(refuse, export):
    told = refuse(export("x.zip", **three(**{"model.tflite": classifier(shape=(1, 400))})))
    assert "takes 1x400 numbers, not an image" in told


@pytest.mark.parametrize(
    ("metadata", "what"),
    [
        ({"wordLabels": ["a", "b"], "packageName": "speech-commands"}, "is a sound model"),
        ({"packageName": "@teachablemachine/pose", "labels": ["a"]}, "is a pose model"),
    ],
)
def test_other_projects_of_teachable_machine(refuse, export, metadata, what):
    told = refuse(export("x.zip", **{"model.json": "{}", "weights.bin": "", "metadata.json": json.dumps(metadata)}))
    assert what in told


def test_a_sound_model_as_tflite(refuse, export):
    told = refuse(export("x.zip", **three(**{"soundclassifier_with_metadata.tflite": classifier(shape=(1, 400))})))
    assert "is a sound model" in told


def test_compiled_for_the_edge_tpu(refuse, export):
    told = refuse(export("x.zip", **three(**{"model_edgetpu.tflite": classifier() + b"edgetpu-custom-op"})))
    assert "compiled for an Edge TPU" in told
    assert '"Quantized"' in told


def test_float16(refuse, export):
    told = refuse(export("x.zip", **three(**{"model.tflite": classifier(half=True)})))
    assert "is stored in float16" in told


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_broken_flatbuffer_is_no_crash(refuse, export, share):
    data = classifier()
    refuse(export("x.zip", **three(**{"model.tflite": data[: int(len(data) * share)]})))


def test_a_web_export_without_its_weights(refuse, export):
    told = refuse(export("x.zip", **{"model.json": "{}", "metadata.json": '{"labels": ["a", "b"]}'}))
    assert "its weights.bin is not" in told


def test_an_export_that_must_be_converted_says_how(refuse, export):
    told = refuse(export("converted_keras.zip", **three(**{"keras_model.h5": "x"})))
    assert "--pictures DIR" in told


@pytest.mark.parametrize("name", ["Mood", "../x", "a b", "", "-x", "x" * 33])
def test_names_that_are_none(export, shelf, name):
    with pytest.raises(ModelError, match="is not a valid model name"):
        import_model(export(), ImportOptions(name))


def test_our_own_names_are_ours(export, shelf):
    with pytest.raises(ModelError, match="comes with ferd; choose another"):
        import_model(export(), ImportOptions("expression"))


def test_a_shelf_that_cannot_be_written(export, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot be written"):
        import_model(export(), ImportOptions("mood"))


def test_a_model_that_hangs_on_faces(refuse, export, monkeypatch):
    monkeypatch.setattr(sandbox, "LIMITS", replace(sandbox.LIMITS, run_s=1.0))
    told = refuse(export("x.zip", **three(**{"model.tflite": hanging(0.05, 0.2)})))
    assert "x.zip: model.tflite: did not finish a run on a drawn face within 1 s" in told
