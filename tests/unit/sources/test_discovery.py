from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import picamera2_stand_in
import pytest
from picamera2_stand_in import Picamera2

from ferd.sources import discovery as find
from ferd.sources import v4l2
from ferd.sources.discovery import Found, find_cameras, on_a_pi, pi_cameras, v4l2_cameras


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Picamera2]]:
    Picamera2.reset()
    monkeypatch.setitem(sys.modules, "picamera2", picamera2_stand_in)
    yield Picamera2
    Picamera2.let_go.set()


def test_nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(find, "on_a_pi", lambda: False)
    assert find_cameras(tmp_path) == []


def test_a_pi_without_picamera2_is_told_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(find, "on_a_pi", lambda: True)
    (found,) = pi_cameras()
    assert not found.usable
    assert "apt install python3-picamera2" in (found.reason or "")


def test_pi_cameras_without_the_webcams_that_libcamera_lists_too(
    library: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    infos = [
        {"Model": "imx708", "Id": "/base/axi/i2c@1/imx708@1a", "Num": 0},
        {"Model": "imx219", "Id": "/base/axi/i2c@2/imx219@10", "Num": 1},
        {"Model": "HD Cam", "Id": "/base/axi/usb@200000-1.1:1.0-046d:0825", "Num": 2},
    ]
    monkeypatch.setattr(library, "infos", infos)
    assert pi_cameras() == [
        Found("picamera2", "picamera2", "imx708"),
        Found("picamera2:1", "picamera2", "imx219"),
    ]


def test_libcamera_that_does_not_answer(library: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "ASK_S", 0.05)
    monkeypatch.setattr(library, "global_camera_info", staticmethod(lambda: library.let_go.wait() and []))
    (found,) = pi_cameras()
    assert "no answer in time" in (found.reason or "")


def test_webcams_by_their_stable_name_and_without_the_pi_s_own_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        v4l2.Node(Path("/dev/video0"), "uvcvideo", "HD Cam", None),
        v4l2.Node(Path("/dev/video1"), "uvcvideo", "HD Cam", "delivers no pictures"),
        v4l2.Node(Path("/dev/video4"), "unicam", "unicam", "belongs to the Pi"),
        v4l2.Node(Path("/dev/video9"), "", "", "permission denied"),
    ]
    link = Path("/dev/v4l/by-id/usb-HD-index0")
    monkeypatch.setattr(v4l2, "nodes", lambda dev: nodes)
    monkeypatch.setattr(v4l2, "stable_names", lambda dev: {Path("/dev/video0"): link})
    assert v4l2_cameras(tmp_path) == [
        Found(str(link), "usb", "HD Cam", Path("/dev/video0")),
        Found("/dev/video1", "usb", "HD Cam", Path("/dev/video1"), "delivers no pictures"),
        Found("/dev/video9", "usb", "video device", Path("/dev/video9"), "permission denied"),
    ]
    assert [found.usable for found in v4l2_cameras(tmp_path)] == [True, False, False]


def test_on_a_pi(tmp_path: Path) -> None:
    model = tmp_path / "model"
    assert not on_a_pi(model)
    model.write_text("Raspberry Pi Zero 2 W Rev 1.0\0")
    assert on_a_pi(model)
    model.write_text("Some other board\0")
    assert not on_a_pi(model)
