from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from ferd.sources import v4l2

CAPTURE, M2M, METADATA, STREAMING, DEVICE_CAPS = 0x1, 0x8000, 0x00800000, 0x04000000, 0x80000000


def answer(driver: str, card: str, whole: int, own: int = 0) -> bytes:
    """The kernel's answer to VIDIOC_QUERYCAP."""
    packed = struct.pack(
        "=16s32s32sIII12x", driver.encode(), card.encode(), b"usb-0000:01:00.0-1.1", 0x60105, whole, own
    )
    assert len(packed) == 104
    return packed


@pytest.mark.parametrize(
    ("driver", "whole", "own", "reason"),
    [
        ("uvcvideo", CAPTURE | METADATA | DEVICE_CAPS, CAPTURE | STREAMING, None),
        ("uvcvideo", CAPTURE | METADATA | DEVICE_CAPS, METADATA | STREAMING, "try the other number"),
        ("oldcam", CAPTURE, 0, None),
        ("unicam", CAPTURE | DEVICE_CAPS, CAPTURE, 'source = "picamera2"'),
        ("rp1-cfe", CAPTURE | DEVICE_CAPS, CAPTURE, 'source = "picamera2"'),
        ("vim2m", M2M | DEVICE_CAPS, M2M, "is a codec"),
    ],
)
def test_which_nodes_are_cameras(driver: str, whole: int, own: int, reason: str | None) -> None:
    node = v4l2.from_capability(Path("/dev/video12"), answer(driver, "HD Cam: HD Cam", whole, own))
    assert (node.driver, node.card, node.number) == (driver, "HD Cam: HD Cam", 12)
    if reason is None:
        assert node.reason is None
    else:
        assert reason in (node.reason or "")


def test_a_file_is_no_video_device(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (tmp_path / "video-notes").touch()
    (node,) = v4l2.nodes(tmp_path)
    assert "is not a video device" in (node.reason or "")
    assert v4l2.cameras(tmp_path) == []


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    assert "Is the camera plugged in" in (v4l2.describe(tmp_path / "video0").reason or "")


def test_webcams_come_first_and_two_before_ten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = {"video0": "bm2835 mmal", "video2": "uvcvideo", "video10": "uvcvideo", "video4": "unicam"}
    for name in drivers:
        (tmp_path / name).touch()

    def describe(path: Path) -> v4l2.Node:
        return v4l2.from_capability(path, answer(drivers[path.name], "", CAPTURE))

    monkeypatch.setattr(v4l2, "describe", describe)
    assert [node.path.name for node in v4l2.nodes(tmp_path)] == ["video0", "video2", "video4", "video10"]
    assert [node.path.name for node in v4l2.cameras(tmp_path)] == ["video2", "video10", "video0"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "usermod -aG video"),
        (errno.EBUSY, "fuser -v /dev/video0"),
        (errno.ENODEV, "ferd cameras"),
        (errno.EIO, "Input/output error"),
        (None, "cannot be opened"),
    ],
)
def test_each_refusal_has_its_remedy(number: int | None, words: str) -> None:
    assert words in v4l2.why_not_open(Path("/dev/video0"), number)


def test_names_from_sysfs(tmp_path: Path) -> None:
    (tmp_path / "video0").mkdir()
    (tmp_path / "video0" / "name").write_text("HD Cam\n")
    assert v4l2.sysfs_name(Path("/dev/video0"), tmp_path) == "HD Cam"
    assert v4l2.sysfs_name(Path("/dev/video1"), tmp_path) == ""


def test_stable_names(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    links = tmp_path / "v4l" / "by-id"
    links.mkdir(parents=True)
    (links / "usb-Cam-video-index0").symlink_to(tmp_path / "video0")
    assert v4l2.stable_names(tmp_path) == {tmp_path / "video0": links / "usb-Cam-video-index0"}
    assert v4l2.stable_names(tmp_path / "nowhere") == {}
