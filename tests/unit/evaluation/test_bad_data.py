"""`ferd model eval` of eyes and detectors on data that is broken: told by name, the rest is judged, 1 if nothing is."""

import json

import cv2
import numpy as np
import pytest

from ferd.cli.main import main
from ferd.sources.demo import picture

RNG = np.random.default_rng(1)
CROPS = RNG.integers(0, 255, (6, 48, 48), dtype=np.uint8)
OPEN = np.array([0, 1, 0, 1, 1, 0])


def evaluated(capsys, *arguments, code=0):
    assert main(["model", "eval", *map(str, arguments)]) == code
    return capsys.readouterr()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": CROPS, "open": OPEN[:4]}, "open must say 0 or 1 for each of the 6"),
        ({"images": CROPS, "open": OPEN * 2}, "open must say 0 or 1"),
        ({"images": CROPS, "open": OPEN * np.nan}, "open must say 0 or 1"),
        ({"images": CROPS, "open": np.array(["open"] * 6)}, "open must say 0 or 1"),
        ({"images": CROPS, "open": np.array(1)}, "open must say 0 or 1"),
        ({"images": CROPS, "open": np.stack([OPEN, OPEN], 1)}, "open must say 0 or 1"),
        ({"images": CROPS / 255, "open": OPEN}, "they are (6, 48, 48) float64"),
        ({"images": CROPS[:, :0, :0], "open": OPEN}, "they are (6, 0, 0)"),
        ({"images": np.zeros((6, 8, 8, 7), np.uint8), "open": OPEN}, "they are (6, 8, 8, 7)"),
        ({"images": CROPS}, "holds no open, only images"),
        ({"images": CROPS[:0], "open": OPEN[:0]}, "could be judged"),
        ({"images": np.array([1, None], object), "open": OPEN[:2]}, "is not a complete .npz file"),
    ],
)
def test_arrays_that_cannot_be_judged(tmp_path, capsys, arrays, message):
    np.savez(tmp_path / "crops.npz", **arrays)
    told = evaluated(capsys, "eyes", tmp_path / "crops.npz", code=1).err
    assert "crops.npz" in told
    assert message in told


@pytest.mark.parametrize("shape", [(6, 48, 48, 1), (6, 48, 48, 3), (6, 1, 1)])
def test_gray_and_colour_of_any_size_can(tmp_path, capsys, shape):
    np.savez(tmp_path / "crops.npz", images=RNG.integers(0, 255, shape, dtype=np.uint8), open=OPEN)
    assert json.loads(evaluated(capsys, "eyes", tmp_path / "crops.npz", "--json").out)["n"] == 6


@pytest.mark.parametrize("length", [0, 3, 200])
@pytest.mark.parametrize("name", ["eyes", "expression"])
def test_a_truncated_archive(tmp_path, capsys, length, name):
    np.savez(tmp_path / "whole.npz", images=CROPS, open=OPEN)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:length])
    cv2.imwrite(str(tmp_path / "cut.png"), CROPS[0])
    assert "cut.npz: is not a complete .npz file" in evaluated(capsys, name, tmp_path / "cut.npz", code=1).err


def test_half_a_folder_of_eyes(tmp_path, capsys):
    for folder in ("open", "winking"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), CROPS[0])
    (tmp_path / "open/bad.jpg").write_text("x")
    (tmp_path / "open/folder.png").mkdir()
    told = evaluated(capsys, "eyes", tmp_path, "--json")
    for part in ("closed: no images", "winking: is neither open/ nor closed/", "bad.jpg: does not decode",
                 "folder.png: is no file"):  # fmt: skip
        assert part in told.err
    assert json.loads(told.out)["n"] == 1


def write(file, rows):
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


