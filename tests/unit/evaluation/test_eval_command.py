"""`ferd model eval` on folders that a user might bring, good and bad."""

import json

import cv2
import numpy as np
import pytest

from ferd.cli.main import main
from ferd.evaluation.stress import STRESSES
from ferd.sources.demo import SCRIPT, render


@pytest.fixture
def faces(tmp_path):
    """Whole pictures of the demo's person, one folder a label."""
    for act in SCRIPT:
        if act.label in ("neutral", "happiness"):
            folder = tmp_path / "faces" / act.label
            folder.mkdir(parents=True, exist_ok=True)
            middle = (act.start + act.end) / 2
            cv2.imwrite(str(folder / f"{act.start}.png"), render(middle).image)
    return tmp_path / "faces"


def evaluated(capsys, *arguments, code=0):
    assert main(["model", "eval", "expression", *arguments]) == code
    return capsys.readouterr()


def figures(capsys, *arguments):
    return json.loads(evaluated(capsys, *arguments, "--json").out)


def test_whole_pictures_are_right_once_the_face_is_found(faces, capsys):
    told = figures(capsys, str(faces), "--detect")
    assert told["recall"]["happiness"] == 1
    assert told["accuracy"] >= 0.8
    assert told["n"] == sum(map(sum, told["confusion"]))
    assert set(told) >= {"accuracy", "recall", "ece", "confusion", "n"}


def test_stress_and_plot(faces, tmp_path, capsys):
    told = figures(capsys, str(faces), "--detect", "--stress", "--plot", str(tmp_path / "eval.png"))
    assert set(told["stress"]) == set(STRESSES)
    assert (tmp_path / "eval.png").stat().st_size > 10_000
    table = evaluated(capsys, str(faces), "--detect", "--stress").out
    assert "gamma 0.5" in table
    assert "recall" in table


def test_what_cannot_be_read_is_told_by_name_and_the_rest_is_judged(faces, capsys):
    (faces / "happiness/text.jpg").write_text("no picture")
    (faces / "happiness/empty.png").write_bytes(b"")
    (faces / "boredom").mkdir()
    cv2.imwrite(str(faces / "neutral/wall.png"), np.full((200, 300, 3), 128, np.uint8))
    (faces / "contempt").mkdir()
    (faces / "contempt/a.png").write_bytes((faces / "neutral/0.0.png").read_bytes())
    told = evaluated(capsys, str(faces), "--detect", "--json")
    for name in (
        "text.jpg: does not decode",
        "empty.png: does not decode",
        "boredom: no pictures",
        "wall.png: no face",
    ):
        assert name in told.err
    assert json.loads(told.out)["recall"]["contempt"] == 0


def test_nothing_left_ends_with_1(tmp_path, capsys):
    (tmp_path / "happiness").mkdir()
    (tmp_path / "happiness/a.jpg").write_text("no picture")
    assert "nothing was left to judge" in evaluated(capsys, str(tmp_path), code=1).err


@pytest.mark.parametrize(("name", "message"), [("nowhere", "is not there"), ("file.txt", "neither a folder nor")])
def test_no_data_at_all(tmp_path, capsys, name, message):
    (tmp_path / "file.txt").write_text("x")
    assert message in evaluated(capsys, str(tmp_path / name), code=1).err


def test_a_folder_without_folders(tmp_path, capsys):
    assert "One folder a label" in evaluated(capsys, str(tmp_path), code=1).err


@pytest.fixture
def ferplus(tmp_path):
    """Five tiles in FER+'s form: two validation pictures count, a tie, a twin and a training picture do not."""
    mosaic = np.zeros((48, 170 * 48), np.uint8)
    cv2.imwrite(str(tmp_path / "mini.png"), mosaic)
    votes = np.zeros((5, 10), int)
    votes[0, 0] = 9  # neutral; the single vote for anger is dropped
    votes[0, 4] = 1
    votes[1, 7] = 8  # contempt
    votes[2, [0, 1]] = 5  # a tie
    votes[3, 0] = 10  # a twin of a training picture
    votes[4, 0] = 10  # a training picture
    split, twin = np.array([1, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 0])
    np.savez(tmp_path / "mini.npz", votes=votes, split=split, duplicate_in_train=twin)
    return tmp_path / "mini.npz"


def test_ferplus_by_the_majority_protocol(ferplus, capsys):
    told = figures(capsys, str(ferplus))
    assert told["n"] == 2
    assert told["recall"]["contempt"] == 0


def test_ferplus_without_its_pictures(ferplus, capsys):
    ferplus.with_suffix(".png").unlink()
    assert "mini.webp: is not there" in evaluated(capsys, str(ferplus), code=1).err
