"""The labels that the landmarks model learns from: bad teacher files, angles, and who is held back."""

from __future__ import annotations

import importlib
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferd.vision.landmarks import LABELS

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module("training.landmarks_teacher")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    return importlib.import_module("training.landmarks_data")


def turn(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rz(-roll) Ry(yaw) Rx(pitch) in degrees: x to the right of the picture, y up, z to the camera."""
    y, p, r = np.radians([yaw, pitch, -roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def test_a_missing_teacher_is_named_before_torch_is_needed(tmp_path: Path) -> None:
    for place in ("faces", "no_faces", "yunet"):
        (tmp_path / place).mkdir()
    (tmp_path / "faces.jsonl").touch()
    done = subprocess.run(
        [REPO / "scripts" / "train-landmarks", "--data", str(tmp_path)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert f"{tmp_path / 'teachers/face_landmarker.task'}: the teacher" in done.stderr
    assert "--data DIR or FERD_DATA" in done.stderr
    assert "no_faces" not in done.stderr


def test_a_teacher_file_that_is_no_archive_is_reported_with_the_remedy(teacher: Any, tmp_path: Path) -> None:
    file = tmp_path / "face_landmarker.task"
    with pytest.raises(teacher.TeacherError, match="is missing: put MediaPipe's"):
        teacher.read_task(file)
    file.write_bytes(b"<html>not found</html>")
    with pytest.raises(teacher.TeacherError, match="is not a face_landmarker"):
        teacher.read_task(file)


def test_an_archive_that_lacks_a_part_is_reported(teacher: Any, tmp_path: Path) -> None:
    file = tmp_path / "face_landmarker.task"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(teacher.NETWORK, b"TFL3")
    with pytest.raises(teacher.TeacherError, match="geometry_pipeline"):
        teacher.read_task(file)


def part(number: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    return bytes([number << 3 | 2]) + length + content


@pytest.mark.parametrize("geometry", [b"", b"\xff\xff", b"\x0a\x50abc", b"\x0b", part(1, b"\x1d\x00\x00\x80\x3f")])
def test_a_geometry_of_another_form_is_reported(teacher: Any, geometry: bytes) -> None:
    with pytest.raises(teacher.TeacherError, match="another release"):
        teacher.canonical(geometry)


def test_the_canonical_face_is_read(teacher: Any) -> None:
    vertices = np.random.default_rng(1).normal(size=(teacher.MESH, 5)).astype("<f4")
    mesh = b"".join(b"\x1d" + struct.pack("<f", v) for v in vertices.ravel())
    weight = b"\x08\x21\x15" + struct.pack("<f", 0.5)  # landmark 33
    shape, weights = teacher.canonical(part(1, mesh) + part(2, weight))
    assert np.allclose(shape, vertices[:, :3])
    assert weights[33] == pytest.approx(0.5)
    assert weights.sum() == pytest.approx(0.5)


@pytest.mark.parametrize("pose", [(0, 0, 0), (40, -10, 5), (-60, 20, -30), (10, 35, 80)])
def test_angles_are_those_that_turned_the_head(teacher: Any, pose: tuple[float, float, float]) -> None:
    assert teacher.angles(turn(*pose)) == pytest.approx(pose)


def test_the_sign_of_the_angles(teacher: Any) -> None:
    to_the_right = turn(30, 0, 0) @ (0, 0, 1)
    assert to_the_right[0] > 0  # the nose points to the right side of the picture
    assert (turn(0, 30, 0) @ (0, 0, 1))[1] < 0  # down
    assert (turn(0, 0, 30) @ (1, 0, 0))[1] < 0  # clockwise: what is right goes down


def test_who_is_held_back_is_held_back_with_every_picture(data: Any, tmp_path: Path) -> None:
    names = [f"p1_keypoints_Some_One_{i}.jpg" for i in range(4)]
    (tmp_path / "faces.jsonl").write_text("".join(json.dumps({"file": f"faces/{n}"}) + "\n" for n in names))
    rows = [{"file": f"nir/frames/{who}-1-happy.jpg", "person": who} for who in (1, 3, 8)]
    (tmp_path / "nir.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    jobs = list(data.all_jobs(tmp_path))
    assert len({job.held for job in jobs if job.source == "faces"}) == 1
    assert [job.held for job in jobs if job.source == "infrared"] == [False, True, True]


def test_a_picture_that_cannot_be_read_gives_no_label(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_tools", (None, None))
    broken = tmp_path / "broken.jpg"
    for content in (b"", b"\xff\xd8\xff\xe0 not a picture"):
        broken.write_bytes(content)
        found = data._label(data.Job("faces", "broken.jpg", False, broken))
        assert not found.tiles
        assert not found.empty


def test_the_cache_is_read_without_pickles(data: Any, tmp_path: Path) -> None:
    job = data.Job("drivers", "yawn/000.jpg", True)
    tile, points = np.zeros((8, 8), np.uint8), np.zeros((len(LABELS), 2), np.float32)
    found = data.Found([tile], [points], [(1, 2, 3, 0.4, 0.01)], [50.0], [0.9], [(0, 0, 1)], [tile])
    data.save(tmp_path / "work" / "labels.npz", [job], [found])
    with np.load(tmp_path / "work" / "labels.npz", allow_pickle=False) as kept:
        assert kept["held"].tolist() == [True]
        assert kept["name"].tolist() == ["yawn/000.jpg"]
        assert kept["empty"].shape == (1, 8, 8)