@pytest.fixture
def pictures(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    cv2.imwrite(str(tmp_path / "pixel.png"), picture()[:1, :1])
    (tmp_path / "bad.png").write_text("x")
    return tmp_path


def test_lines_of_eyes(pictures, capsys):
    rows = [{"file": "a.png", "eyes": "open"}, {"file": "bad.png", "eyes": "open"},
            {"file": "gone.png", "eyes": "open"}, {"file": "a.png", "eyes": "winking"}, {"file": "a.png"},
            {"file": 3, "eyes": "open"}, [1], "", "no json",
            {"file": "pixel.png", "eyes": "closed"}, {"file": ".", "eyes": "open"}]  # fmt: skip
    told = evaluated(capsys, "eyes", write(pictures / "e.jsonl", rows), "--json")
    for part in ("e.jsonl:2: ", "bad.png: does not decode", "e.jsonl:3: ", "gone.png: is not there",
                 "e.jsonl:4: eyes must be open or closed, not 'winking'", "e.jsonl:5: has no 'eyes'",
                 "e.jsonl:6: file must be the name", "e.jsonl:7: is not an object", "e.jsonl:9: is not JSON",
                 "e.jsonl:11: ", "is no file"):  # fmt: skip
        assert part in told.err
    assert "e.jsonl:8" not in told.err
    figures = json.loads(told.out)
    assert figures["n"] == 2
    assert figures["recall"] == {"closed": 0, "open": 1}
    assert figures["first_sight"]["accuracy"] == 0.5


def test_lines_of_faces(pictures, capsys):
    box = [225, 145, 150, 175]
    good = {"file": "a.png", "faces": [{"box": box}]}
    bad = [{"box": box[:3]}, {"box": [*box[:3], None]}, {"box": [1, 2, 0, 0]}, {"box": [1, 2, float("nan"), 5]},
           {"box": box, "points": [1] * 9}, {"box": box, "points": ["a"] * 10}, {}, 7]  # fmt: skip
    rows = [good, *({"file": "pixel.png", "faces": [face]} for face in bad), {"file": None, "faces": []}]
    told = evaluated(capsys, "face", write(pictures / "f.jsonl", rows), "--json")
    for number in range(2, len(rows) + 1):
        assert f"f.jsonl:{number}: " in told.err
    assert "box must be a list of 4 numbers" in told.err
    assert "points must be a list of 10 numbers" in told.err
    assert "must have a width and a height" in told.err
    figures = json.loads(told.out)
    assert (figures["n"], figures["recall"], figures["point_error"]) == (1, 1, None)


def test_what_was_not_counted_is_no_nan(pictures, capsys):
    data = write(pictures / "none.jsonl", [{"file": "pixel.png", "faces": []}])
    assert "NaN" not in evaluated(capsys, "face", data, "--json").out
    assert "nothing to count" in evaluated(capsys, "face", data).out


@pytest.mark.parametrize("option", [("--plot", "x.png"), ("--stress",), ("--mouth",), ("--detect",)])
def test_options_that_mean_nothing_are_refused(pictures, capsys, option):
    assert f"{option[0]} means nothing for a face detector" in evaluated(capsys, "face", pictures, *option, code=1).err


def test_eyes_can_be_drawn(tmp_path, capsys):
    np.savez(tmp_path / "crops.npz", images=CROPS, open=OPEN)
    evaluated(capsys, "eyes", tmp_path / "crops.npz", "--plot", tmp_path / "eyes.png")
    assert (tmp_path / "eyes.png").stat().st_size > 10_000
    told = evaluated(capsys, "eyes", tmp_path / "crops.npz", "--plot", tmp_path / "no/eyes.png", code=1)
    assert "the plot cannot be written" in told.err
    assert "--stress means nothing" in evaluated(capsys, "eyes", tmp_path / "crops.npz", "--stress", code=1).err


def test_landmarks_are_judged_with_their_detector(tmp_path, capsys):
    assert "ferd model eval face" in evaluated(capsys, "landmarks", tmp_path, code=1).err


def test_a_folder_of_folders_is_nothing_for_a_detector(tmp_path, capsys):
    (tmp_path / "happiness").mkdir()
    assert "no images in it" in evaluated(capsys, "face", tmp_path, code=1).err


@pytest.mark.parametrize(
    ("votes", "split", "twin", "message"),
    [
        (np.ones((5, 4), int), np.ones(5, int), np.zeros(5), "votes must be (N, 10)"),
        (np.ones(10, int), np.ones(5, int), np.zeros(5, int), "votes must be (N, 10)"),
        (np.full((5, 10), "a"), np.ones(5, int), np.zeros(5, int), "whole numbers"),
        (np.full((5, 10), np.nan), np.ones(5, int), np.zeros(5, int), "whole numbers"),
        (np.ones((5, 10), int), np.ones(2, int), np.zeros(5, int), "differ in length"),
    ],
)
def test_ferplus_in_another_form(tmp_path, capsys, votes, split, twin, message):  # noqa: PLR0917
    cv2.imwrite(str(tmp_path / "f.png"), np.zeros((48, 170 * 48), np.uint8))
    np.savez(tmp_path / "f.npz", votes=votes, split=split, duplicate_in_train=twin)
    assert message in evaluated(capsys, "expression", tmp_path / "f.npz", code=1).err


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_stress_on_pictures_of_one_pixel_width(tmp_path, capsys, shape):
    (tmp_path / "happiness").mkdir()
    cv2.imwrite(str(tmp_path / "happiness/a.png"), np.full(shape, 90, np.uint8))
    assert json.loads(evaluated(capsys, "expression", tmp_path, "--stress", "--json").out)["n"] == 1
