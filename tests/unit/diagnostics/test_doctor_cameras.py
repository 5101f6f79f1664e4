"""A real picture through a child process, and the finding where there is none."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferd.config import CameraConfig
from ferd.diagnostics import cameras
from ferd.diagnostics.holders import Holder
from ferd.sources.discovery import FoundCamera


def test_the_demo_scene_shows_a_face():
    (finding,) = cameras.one("desk", CameraConfig(source="demo"), [])
    assert finding.verdict == "ok"
    assert "640x480" in finding.found
    assert "1 face(s)" in finding.found


def test_a_black_picture_is_reported(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((480, 640, 3), np.uint8))
    (finding,) = cameras.one("desk", CameraConfig(source=str(tmp_path)), [])
    assert finding.verdict == "warning"
    assert "nearly black" in finding.found


def test_no_such_camera_names_the_remedy():
    (finding,) = cameras.one("desk", CameraConfig(source="/dev/video99"), [])
    assert finding.verdict == "error"
    assert finding.about == "camera desk"


@pytest.mark.parametrize(("source", "remedy"), [("http://cam/x", "in a browser"), ("/dev/video99", "ferd cameras")])
def test_a_reason_without_a_remedy_gets_one(monkeypatch, source, remedy):
    monkeypatch.setattr(cameras, "look", lambda _config: "closes the connection without an answer")
    (finding,) = cameras.one("desk", CameraConfig(source=source), [])
    assert remedy in finding.remedy


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


def test_a_driver_that_kills_the_child_is_reported(monkeypatch):
    real = cameras.subprocess.run
    monkeypatch.setattr(cameras.subprocess, "run", lambda _command, **kw: real(["/bin/sh", "-c", "kill -9 $$"], **kw))
    (finding,) = cameras.one("desk", CameraConfig(source="usb:1"), [])
    assert "ended the process (exit code -9)" in finding.found


@pytest.mark.parametrize("source", ["rtsp://user:secret@127.0.0.1:1/x"])
def test_no_password_is_printed(source):
    (finding,) = cameras.one("desk", CameraConfig(source=source), [])
    assert "secret" not in finding.found


PI, SECOND = FoundCamera("picamera2", "picamera2", "imx708"), FoundCamera("picamera2:1", "picamera2", "imx219")
WEBCAM = FoundCamera("/dev/video0", "usb", "C920", Path("/dev/video0"))
FERD, STRANGER = Holder(7, "ferd"), Holder(8, "rpicam-vid")


@pytest.mark.parametrize(
    ("source", "found", "locked_held"),
    [
        ("picamera2", [PI], ([FERD], [FERD])),  # a running ferd has it: no picture is to be taken from under it
        ("auto", [PI, WEBCAM], ([FERD], [FERD])),
        ("picamera2", [PI], ([STRANGER], [STRANGER])),
        ("picamera2:1", [PI, SECOND], ([STRANGER], [])),  # it may use the other one: the picture will show
        ("picamera2:1", [PI, SECOND], ([STRANGER, FERD], [FERD])),
        ("picamera2", [PI], ([], [])),
    ],
)
def test_who_uses_the_camera_of_a_pi(tmp_path, monkeypatch, source, found, locked_held):
    locked, held = locked_held
    (tmp_path / "media0").touch()
    monkeypatch.setattr(cameras, "lockers", lambda device: locked if device.parent == tmp_path else [])
    assert cameras._held_by(CameraConfig(source=source), found, tmp_path) == held


def test_a_camera_of_the_running_ferd_is_fine(tmp_path):
    device = tmp_path / "video0"
    device.touch()
    with device.open():
        found = [FoundCamera("usb", "usb", "C920", device)]
        (finding,) = cameras.one("desk", CameraConfig(source="usb"), found)
    assert finding.verdict == "ok"
    assert finding.found.startswith(f"held by this ferd (pid {os.getpid()})")


def test_a_camera_of_another_program_is_an_error(monkeypatch):
    monkeypatch.setattr(cameras, "holders", lambda _device: [STRANGER])
    (finding,) = cameras.one("desk", CameraConfig(source="/dev/video0"), [])
    assert (finding.verdict, finding.found) == ("error", "held by rpicam-vid (pid 8)")
    assert "end that program" in finding.remedy


def test_auto_without_a_pi_camera_asks_for_the_webcam(tmp_path, monkeypatch):
    monkeypatch.setattr(cameras, "holders", lambda device: [FERD] if device == WEBCAM.path else [])
    assert cameras._held_by(CameraConfig(source="auto"), [WEBCAM], tmp_path) == [FERD]
