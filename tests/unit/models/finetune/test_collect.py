"""Samples from frames and from folders: the demo scene's person is found, cut and counted; what is no use is told."""

import cv2
import numpy as np
import pytest

from ferd.config import DetectorConfig
from ferd.errors import FerdError
from ferd.models.finetune.collect import EVERY_S, SampleCollector, class_folders
from ferd.models.registry import find_bundle
from ferd.sources.demo import DemoScene
from ferd.types import Frame
from ferd.vision.detectors.base import make_detector


@pytest.fixture(scope="module")
def gatherer():
    return SampleCollector(find_bundle("expression"), make_detector(DetectorConfig()))


def scene(seconds, fps=15.0):
    source = DemoScene(fps=fps)
    source.open()
    return [source.read() for _ in range(int(seconds * fps))]


def test_a_camera_gives_so_many_samples_and_no_more(gatherer):
    told = []
    collected = gatherer.from_camera("calm", scene(6), 8, lambda one, verdict: told.append((len(one.crops), verdict)))
    assert len(collected.crops) == len(collected.names) == 8
    assert collected.crops[0].shape == (48, 48)
    assert told[-1] == (8, "good")


def test_samples_come_apart_in_time(gatherer):
    frames = scene(2)
    seen = []
    gatherer.from_camera("calm", frames, 1000, lambda _one, _verdict: seen.append(1))
    assert len(seen) <= 2 / EVERY_S + 1


def test_an_empty_room_is_told(gatherer):
    room = [Frame(n / 5, np.full((480, 640, 3), 90, np.uint8)) for n in range(30)]
    collected = gatherer.from_camera("calm", room, 10, lambda _one, _verdict: None)
    assert not collected.crops
    assert "look at the camera" in " ".join(collected.warnings())


def test_folders(gatherer, tmp_path):
    for label in ("calm", "wild"):
        (tmp_path / label).mkdir()
        for n, frame in enumerate(scene(1)[::5]):
            cv2.imwrite(str(tmp_path / label / f"{n}.png"), frame.image)
    (tmp_path / "calm" / "broken.png").write_bytes(b"no picture")
    folders = class_folders(tmp_path)
    assert [folder.name for folder in folders] == ["calm", "wild"]
    collected = gatherer.from_folder(folders[0], lambda _one, _verdict: None)
    assert collected.label == "calm"
    assert collected.passed["no face"] == 1
    assert collected.names[0] == "0.png"


def test_bad_folders(tmp_path):
    with pytest.raises(FerdError, match="is no folder"):
        class_folders(tmp_path / "gone")
    with pytest.raises(FerdError, match="holds no folders"):
        class_folders(tmp_path)
    (tmp_path / "calm").mkdir()
    with pytest.raises(FerdError, match="no pictures in calm"):
        class_folders(tmp_path)
