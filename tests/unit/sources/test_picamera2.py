from __future__ import annotations

import builtins
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import picamera2_stand_in
import pytest
from picamera2_stand_in import Picamera2

from ferd.errors import SourceError
from ferd.sources.picamera2 import PiCamera, colours, gray_plane, small_size


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Picamera2]]:
    Picamera2.reset()
    monkeypatch.setitem(sys.modules, "picamera2", picamera2_stand_in)
    colour_space = types.SimpleNamespace(Sycc=lambda: "sYCC")
    monkeypatch.setitem(sys.modules, "libcamera", types.SimpleNamespace(ColorSpace=colour_space))
    yield Picamera2
    Picamera2.let_go.set()


def camera(**keys: Any) -> PiCamera:
    return PiCamera(**{"read_s": 20, "clock": lambda: 12.5, **keys})


class TestMissing:
    def test_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        with pytest.raises(SourceError, match=r"apt install python3-picamera2.*environment"):
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

    def test_a_failed_start_gives_the_camera_back(self) -> None:
        Picamera2.trouble = "start fails"
        source = camera()
        with pytest.raises(SourceError, match="does not start"):
            source.open()
        source.close()
        assert Picamera2.made[0].is_closed

    def test_no_frame_in_time(self) -> None:
        source = camera(read_s=0.05)
        source.open()
        Picamera2.trouble = "no frame"
        with pytest.raises(SourceError, match=r"no picture for 0.05 s.*power supply"):
            source.read()
        source.close()
        assert Picamera2.made[0].calls[-2:] == ["cancel", "close"]

    def test_capture_fails(self) -> None:
        source = camera()
        source.open()
        Picamera2.trouble = "capture fails"
        with pytest.raises(SourceError, match=r"capture failed \(Camera frontend has timed out!\)"):
            source.read()
        source.close()

    def test_not_a_picture_and_the_request_is_given_back(self) -> None:
        source = camera()
        source.open()
        Picamera2.main = np.zeros((1, 691200), np.uint8)
        with pytest.raises(SourceError, match=r"\(1, 691200\)"):
            source.read()
        assert Picamera2.made[0].requests_out == 0
        source.close()

    def test_reading_a_closed_camera(self) -> None:
        source = camera()
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
            "main": {"size": (640, 480), "format": "YUV420"},
            "lores": {"size": (320, 240), "format": "YUV420"},
            "colour_space": "sYCC",
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
        gray = frame.as_gray()
        assert gray is not None
        assert gray.image.shape == (480, 640)
        assert (gray.image == 77).all()
        assert frame.small is not None
        assert frame.small.shape == (240, 320)
        assert (frame.small == 77).all(), "the padding and the colour planes stay out"
        assert Picamera2.made[0].requests_out == 0


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("ago_s", "is_used"), [(0.2, True), (3600.0, False), (None, False)])
def test_when_a_picture_was_captured(ago_s: float | None, is_used: bool) -> None:
    """By the sensor's time stamp, where libcamera gives one."""
    source = camera()
    source.open()
    before = time.monotonic()
    stamp_ns = 0 if ago_s is None else time.clock_gettime_ns(time.CLOCK_BOOTTIME) - round(ago_s * 1e9)
    Picamera2.metadata = {} if ago_s is None else {"SensorTimestamp": stamp_ns}
    captured_at = source.read().captured_at
    source.close()
    assert captured_at is not None
    if is_used:
        assert before - captured_at == pytest.approx(ago_s, abs=0.05)
    else:
        assert captured_at >= before


def test_gray_plane_of_another_shape() -> None:
    with pytest.raises(SourceError, match="240x320"):
        gray_plane(np.zeros((100, 320), np.uint8), 320, 240)


def test_colours_of_full_range() -> None:
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[...] = (40, 90, 250)
    blue, green, red = (float(value) for value in bgr[0, 0])
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    yuv = np.zeros((72, 128), np.uint8)  # rows are padded to 128
    yuv[:48] = round(luma)
    yuv[48:60] = round(128 + (blue - luma) / 1.772)
    yuv[60:] = round(128 + (red - luma) / 1.402)
    assert np.abs(colours(yuv, 64, 48).astype(int) - bgr).max() <= 3


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), (320, 240)), ((1280, 720), (320, 180)), ((480, 640), (180, 240)), ((160, 120), (160, 120))],
)
def test_small_size(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert small_size(*size) == small
