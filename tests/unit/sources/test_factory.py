from __future__ import annotations

from pathlib import Path

import pytest

from ferd.config import CameraConfig
from ferd.errors import SourceError
from ferd.sources.base import Source
from ferd.sources.factory import open_source
from ferd.sources.file import PictureFolder, VideoFile
from ferd.sources.picamera2 import PiCamera
from ferd.sources.stream import StreamCamera
from ferd.sources.usb import UsbCamera
from ferd.sources.wrappers import FirstWorkingSource, PacedSource, RotatedSource


def source_of(text: str, *, live: bool = True, **keys: object) -> Source:
    return open_source(CameraConfig.model_validate({"source": text, **keys}), live=live)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("picamera2", PiCamera, "picamera2 camera 0"),
        ("picamera2:1", PiCamera, "picamera2 camera 1"),
        ("usb", UsbCamera, "usb camera (first found)"),
        ("usb:1", UsbCamera, "usb camera /dev/video1"),
        ("2", UsbCamera, "usb camera /dev/video2"),
        ("/dev/video3", UsbCamera, "usb camera /dev/video3"),
        ("/dev/v4l/by-id/usb-Cam-index0", UsbCamera, "usb camera /dev/v4l/by-id/usb-Cam-index0"),
        ("rtsp://me:geheim@cam/1", StreamCamera, "rtsp://cam/…"),
        ("HTTPS://cam/mjpeg", StreamCamera, "HTTPS://cam/…"),
        ("auto", FirstWorkingSource, "auto"),
    ],
)
def test_cameras(text: str, kind: type, name: str) -> None:
    source = source_of(text)
    assert type(source) is kind
    assert source.name == name
    source.close()


def test_replay_reads_files_as_they_are(tmp_path: Path) -> None:
    assert type(source_of(str(tmp_path), live=False)) is PictureFolder
    assert type(source_of("some/film.mp4", live=False)) is VideoFile
    assert type(source_of("face.JPG", live=False)) is PictureFolder


def test_the_daemon_plays_them(tmp_path: Path) -> None:
    for text in (str(tmp_path), "film.mp4"):
        source = source_of(text)
        assert type(source) is PacedSource
        assert source.noisy is False


def test_a_file_that_is_not_there_is_said_when_it_is_opened() -> None:
    with pytest.raises(SourceError, match="no such file"):
        source_of("no/such.mp4", live=False).open()


def test_turned_when_wanted() -> None:
    assert type(source_of("usb", rotate=180)) is RotatedSource
    assert type(source_of("usb", mirror=True)) is RotatedSource
