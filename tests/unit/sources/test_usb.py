from __future__ import annotations

import errno
import logging
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.usb import UsbCamera, fourcc_name
from ferd.sources.v4l2 import Node

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
YUYV = cv2.VideoWriter.fourcc(*"YUYV")


class Webcam:
    """Stands in for cv2.VideoCapture. `pictures` are what read() gives; gets another format than it was asked for."""

    def __init__(self, pictures: list[Any], *, opens: bool = True, fourcc: int = YUYV) -> None:
        self.pictures = pictures
        self.opens = opens
        self.asked: list[tuple[int, float]] = []
        self.released = 0
        self.stamp_s = 0.0
        self.picture: Any = None
        self.fourcc = fourcc

    def isOpened(self) -> bool:
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        return True

    def get(self, prop: int) -> float:
        got = {cv2.CAP_PROP_FOURCC: self.fourcc, cv2.CAP_PROP_FRAME_WIDTH: 320, cv2.CAP_PROP_FRAME_HEIGHT: 240}
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp_s * 1000
        return float(got.get(prop, 10))

    def grab(self) -> bool:
        self.picture = self.pictures.pop(0) if self.pictures else None
        return self.picture is not None

    def retrieve(self) -> tuple[bool, Any]:
        return self.picture is not None, self.picture

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
        ("number", "words"),
        [(errno.EACCES, "usermod -aG video"), (errno.EBUSY, "fuser"), (errno.EIO, "cannot be opened")],
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
            def grab(self) -> bool:
                node.unlink()
                return False

        source = camera(node, Vanishing([]))
        source.open()
        with pytest.raises(SourceError, match="was unplugged"):
            source.read()
        source.close()

    @pytest.mark.parametrize(
        "junk",
        [np.zeros((1, 691200), np.uint8), np.zeros((48, 64, 4), np.uint8), np.zeros((48, 64, 3), np.float32)],
        ids=["blob", "four channels", "float"],
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


class TestWorks:
    def test_asks_for_the_format_before_the_size_and_logs_what_it_got(
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
            (cv2.CAP_PROP_CONVERT_RGB, 0),
        ]
        assert "format=YUYV size=320x240 fps=10 asked=800x600@30" in caplog.text
        frame = source.read()
        source.close()
        source.close()
        assert (frame.t, frame.image[0, 0, 0], webcam.released) == (3.0, 9, 1)
        with pytest.raises(SourceError, match="is not open"):
            source.read()

    @pytest.mark.parametrize(("ago_s", "is_used"), [(0.2, True), (-0.2, False), (3600.0, False)])
    def test_when_a_picture_was_captured(self, node: Path, ago_s: float, is_used: bool) -> None:
        """By the driver's time stamp, if that is one of the monotonic clock: not every driver gives one."""
        webcam = Webcam([gray_picture(9)])
        source = camera(node, webcam)
        source.open()
        before = time.monotonic()
        webcam.stamp_s = before - ago_s
        captured_at = source.read().captured_at
        source.close()
        assert captured_at is not None
        assert captured_at == pytest.approx(webcam.stamp_s, abs=1e-5) if is_used else captured_at >= before

    def test_the_first_one_there_is(self, monkeypatch: pytest.MonkeyPatch, node: Path) -> None:
        monkeypatch.setattr(v4l2, "cameras", lambda dev: [Node(node, "uvcvideo", "Cam", None)])
        source = camera(None, Webcam([gray_picture(9)]))
        source.open()
        assert source.read().image.shape == (48, 64, 3)
        source.close()


class TestTakesWhatTheCameraSends:
    def test_a_jpeg_is_not_decoded_before_it_is_needed(self, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        data = cv2.imencode(".jpg", scene())[1].tobytes()
        padded = np.frombuffer(data + bytes(500), np.uint8)[None]
        source = camera(node, Webcam([padded], fourcc=MJPG))
        source.open()
        with monkeypatch.context() as patch:
            patch.setattr(cv2, "imdecode", None)
            frame = source.read()
            assert (frame.width, frame.height, frame.jpeg) == (64, 48, data)
        gray = frame.as_gray()
        assert gray is not None
        assert gray.image.shape == (48, 64)
        assert (frame.image == cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).all()
        source.close()

    def test_a_broken_jpeg_is_skipped(self, node: Path) -> None:
        good = np.asarray(cv2.imencode(".jpg", scene())[1]).reshape(1, -1)
        source = camera(node, Webcam([np.zeros((1, 500), np.uint8), good], fourcc=MJPG))
        source.open()
        assert source.read().width == 64
        source.close()

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("YUYV", cv2.COLOR_BGR2YUV_YUYV),
            ("UYVY", cv2.COLOR_BGR2YUV_UYVY),
            ("YU12", cv2.COLOR_BGR2YUV_I420),
            ("YV12", cv2.COLOR_BGR2YUV_YV12),
            ("NV12", None),
            ("NV21", None),
        ],
    )
    def test_the_luma_is_the_gray_picture(self, node: Path, name: str, code: int | None) -> None:
        source = camera(node, Webcam([encoded(name, code)], fourcc=cv2.VideoWriter.fourcc(*name)))
        source.open()
        frame = source.read()
        source.close()
        gray = frame.as_gray()
        assert gray is not None
        assert np.abs(gray.image.astype(int) - cv2.cvtColor(scene(), cv2.COLOR_BGR2GRAY)).mean() < 2
        assert np.abs(frame.image.astype(int) - scene()).mean() < 4

    def test_other_formats_are_converted_by_opencv(self, node: Path) -> None:
        webcam = Webcam([scene()], fourcc=cv2.VideoWriter.fourcc(*"H264"))
        source = camera(node, webcam)
        source.open()
        assert (cv2.CAP_PROP_CONVERT_RGB, 0) not in webcam.asked
        assert (source.read().image == scene()).all()
        source.close()


def scene() -> np.ndarray:
    """A colourful picture (48, 64, 3) without edges, which no chroma subsampling blurs."""
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 2 + 60, y * 3 + 40, 200 - x - y], axis=-1).astype(np.uint8)


def encoded(name: str, code: int | None) -> np.ndarray:
    if code is not None:
        return cv2.cvtColor(scene(), code)
    planar = cv2.cvtColor(scene(), cv2.COLOR_BGR2YUV_I420)
    u, v = planar[48:60].reshape(24, 32), planar[60:].reshape(24, 32)
    pair = (u, v) if name == "NV12" else (v, u)
    return np.vstack([planar[:48], np.stack(pair, axis=-1).reshape(24, 64)])


@pytest.mark.parametrize(("number", "letters"), [(MJPG, "MJPG"), (YUYV, "YUYV"), (0, "unknown"), (-1, "unknown")])
def test_fourcc_name(number: int, letters: str) -> None:
    assert fourcc_name(float(number)) == letters
