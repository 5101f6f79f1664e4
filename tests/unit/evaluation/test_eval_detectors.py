"""`ferd model eval` of a face detector: recall on known faces, false alarms on rooms, and bad lines told by name."""

import json

import cv2
import numpy as np
import pytest

from ferd.cli.main import main
from ferd.sources.demo import picture, room


def evaluated(capsys, *arguments, code=0):
    assert main(["model", "eval", *map(str, arguments)]) == code
    return capsys.readouterr()


@pytest.fixture
def known(tmp_path):
    """One picture whose face everybody agrees on, and one line that claims a face in an empty room."""
    cv2.imwrite(str(tmp_path / "face.png"), picture())
    cv2.imwrite(str(tmp_path / "room.png"), room())
    lines = [
        {"file": "face.png", "faces": [{"box": [225, 145, 150, 175]}]},
        {"file": "room.png", "faces": [{"box": [300, 200, 100, 120]}, {"box": [10, 10, 20, 20]}]},
    ]
    (tmp_path / "faces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "faces.jsonl"


def test_recall_counts_faces_from_40_pixels_on(known, capsys):
    told = json.loads(evaluated(capsys, "haar", known, "--json").out)
    assert (told["n"], told["faces"], told["recall"]) == (2, 2, 0.5)


def test_bad_lines_are_told_and_the_rest_is_judged(known, capsys):
    known.write_text(known.read_text() + 'no json\n{"file": "gone.png", "faces": []}\n{"file": "face.png"}\n')
    told = evaluated(capsys, "haar", known, "--json")
    assert json.loads(told.out)["n"] == 2
    for part in ("faces.jsonl:3:", "gone.png: is not there", "faces.jsonl:5:"):
        assert part in told.err


def test_a_picture_told_of_in_two_ways_is_passed_over_and_told(known, capsys):
    other = {"file": "face.png", "faces": [{"box": [20, 20, 150, 175]}]}
    same = {"file": "room.png", "faces": [{"box": [300, 200, 100, 120]}, {"box": [10, 10, 20, 20]}]}
    known.write_text(known.read_text() + json.dumps(other) + "\n" + json.dumps(same) + "\n")
    told = evaluated(capsys, "haar", known, "--json")
    figures = json.loads(told.out)
    assert (figures["n"], figures["faces"], figures["recall"], figures["contradicted"]) == (2, 2, 0.0, 1)
    assert "more than once, with different faces: 1, the first" in told.err


def test_false_alarms_on_rooms(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "room.png"), room())
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((480, 640, 3), 99, np.uint8))
    assert json.loads(evaluated(capsys, "haar", tmp_path, "--json").out)["false_alarms_per_picture"] == 0
    cv2.imwrite(str(tmp_path / "somebody.png"), picture())
    assert "0.3333" in evaluated(capsys, "haar", tmp_path).out


@pytest.mark.parametrize("name", ["nowhere.jsonl", "empty.jsonl", "folder"])
def test_nothing_to_judge_by_ends_with_1(tmp_path, capsys, name):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "folder").mkdir()
    assert name in evaluated(capsys, "haar", tmp_path / name, code=1).err or name == "empty.jsonl"


def test_yunet_without_its_file_names_the_remedy(tmp_path, capsys):
    assert "get it from OpenCV Zoo" in evaluated(capsys, "yunet", tmp_path, code=78).err
