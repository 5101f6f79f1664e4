"""What stays of a lesson: features, so that a class can be added; never a picture unless asked for."""

import cv2
import numpy as np
import pytest

from ferd.errors import FerdError
from ferd.models.finetune import keep
from ferd.models.finetune.keep import SavedDataset
from ferd.models.finetune.samples import Collected

LESSONS = [
    SavedDataset("glücklich", np.ones((3, 2, 5), np.float32), ("a", "b", "c")),
    SavedDataset("x", np.zeros((1, 2, 5), np.float32), ("d",)),
]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def test_what_was_kept_comes_back():
    assert keep.load("mood", "base") == []
    keep.save("mood", "base", LESSONS)
    back = keep.load("mood", "base")
    assert [(one.label, one.names) for one in back] == [(one.label, one.names) for one in LESSONS]
    np.testing.assert_array_equal(back[0].features, LESSONS[0].features)


def test_another_network_makes_it_worthless():
    keep.save("mood", "base", LESSONS)
    with pytest.raises(FerdError, match="with another expression network; record all classes again"):
        keep.load("mood", "other")


def test_a_damaged_file_is_told():
    path = keep.save("mood", "base", LESSONS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FerdError, match="is damaged"):
        keep.load("mood", "base")


def test_pictures_only_when_asked_for_and_under_harmless_names(state):
    crop = np.zeros((48, 48), np.uint8)
    folder = keep.save_pictures("mood", [Collected("../wink/left", crops=[crop, crop])])
    files = sorted(folder.rglob("*.png"))
    assert len(files) == 2
    assert all(file.parent.parent == folder for file in files)
    assert cv2.imread(str(files[0]), cv2.IMREAD_GRAYSCALE).shape == (48, 48)
