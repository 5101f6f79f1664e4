"""`ferd model add` prints what it chose and why, and what it is not sure of."""

import errno
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest
from brokers import wait_for
from tflite_files import classifier

from ferd.cli.main import main
from ferd.errors import EXIT_CONFIG, EXIT_FAILED
from ferd.models.registry import find_bundle, user_dir
from ferd.sources import demo


@pytest.fixture
def export(tmp_path):
    def write(model, labels, name="export.zip", file="model.tflite"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(file, model)
            archive.writestr("labels.txt", labels)
        return str(tmp_path / name)

    return write


def add(*arguments):
    return main(["model", "add", "--name", "mood", *arguments])


def test_an_export_of_teachable_machine_is_recognised_aloud(export, capsys):
    assert add(export(classifier(shape=(1, 224, 224, 3), dtype="uint8"), "0 a\n1 b\n2 c\n")) == 0
    captured = capsys.readouterr()
    assert (
        "It is a Teachable Machine export, so it will see whole pictures. For cropped faces: --input face"
        in captured.out
    )
    assert captured.err == ""


def test_a_guess_is_called_one(export, capsys):
    assert add(export(classifier(), "a\nb\nc\n", file="m.tflite")) == 0
    captured = capsys.readouterr()
    assert "a guess, which a trial on 24 faces of the demo scene does not decide (--scale)" in captured.out
    assert "* -1..1 RGB:" in captured.out
    assert "Not sure how it reads its pixels: the pictures do not decide the scale" in captured.err


def test_what_the_user_sets_is_not_tried(export, capsys):
    file = export(classifier(), "None\nb\nc\n", file="m.tflite")
    chosen = ["--scale=-1..1", "--channels", "bgr", "--input", "face", "--output", "1", "--rename", "None=nobody"]
    assert add(file, *chosen) == 0
    captured = capsys.readouterr()
    assert "scale: -1..1, by you (--scale)" in captured.out
    assert "channels: BGR, by you (--channels)" in captured.out
    assert "trial" not in captured.out
    assert captured.err == ""
    assert find_bundle("mood").labels == ("nobody", "b", "c")
    assert find_bundle("mood").input.colour == "bgr"


def test_files_that_are_no_pictures_are_named(export, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/a.png"), demo.render(1.5).image)
    (tmp_path / "pictures/IMG_2.heic").write_bytes(b"x")
    assert add(export(classifier(), "a\nb\nc\n", file="m.tflite"), "--pictures", str(tmp_path / "pictures")) == 0
    assert "1 pictures were read; left out: IMG_2.heic (HEIC: save as JPEG first)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scale", "0..2"], "--scale 0..2: is none of"),
        (["--rename", "a"], "write OLD=NEW"),
        (["--rename", "x=y"], 'there is no class "x"'),
        (["--pictures", "/no/such/folder"], "is not a folder"),
        (["--labels", "/no/such/file"], "cannot be read"),
    ],
)
def test_options_that_are_wrong(export, capsys, arguments, told):
    assert add(export(classifier(), "a\nb\nc\n"), *arguments) in (1, EXIT_CONFIG)
    assert told in capsys.readouterr().err


def test_labels_in_another_encoding_are_named(export, capsys):
    assert add(export(classifier(), "Müde\nFröhlich\nc\n".encode("cp1252"), file="m.tflite")) == 0
    captured = capsys.readouterr()
    assert "labels: from labels.txt, read as Windows-1252 (--labels)" in captured.out
    assert "Warning: labels.txt is not UTF-8. It was read as Windows-1252: Müde, Fröhlich" in captured.err


def test_a_label_that_was_encoded_twice_is_named_and_can_be_renamed(export, capsys):
    file = export(classifier(), "MÃ¼de\nb\nc\n", file="m.tflite")
    assert add(file) == 0
    assert 'the label "MÃ¼de" seems to be "Müde", encoded twice. Rename it, --rename "MÃ¼de=Müde"' in (
        capsys.readouterr().err
    )
    assert add(file, "--rename", "MÃ¼de=Müde", "--replace") == 0
    assert "encoded twice" not in capsys.readouterr().err
    assert find_bundle("mood").labels == ("Müde", "b", "c")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_add_leaves_nothing(export, tmp_path, number, code):
    file, temporary, data = export(classifier(), "a\nb\nc\n"), tmp_path / "tmp", tmp_path / "data"
    temporary.mkdir()
    program = (  # a process in the background may ignore SIGINT from its start
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ferd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    environ = os.environ | {"TMPDIR": str(temporary), "XDG_DATA_HOME": str(data), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, "model", "add", file, "--name", "mood"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: any(temporary.glob("ferd-add-*")), 120)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert list(temporary.iterdir()) == []
    assert list(data.rglob("mood*")) == []


def test_a_disk_that_fills_up_leaves_nothing(export, tmp_path, monkeypatch, capsys):
    def full(_source, target):
        Path(target).write_bytes(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ferd.models.registry.shutil.copyfile", full)
    assert add(export(classifier(), "a\nb\nc\n")) == EXIT_FAILED
    assert "the disk is full" in capsys.readouterr().err
    assert list(user_dir().iterdir()) == []


def test_what_a_killed_run_left_in_the_folder_of_models_is_removed(export):
    user_dir().mkdir(parents=True)
    old, new = user_dir() / ".gone.tflite.new", user_dir() / ".other.tflite.new"
    for file in (old, new):
        file.touch()
    os.utime(old, (1e9, 1e9))
    assert add(export(classifier(), "a\nb\nc\n")) == 0
    assert not old.exists()
    assert new.exists(), "another run may be writing it"
