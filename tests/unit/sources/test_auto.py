from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ferd.config.models import CameraConfig
from ferd.errors import SourceError
from ferd.sources import v4l2
from ferd.sources.auto import FirstWorkingSource
from ferd.sources.factory import open_source
from ferd.sources.fake import FakeCamera, fail, play, refuse


def fake(name: str, *script: object) -> FakeCamera:
    return FakeCamera(script, name=name, size=(64, 48), fps=1000)  # type: ignore[arg-type]


def test_none_delivers() -> None:
    refusing, failing = fake("one", refuse("is busy")), fake("two", fail("is broken"))
    source = FirstWorkingSource(lambda: [refusing, failing])
    with pytest.raises(SourceError, match=r"no camera found.*\n  one: is busy\n  two: is broken"):
        source.open()
    assert (refusing.done("closed"), failing.done("closed")) == (1, 1)
    assert source.name == "auto"
    with pytest.raises(SourceError, match="not open"):
        source.read()


def test_the_first_that_delivers_and_not_the_first_that_opens() -> None:
    silent, good, unused = fake("silent", fail()), fake("good", play(1)), fake("unused", play(1))
    source = FirstWorkingSource(lambda: [silent, good, unused])
    source.open()
    frames = [source.read() for _ in range(3)]
    assert source.name == "good"
    assert source.noisy
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 3], "the picture it was tried with is not lost"
    assert unused.record == []
    source.close()
    assert good.done("closed") == 1


def test_closed_while_it_looks() -> None:
    later = fake("later", play(1))

    class Slow(FakeCamera):
        def open(self) -> None:
            source.close()
            raise SourceError("slow: nothing")

    source = FirstWorkingSource(lambda: [Slow([]), later])
    with pytest.raises(SourceError, match="no camera found"):
        source.open()
    assert later.record == []


def test_is_as_noisy_as_what_it_found() -> None:
    film = FakeCamera([play(1)], noisy=False, fps=1000)
    source = FirstWorkingSource(lambda: [film])
    source.open()
    assert not source.noisy
    source.close()


class TestOnThisMachine:
    """As the daemon calls it, on a machine without cameras."""

    @pytest.fixture(autouse=True)
    def no_cameras(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        monkeypatch.setattr(v4l2, "cameras", lambda: [])

    def test_says_what_to_do(self) -> None:
        with pytest.raises(SourceError, match=r"no camera found.*python3-picamera2.*ferd cameras.*demo"):
            open_source(CameraConfig(), live=True).open()

    def test_the_demo_scene_says_that_it_is_one(self) -> None:
        source = open_source(CameraConfig(), live=False, demo=True)
        source.open()
        assert source.name == "demo scene"
        assert source.read().t == 0
        source.close()

    def test_a_webcam_that_opens_but_shows_nothing_is_passed_over(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "video0").touch()
        node = v4l2.Node(tmp_path / "video0", "uvcvideo", "Cam", None)
        monkeypatch.setattr(v4l2, "cameras", lambda: [node])
        with pytest.raises(SourceError, match=r"usb camera .*video0"):
            open_source(CameraConfig(), live=True).open()
