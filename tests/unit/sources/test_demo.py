from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferd.errors import SourceEnded, SourceError
from ferd.models.registry import find_bundle
from ferd.sources import demo
from ferd.sources.demo import DURATION_S, SCRIPT, DemoScene, event_at, look_at, picture, render
from ferd.sources.face_warp import Look, WarpedPortrait
from ferd.vision.align import cut
from ferd.vision.classifier import Classifier
from ferd.vision.detectors.haar import HaarDetector, find_cascade


def faces(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """What OpenCV's frontal cascade finds, in pixels of the scene."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (320, 240), interpolation=cv2.INTER_AREA)
    return [tuple(int(v) * 2 for v in box) for box in cascade.detectMultiScale(gray, 1.1, 4, minSize=(40, 40))]


def test_without_its_picture_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "PORTRAIT", tmp_path / "portrait.jpg")
    with pytest.raises(SourceError, match="Install ferd again"):
        demo.load_portrait()


def test_the_scene_needs_no_optional_library() -> None:
    """The service has neither matplotlib nor pillow."""
    code = (
        "import sys; sys.modules.update(matplotlib=None, PIL=None)\n"
        "from ferd.sources.demo import picture; assert picture().shape == (480, 640, 3)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_picture_than_the_portrait_is_refused() -> None:
    with pytest.raises(ValueError, match="not 600 x 512"):
        WarpedPortrait(np.zeros((10, 10, 3), np.uint8))


def test_the_same_time_gives_the_same_picture() -> None:
    first, other, again = render(9.0), render(9.1), render(9.0)
    assert (first.image == again.image).all()
    assert (first.image != other.image).any()
    assert first.image.shape == (480, 640, 3)
    assert first.image.dtype == np.uint8


def test_no_two_frames_are_equal_when_nobody_is_there() -> None:
    frames = [render(i / 15).image for i in range(10)]
    assert all((a != b).any() for a, b in itertools.pairwise(frames))


def test_the_script_covers_the_scene_without_gaps() -> None:
    assert SCRIPT[0].start == 0
    assert SCRIPT[-1].end == DURATION_S
    assert all(a.end == b.start for a, b in itertools.pairwise(SCRIPT))


STAYS = [act for act in SCRIPT if act.what not in ("she comes in", "she leaves")]


@pytest.mark.parametrize("act", STAYS, ids=lambda act: act.what)
def test_one_face_is_found_when_she_is_there_and_none_when_not(act: demo.SceneEvent) -> None:
    expected = 0 if act.what == "nobody is there" else 1
    assert len(faces(render((act.start + act.end) / 2).image)) == expected


@pytest.mark.parametrize("act", [act for act in SCRIPT if act.label], ids=lambda act: act.what)
def test_the_shipped_model_reads_what_the_script_says(act: demo.SceneEvent) -> None:
    """In the middle of each act, on the crops that the daemon makes. What the demo promises must hold."""
    detect = HaarDetector(find_cascade() or Path(), 48)
    bundle = find_bundle("expression")
    classify = Classifier(bundle)
    readings = []
    for t in np.linspace(act.start + demo.EASE_S, act.end - demo.EASE_S, 7):
        frame = render(float(t))
        for face in detect(frame):
            gray = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
            readings.append(classify(cut(gray, face, bundle.crop, detect.name, (48, 48))))
    probability = np.mean(readings, axis=0)[classify.labels.index(act.label)]
    assert len(readings) >= 6
    assert probability > 0.5
    assert probability == max(np.mean(readings, axis=0))


def test_looks_come_and_go_smoothly() -> None:
    looks = [look_at(3.5 + i / 30) for i in range(150)]
    smiles = [look.smile for look in looks]
    assert smiles[0] == pytest.approx(0, abs=0.01)
    assert max(smiles) == 1
    assert max(abs(a - b) for a, b in itertools.pairwise(smiles)) < 0.1
    assert look_at(27.5).lids == 1


def test_every_part_of_the_face_moves_something() -> None:
    puppet = WarpedPortrait(demo.load_portrait())
    rest = puppet.portrait(Look())
    for part in Look.__dataclass_fields__:
        assert (puppet.portrait(Look(**{part: 1.0})) != rest).any(), part


def test_plays_once() -> None:
    source = DemoScene(fps=0.5)
    with pytest.raises(SourceError, match="not open"):
        source.read()
    source.open()
    times = [source.read().t for _ in range(20)]
    assert times == [2.0 * i for i in range(20)]
    with pytest.raises(SourceEnded):
        source.read()
    source.close()


def test_loops_with_a_time_that_goes_on() -> None:
    source = DemoScene(fps=0.05, loop=True)
    source.open()
    assert [source.read().t for _ in range(4)] == [0, 20, 40, 60]
    source.close()


def test_the_picture_for_measuring_holds_one_face() -> None:
    assert len(faces(picture())) == 1
    assert event_at(demo.NEUTRAL_AT).what == "she is calm"
