from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.usb import UsbCamera, four_letters
from ferd.sources.v4l2 import Node

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")


class Webcam:
    """Stands in for cv2.VideoCapture. `pictures` are what read() gives; gets another format than it was asked for."""

    def __init__(self, pictures: list[Any], *, opens: bool = True) -> None:
        self.pictures = pictures
        self.opens = opens
        self.asked: list[tuple[int, float]] = []
        self.released = 0

    def isOpened(self) -> bool:
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        return True

    def get(self, prop: int) -> float:
        got = {cv2.CAP_PROP_FOURCC: YUYV, cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}
        return float(got.get(prop, 10))

    def read(self) -> tuple[bool, Any]:
        picture = self.pictures.pop(0) if self.pictures else None
        if isinstance(picture, threading.Event):
            picture.wait()
        return picture is not None, picture

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the kernel seems to call a webcam."""
    path = tmp_path / "video0"
    path.touch()
    monkeypatch.setattr(v4l2, "describe", lambda p: Node(Path(p), "uvcvideo", "Cam", None))
    return path


def camera(path: Path | None, webcam: Webcam, **keys: Any) -> UsbCamera:
    return UsbCamera(path, connect=lambda _: webcam, clock=lambda: 3.0, **keys)


class TestDoesNotOpen:
    def test_no_such_device(self) -> None:
        with pytest.raises(SourceError, match=r"/dev/video99 no such device.*ferd cameras"):
            UsbCamera("/dev/video99").open()

    def test_none_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"none found\. Is it plugged in"):
            UsbCamera(None, dev=tmp_path).open()

    def test_not_a_video_device(self, tmp_path: Path) -> None:
        path = tmp_path / "video0"
        path.touch()
        with pytest.raises(SourceError, match="is not a video device"):
            UsbCamera(path).open()

    @pytest.mark.parametrize(
        ("number", "words"), [(errno.EACCES, "group video"), (errno.EBUSY, "fuser"), (errno.EIO, "cannot be opened")]
    )
    def test_forbidden_or_busy(self, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
        def refuse(path: object, flags: int) -> int:
            raise OSError(number, "no")

        monkeypatch.setattr("os.open", refuse)
        with pytest.raises(SourceError, match=words):
            UsbCamera("/dev/video0").open()

    def test_another_program_streams_from_it(self, node: Path) -> None:
        webcam = Webcam([], opens=False)
        with pytest.raises(SourceError, match=r"does not start.*fuser -v .*video0"):
            camera(node, webcam).open()
        assert webcam.released == 1


class TestStopsDelivering:
    def test_was_unplugged_though_read_says_true(self, node: Path) -> None:
        webcam = Webcam([gray_picture(1), gray_picture(1)])
        source = camera(node, webcam)
        source.open()
        source.read()
        node.unlink()
        with pytest.raises(SourceError, match="was unplugged"):
            source.read()
        source.close()
        assert webcam.released == 1

    def test_was_unplugged_while_it_read(self, node: Path) -> None:
        class Vanishing(Webcam):
            def read(self) -> tuple[bool, Any]:
                node.unlink()
                return False, None

        source = camera(node, Vanishing([]))
        source.open()
        with pytest.raises(SourceError, match="was unplugged"):
            source.read()
        source.close()

    @pytest.mark.parametrize(
        "junk",
        [np.zeros((1, 691200), np.uint8), np.zeros((48, 64, 2), np.uint8), np.zeros((48, 64, 3), np.float32)],
        ids=["blob", "two channels", "float"],
    )
    def test_what_is_not_a_picture(self, node: Path, junk: np.ndarray) -> None:
        source = camera(node, Webcam([junk]))
        source.open()
        with pytest.raises(SourceError, match=r"not a picture|no picture"):
            source.read()
        source.close()

    def test_read_says_false(self, node: Path) -> None:
        source = camera(node, Webcam([]))
        source.open()
        with pytest.raises(SourceError, match="stopped delivering"):
            source.read()
        source.close()

    def test_read_hangs(self, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ferd.sources.usb.READ_S", 0.05)
        monkeypatch.setattr("ferd.sources.capture.CLOSE_S", 0.05)
        go = threading.Event()
        webcam = Webcam([go])
        source = camera(node, webcam)
        source.open()
        with pytest.raises(SourceError, match=r"no picture for 0\.05 s"):
            source.read()
        source.close()
        assert webcam.released == 0, "nobody releases a capture that another thread reads from"
        go.set()


class TestWorks:
    def test_asks_for_the_format_before_the_size_and_tells_what_it_got(
        self, node: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        webcam = Webcam([gray_picture(9)])
        source = camera(node, webcam, width=800, height=600, fps=30)
        source.open()
        assert webcam.asked == [
            (cv2.CAP_PROP_FOURCC, MJPG),
            (cv2.CAP_PROP_FRAME_WIDTH, 800),
            (cv2.CAP_PROP_FRAME_HEIGHT, 600),
            (cv2.CAP_PROP_FPS, 30),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ]
        assert "format=YUYV size=320x240 fps=10 asked=800x600@30" in caplog.text
        frame = source.read()
        source.close()
        source.close()
        assert (frame.t, frame.image[0, 0, 0], webcam.released) == (3.0, 9, 1)
        with pytest.raises(SourceError, match="is closed"):
            source.read()

    def test_the_first_one_there_is(self, monkeypatch: pytest.MonkeyPatch, node: Path) -> None:
        monkeypatch.setattr(v4l2, "cameras", lambda dev: [Node(node, "uvcvideo", "Cam", None)])
        source = camera(None, Webcam([gray_picture(9)]))
        source.open()
        assert source.read().image.shape == (48, 64, 3)
        source.close()


@pytest.mark.parametrize(("number", "letters"), [(MJPG, "MJPG"), (YUYV, "YUYV"), (0, "unknown"), (-1, "unknown")])
def test_four_letters(number: int, letters: str) -> None:
    assert four_letters(float(number)) == letters
