"""Pictures for a trial: what they show is known by folder or by ferd's own reading; what cannot be read is named."""

import cv2
import numpy as np
import pytest

from ferd.errors import ModelError
from ferd.models.importer.samples import demo_samples, known_expression, name_files, read_samples, with_labels
from ferd.sources import demo


@pytest.fixture
def folder(tmp_path):
    """Two faces in folders of their class, a wall, and what is no picture."""
    for name, t in (("Happy", 6.0), ("Calm", 1.5)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), demo.render(t).image)
    cv2.imwrite(str(tmp_path / "Calm" / "wall.png"), np.full((120, 160, 3), 90, np.uint8))
    (tmp_path / "IMG_1.HEIC").write_bytes(b"....ftypheic")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / ".hidden").write_text("x")
    return tmp_path


def test_folders_are_classes_and_what_is_left_out_is_named(folder):
    samples = read_samples(folder)
    assert sorted((s.label, s.face is not None) for s in samples.items) == [
        ("Calm", False), ("Calm", True), ("Happy", True),
    ]  # fmt: skip
    assert sorted(samples.left_out) == ["IMG_1.HEIC", "broken.jpg"]
    told = name_files(samples.left_out)
    assert "IMG_1.HEIC" in told
    assert "save as JPEG first" in told


def test_crops_of_faces_and_of_whole_pictures(folder):
    samples = with_labels(read_samples(folder), ("calm", "happy"))
    faces, labels = samples.crops("face", (20, 24))
    assert [face.shape for face in faces] == [(24, 20, 3)] * 2
    assert sorted(labels) == ["calm", "happy"]
    assert len(samples.crops("frame", (20, 20))[0]) == 3


def test_a_face_is_cut_as_from_the_picture_itself(folder):
    """The margin that helps the detector is no part of the picture."""
    samples = read_samples(folder)
    happy = next(s for s in samples.items if s.label == "Happy")
    assert happy.image.shape == (480, 640, 3)
    scene = next(s for s in demo_samples().items if s.label == "happiness")
    assert happy.face.box.overlap(scene.face.box) > 0.6


def test_pictures_without_classes_are_read_by_ferd(folder, tmp_path_factory):
    flat = tmp_path_factory.mktemp("flat")
    for number, file in enumerate(sorted(folder.glob("*/*.png"))):
        file.rename(flat / f"{number}.png")
    samples = with_labels(read_samples(flat), ("Joy", "Neutral", "Sad"))
    assert [s.label for s in samples.items if s.face is not None] == ["Neutral", "Joy"]


def test_the_demo_scene_shows_four_expressions():
    samples = demo_samples()
    assert {s.label for s in samples.items} == {"neutral", "happiness", "surprise", "sadness"}
    assert {s.label for s in with_labels(samples, ("Happy", "Sad", "mask")).items} == {"Happy", "Sad", None}


def test_without_the_scene_there_are_no_faces(monkeypatch):
    monkeypatch.setattr(demo, "render", lambda _t: (_ for _ in ()).throw(ModelError("no portrait")))
    assert demo_samples() is None


def test_no_picture_at_all(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"holds no picture that can be read; left out: a\.heic"):
        read_samples(tmp_path)


@pytest.mark.parametrize(("label", "known"), [("Happy", "happiness"), ("sad ", "sadness"), ("mask", None), ("", None)])
def test_usual_names_of_expressions(label, known):
    assert known_expression(label) == known
