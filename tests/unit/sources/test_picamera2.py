from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import picamera2_stand_in
import pytest
from camera_tools import wait_for
from picamera2_stand_in import Picamera2

from ferd.errors import SourceError
from ferd.sources.picamera2 import PiCamera, gray_plane, small_size


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Picamera2]]:
    Picamera2.reset()
    monkeypatch.setitem(sys.modules, "picamera2", picamera2_stand_in)
    yield Picamera2
    Picamera2.let_go.set()


def camera(**keys: Any) -> PiCamera:
    return PiCamera(**{"open_s": 20, "read_s": 20, "close_s": 20, "clock": lambda: 12.5, **keys})


class TestMissing:
    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        with pytest.raises(SourceError, match=r"apt install python3-picamera2.*--system-site-packages"):
            camera().open()

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (ImportError("No module named 'libcamera'", name="libcamera"), "libcamera"),
            (ValueError("numpy.dtype size changed"), "does not load.*numpy from apt"),
        ],
    )
    def test_does_not_load(self, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
        real = builtins.__import__

        def broken(name: str, *args: Any) -> types.ModuleType:
            if name == "picamera2":
                raise error
            return real(name, *args)

        monkeypatch.setattr(builtins, "__import__", broken)
        with pytest.raises(SourceError, match=words):
            camera().open()


@pytest.mark.usefixtures("library")
class TestFails:
    def test_no_such_number(self) -> None:
        with pytest.raises(SourceError, match=r"camera 3: no such camera\. Check the ribbon cable"):
            camera(number=3).open()

    def test_busy(self) -> None:
        Picamera2.trouble = "busy"
        with pytest.raises(SourceError, match="another program uses it"):
            camera().open()

    def test_start_hangs(self) -> None:
        Picamera2.trouble = "start hangs"
        with pytest.raises(SourceError, match="did not start within"):
            camera(open_s=0.05, close_s=0.05).open()

    def test_no_frame_in_time(self) -> None:
        source = camera(read_s=0.05)
        source.open()
        Picamera2.trouble = "no frame"
        with pytest.raises(SourceError, match=r"no picture for 0.05 s.*power supply"):
            source.read()
        source.close()
        assert Picamera2.made[0].calls[-2:] == ["cancel", "close"]

    def test_a_capture_that_does_not_keep_its_own_time_limit(self) -> None:
        source = camera(read_s=0.01, close_s=0.05)
        source.open()
        Picamera2.trouble = "capture hangs"
        with pytest.raises(SourceError, match="no picture for"):
            source.read()
        assert not source.hangs
        source.close()
        assert source.hangs, "the call is still out, and the camera with it"
        with pytest.raises(SourceError, match="another program uses it"):
            camera().open()
        Picamera2.let_go.set()
        wait_for(lambda: not source.hangs)

    def test_capture_fails(self) -> None:
        source = camera()
        source.open()
        Picamera2.trouble = "capture fails"
        with pytest.raises(SourceError, match=r"capture failed \(Camera frontend has timed out!\)"):
            source.read()
        source.close()

    def test_close_hangs(self, caplog: pytest.LogCaptureFixture) -> None:
        source = camera(close_s=0.05)
        source.open()
        Picamera2.trouble = "close hangs"
        source.close()
        assert "does not close" in caplog.text

    def test_not_a_picture_and_the_request_is_given_back(self) -> None:
        source = camera()
        source.open()
        Picamera2.main = np.zeros((1, 691200), np.uint8)
        with pytest.raises(SourceError, match=r"\(1, 691200\)"):
            source.read()
        assert Picamera2.made[0].requests_out == 0
        source.close()

    def test_reading_a_closed_camera(self) -> None:
        source = camera(read_s=0.05)
        source.open()
        source.close()
        source.close()
        with pytest.raises(SourceError):
            source.read()


@pytest.mark.usefixtures("library")
class TestWorks:
    def test_one_configuration(self) -> None:
        source = camera(fps=20.0)
        source.open()
        made = Picamera2.made[0]
        assert made.calls == ["configure", "start"]
        assert made.configuration == {
            "main": {"size": (640, 480), "format": "RGB888"},
            "lores": {"size": (320, 240), "format": "YUV420"},
            "buffer_count": 3,
            "controls": {"FrameDurationLimits": (50_000, 50_000)},
            "display": None,
            "encode": None,
        }
        source.close()
        assert made.calls == ["configure", "start", "cancel", "close"]

    def test_a_frame_with_its_gray_small_one(self) -> None:
        source = camera()
        source.open()
        frame = source.read()
        source.close()
        assert frame.t == 12.5
        assert frame.image.shape == (480, 640, 3)
        assert frame.image[0, 0].tolist() == [10, 20, 30]
        assert frame.small is not None
        assert frame.small.shape == (240, 320)
        assert (frame.small == 77).all(), "the padding and the colour planes stay out"
        assert Picamera2.made[0].requests_out == 0


def test_gray_plane_of_another_shape() -> None:
    with pytest.raises(SourceError, match="240x320"):
        gray_plane(np.zeros((100, 320), np.uint8), 320, 240)


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), (320, 240)), ((1280, 720), (320, 180)), ((480, 640), (180, 240)), ((160, 120), (160, 120))],
)
def test_small_size(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert small_size(*size) == small
