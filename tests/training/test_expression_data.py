"""The training sets of the expression model: what is broken is named and skipped, and nobody is on both sides."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the training that need no torch."""
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    names = ("worlds", "mixture", "cache", "teachers", "command", "expression")
    return SimpleNamespace(**{name: importlib.import_module(f"training.{name}") for name in names})


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)
    cv2.imwrite(str(path), pixels)


def source(training: Any, name: str) -> Any:
    return next(source for source in training.worlds.SOURCES if source.name == name)


def jpeg(seed: int) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)
    return np.asarray(cv2.imencode(".jpg", pixels)[1], np.uint8).ravel()


def packed(path: Path, labels: list[str], label: list[int], broken: int | None = None) -> None:
    parts = [np.zeros(40, np.uint8) if row == broken else jpeg(row) for row in range(len(label))]
    offset = np.cumsum([0, *map(len, parts)])
    names = np.array([f"face_{row}" for row in range(len(label))])
    np.savez(path, jpg=np.concatenate(parts), offset=offset, name=names, label=np.array(label), labels=np.array(labels))


def test_a_picture_that_does_not_decode_is_named_and_the_rest_is_kept(
    training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    (tmp_path / "kdef" / "anger" / "AF02ANS.png").write_bytes(b"no picture")
    (tmp_path / "kdef" / "anger" / "AF03ANS.png").write_bytes(b"")
    world = training.worlds.load(source(training, "kdef"), tmp_path, {})
    assert world.label.tolist() == [0]
    said = capsys.readouterr().err
    assert "AF02ANS.png does not decode" in said
    assert "AF03ANS.png does not decode" in said


def test_a_folder_of_an_unknown_label_is_named_and_skipped(
    training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "kdef" / "boredom" / "AF01BOS.png")
    picture(tmp_path / "kdef" / "fear" / "AF01AFS.png")
    world = training.worlds.load(source(training, "kdef"), tmp_path, {})
    assert world.label.tolist() == [2]
    assert "boredom: unknown label" in capsys.readouterr().err


def test_a_packed_set_loses_only_its_unknown_label_and_its_broken_picture(
    training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed(tmp_path / "rafdb.npz", ["anger", "boredom", "neutral"], [0, 1, 2, 2, -1, 9], broken=3)
    world = training.worlds.load(source(training, "rafdb"), tmp_path, {})
    assert world.label.tolist() == [0, 6]
    said = capsys.readouterr().err
    assert "unknown labels boredom" in said
    assert "face_3 does not decode" in said


def test_a_missing_set_is_named_and_an_empty_one_is_left_out(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    (tmp_path / "jaffe" / "anger").mkdir(parents=True)
    votes = training.worlds.load(source(training, "kdef"), tmp_path, {})
    monkeypatch.setattr(training.cache, "load_votes", lambda folder, words: votes)
    found = training.cache.worlds(tmp_path, tmp_path / "work")
    assert set(found) == {"ferplus", "kdef"}
    said = capsys.readouterr().err
    assert f"{tmp_path / 'rafdb.npz'} is missing" in said
    assert f"{tmp_path / 'jaffe'} holds no usable picture" in said
    assert "word.npz is missing: trained on labels alone" in said


def test_pictures_that_are_no_picture_end_with_1(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mosaic of FER+ is what the recipe cannot do without."""
    (tmp_path / "ferplus.webp").write_bytes(b"no picture")
    np.savez(tmp_path / "ferplus.npz", votes=np.zeros((1, 10)), split=np.zeros(1), duplicate_in_train=np.zeros(1))
    recipe = SimpleNamespace(train=lambda options, folder: training.cache.worlds(folder, tmp_path / "work"))
    monkeypatch.setattr(training.command, "_module", lambda name: recipe)
    options = training.expression.TRAINING.parser().parse_args(["--data", str(tmp_path)])
    assert training.expression.TRAINING.run(options) == 1
    assert "ferplus.webp is not a picture" in capsys.readouterr().err


def test_everyone_is_either_trained_on_or_held_back(training: Any, tmp_path: Path) -> None:
    for person in range(1, 13):
        for number, label in enumerate(("anger", "fear")):
            picture(tmp_path / "kdef" / label / f"AF{person:02}{label[:2]}.png", 10 * person + number)
    world = training.worlds.load(source(training, "kdef"), tmp_path, {})
    people = np.array([p.person for p in source(training, "kdef").pictures(tmp_path)])
    held = set(people[world.held])
    assert len(held) == 2
    assert not held & set(people[~world.held])


def test_missing_teachers_are_named_and_without_any_it_ends_with_1(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ferplus.webp", "ferplus.npz"):
        (tmp_path / name).touch()
    monkeypatch.setattr("sys.argv", ["train-expression", "--teachers", "--data", str(tmp_path)])
    assert training.expression.main() == 1
    said = capsys.readouterr().err
    assert "vicksam_ferplus_pd_48.tflite missing: goes on without this teacher" in said
    assert "emotions-recognition-retail-0003.xml and emotions-recognition-retail-0003.bin missing" in said
    assert "holds no usable teacher" in said


def test_a_broken_teacher_is_named_and_the_others_go_on(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (training.teachers.VICKSAM, training.teachers.HSEMOTION, *training.teachers.HEADS):
        (tmp_path / name).write_bytes(b"no network")
    monkeypatch.setattr(training.teachers, "_hsemotion", lambda folder: lambda tile: np.full(14, 0.5, np.float32))
    teachers = training.teachers.open_teachers(tmp_path)
    row = training.teachers.word(teachers, np.zeros((48, 48), np.uint8))
    assert row[7:21].tolist() == [0.5] * 14
    assert not row[:7].any()
    assert "vicksam_ferplus_pd_48.tflite: " in capsys.readouterr().err


def test_labels_lead_where_teachers_overlook_and_teachers_where_nobody_labelled(training: Any) -> None:
    word = np.zeros((4, 26), np.float32)
    word[:3, 6] = word[:3, 13] = 1  # neutral, say both
    targets = np.zeros((4, 8), np.float32)
    targets[0, 1] = targets[1, 0] = 1  # disgust, anger, nothing, nothing and no word
    world = SimpleNamespace(targets=targets, word=word)
    made, known = training.mixture.targets_of(world, training.mixture.Share(1.0, 0.4, 0.0))
    assert known.tolist() == [True, True, True, False]
    assert made[0].tolist() == targets[0].tolist()
    assert made[1, [0, 6]] == pytest.approx([0.6, 0.4])
    assert made[2, 6] == pytest.approx(1)


def prepared(training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The sets of the folder; KDEF stands in for FER+."""

    def votes(folder: Path, words: Any) -> Any:
        return training.worlds.load(source(training, "kdef"), folder, words)

    monkeypatch.setattr(training.cache, "load_votes", votes)
    for name in ("ferplus.webp", "ferplus.npz"):
        (tmp_path / name).touch()
    found: dict[str, Any] = training.cache.worlds(tmp_path, tmp_path / "work")
    return found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy leaves a cut archive open
@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_set_whose_file_is_damaged_is_named_and_left_out(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    (tmp_path / "rafdb.npz").write_bytes(content)
    (tmp_path / "nir.jsonl").write_text('{"file": "a.png"}\nno json\n', encoding="utf-8")
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers" / "word.npz").write_bytes(content)
    assert set(prepared(training, tmp_path, monkeypatch)) == {"ferplus", "kdef"}
    said = capsys.readouterr().err
    assert f"{tmp_path / 'rafdb.npz'} cannot be read, trained without it" in said
    assert f"{tmp_path / 'teachers' / 'word.npz'} cannot be read" in said
    assert "nir.jsonl:1: not a line of this set" in said
    assert "nir.jsonl:2: not a line of this set" in said


def test_an_infrared_frame_that_is_missing_is_named(
    training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = '{"file": "%s", "person": 1, "expression": "0", "face": [4, 4, 40, 40]}\n'
    picture(tmp_path / "there.png")
    (tmp_path / "nir.jsonl").write_text(line % "there.png" + line % "lost.png", encoding="utf-8")
    world = training.worlds.load(source(training, "nir"), tmp_path, {})
    assert world.label.tolist() == [6]
    assert "lost.png does not decode" in capsys.readouterr().err


def test_damaged_votes_end_with_1_and_their_name(training: Any, tmp_path: Path) -> None:
    (tmp_path / "ferplus.webp").touch()
    (tmp_path / "ferplus.npz").write_bytes(b"no archive")
    with pytest.raises(training.cache.MissingDataError, match=r"ferplus\.npz or ferplus\.webp is damaged"):
        training.cache.worlds(tmp_path, tmp_path / "work")


def test_a_new_word_of_the_teachers_reaches_the_prepared_sets(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    first = prepared(training, tmp_path, monkeypatch)["kdef"]
    assert not first.word.any()
    word = np.full((1, training.worlds.WORD), 0.5, np.float16)
    np.savez(tmp_path / "work" / "word.npz", kdef_name=np.array(["kdef/anger/AF01ANS.png"]), kdef_word=word)
    assert (prepared(training, tmp_path, monkeypatch)["kdef"].word == 0.5).all()


def test_a_picture_that_was_added_reaches_the_prepared_sets(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    assert len(prepared(training, tmp_path, monkeypatch)["kdef"].label) == 1
    picture(tmp_path / "kdef" / "anger" / "AF02ANS.png", 2)
    assert len(prepared(training, tmp_path, monkeypatch)["kdef"].label) == 2


def test_nothing_is_prepared_twice(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    assert len(prepared(training, tmp_path, monkeypatch)["kdef"].label) == 1
    assert "the faces of kdef are not searched" in capsys.readouterr().err
    assert len(training.cache.worlds(tmp_path, tmp_path / "work")["kdef"].label) == 1
    assert "the faces of kdef are not searched" not in capsys.readouterr().err


def test_a_word_of_another_form_is_named(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "kdef" / "anger" / "AF01ANS.png")
    (tmp_path / "work").mkdir()
    np.savez(tmp_path / "work" / "word.npz", kdef_name=np.array(["a"]), kdef_word=np.zeros((1, 7), np.float16))
    assert not prepared(training, tmp_path, monkeypatch)["kdef"].word.any()
    assert "kdef_word has the shape (1, 7), not (pictures, 26)" in capsys.readouterr().err
