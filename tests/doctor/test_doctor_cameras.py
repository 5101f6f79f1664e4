"""A real picture through a child process, and what is said where there is none."""

import cv2
import numpy as np
import pytest

from ferd.config import CameraConfig
from ferd.doctor import cameras


def test_the_demo_scene_shows_a_face():
    (finding,) = cameras.one("desk", CameraConfig(source="demo"), [])
    assert finding.verdict == "ok"
    assert "640x480" in finding.found
    assert "1 face(s)" in finding.found


def test_a_black_picture_is_told(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((480, 640, 3), np.uint8))
    (finding,) = cameras.one("desk", CameraConfig(source=str(tmp_path)), [])
    assert finding.verdict == "warning"
    assert "nearly black" in finding.found


def test_no_such_camera_names_the_remedy():
    (finding,) = cameras.one("desk", CameraConfig(source="/dev/video99"), [])
    assert finding.verdict == "error"
    assert finding.about == "camera desk"


def test_a_camera_that_hangs_ends_the_child_only(tmp_path, monkeypatch):
    monkeypatch.setattr(cameras.sys, "executable", "/bin/sleep")
    monkeypatch.setattr(cameras, "LOOK_S", 0.3)

    def sleeps(command, **kwargs):
        return real(["/bin/sleep", "60"], **kwargs)

    real = cameras.subprocess.run
    monkeypatch.setattr(cameras.subprocess, "run", sleeps)
    (finding,) = cameras.one("desk", CameraConfig(source="usb:1"), [])
    assert finding.verdict == "error"
    assert "hangs" in finding.found


def test_a_driver_that_kills_the_child_is_told(monkeypatch):
    real = cameras.subprocess.run
    monkeypatch.setattr(cameras.subprocess, "run", lambda _command, **kw: real(["/bin/sh", "-c", "kill -9 $$"], **kw))
    (finding,) = cameras.one("desk", CameraConfig(source="usb:1"), [])
    assert "ended the process (exit code -9)" in finding.found


@pytest.mark.parametrize("source", ["rtsp://user:secret@127.0.0.1:1/x"])
def test_no_password_is_told(source):
    (finding,) = cameras.one("desk", CameraConfig(source=source), [])
    assert "secret" not in finding.found
