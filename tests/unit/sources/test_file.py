from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from camera_tools import gray_picture, read_all

from ferd.errors import SourceError
from ferd.pictures import read_picture
from ferd.sources.file import PictureFolder, VideoFile, natural_order
from ferd.types import Image

Film = Callable[..., Path]


def save(path: Path, value: int) -> Path:
    cv2.imwrite(str(path), gray_picture(value))
    return path


class TestBadVideos:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no such file"):
            VideoFile(tmp_path / "none.mp4").open()

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is a folder"):
            VideoFile(tmp_path).open()

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.mp4"
        path.touch()
        with pytest.raises(SourceError, match="is empty"):
            VideoFile(path).open()

    def test_text_that_is_named_mp4(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "notes.mp4"
        path.write_text("not a film\n" * 100)
        with pytest.raises(SourceError, match="not a video"):
            VideoFile(path).open()
        assert capfd.readouterr().err == ""

    def test_cut_in_half(self, film: Film) -> None:
        path = film("cut.mp4", codec="mp4v")
        path.write_bytes(path.read_bytes()[:-400])
        with pytest.raises(SourceError, match=r"not a video|no picture"):
            read_all(VideoFile(path))

    def test_reading_before_opening_and_after_closing(self, film: Film) -> None:
        source = VideoFile(film())
        with pytest.raises(SourceError, match="not open"):
            source.read()
        source.open()
        source.close()
        source.close()
        with pytest.raises(SourceError, match="not open"):
            source.read()


class TestVideoFile:
    @pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
    def test_every_frame_at_its_position(self, film: Film, name: str, codec: str) -> None:
        frames = read_all(VideoFile(film(name, frames=5, fps=10, codec=codec)))
        assert [frame.t for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
        assert all(frame.image.shape == (48, 64, 3) for frame in frames)
        assert [frame.image.mean() for frame in frames] == pytest.approx([0, 20, 40, 60, 80], abs=3)

    def test_is_the_same_twice(self, film: Film) -> None:
        path = film()
        first, second = read_all(VideoFile(path)), read_all(VideoFile(path))
        assert [f.t for f in first] == [f.t for f in second]
        assert all((a.image == b.image).all() for a, b in zip(first, second, strict=True))

    def test_loops_with_a_time_that_goes_on(self, film: Film) -> None:
        source = VideoFile(film(frames=3, fps=10), loop=True)
        source.open()
        times = [source.read().t for _ in range(8)]
        source.close()
        assert times == pytest.approx([0.1 * i for i in range(8)], abs=1e-3)

    def test_counts_on_where_time_stamps_stand_still(self, film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
        source = VideoFile(film(frames=4, fps=10))
        time_of = source._time
        monkeypatch.setattr(source, "_time", lambda _stamp: time_of(0.0))
        source.open()
        assert [source.read().t for _ in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
        source.close()

    @pytest.mark.parametrize("name", ["photo", "photo.gif"])
    def test_a_file_of_one_picture_is_looked_at_for_a_while(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        if name.endswith(".gif"):
            pillow = pytest.importorskip("PIL.Image")
            pillow.fromarray(gray_picture(50)).save(path)
        else:
            path.write_bytes(cv2.imencode(".jpg", gray_picture(50))[1].tobytes())
        frames = read_all(VideoFile(path, hold_s=1.0))
        assert len(frames) > 3
        assert frames[0].t == 0.0
        assert 0.8 < frames[-1].t <= 1.0
        assert all(frame.image.mean() == pytest.approx(50, abs=3) for frame in frames)
        assert len(read_all(VideoFile(path))) == 1

    def test_a_film_is_not_held(self, film: Film) -> None:
        assert len(read_all(VideoFile(film(frames=5), hold_s=1.0))) == 5


class TestPictureFolder:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no such file"):
            PictureFolder(tmp_path / "none").open()

    def test_without_pictures(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(SourceError, match="holds no pictures"):
            PictureFolder(tmp_path).open()

    @pytest.mark.parametrize("loop", [False, True])
    def test_none_decodes(self, tmp_path: Path, loop: bool) -> None:
        (tmp_path / "a.jpg").write_text("x")
        (tmp_path / "b.png").touch()
        source = PictureFolder(tmp_path, loop=loop)
        source.open()
        with pytest.raises(SourceError, match="none of its 2 pictures"):
            source.read()

    def test_a_bad_one_is_named_and_skipped(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        save(tmp_path / "1.png", 10)
        (tmp_path / "2.png").write_text("x")
        save(tmp_path / "3.png", 30)
        with caplog.at_level(logging.WARNING):
            frames = read_all(PictureFolder(tmp_path, fps=2))
        assert [(frame.t, frame.image[0, 0, 0]) for frame in frames] == [(0.0, 10), (1.0, 30)]
        (message,) = (record.getMessage() for record in caplog.records)
        assert message.startswith("picture skipped file=2.png reason=")
        assert "is not a picture that ferd reads" in message

    def test_in_the_order_in_which_people_count(self, tmp_path: Path) -> None:
        for value in (10, 9, 2, 100):
            save(tmp_path / f"frame{value}.bmp", value)
        frames = read_all(PictureFolder(tmp_path, fps=10))
        assert [int(frame.image[0, 0, 0]) for frame in frames] == [2, 9, 10, 100]
        assert [frame.t for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3])

    def test_loops_and_logs_a_bad_one_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        save(tmp_path / "a.webp", 10)
        (tmp_path / "b.jpeg").write_text("x")
        source = PictureFolder(tmp_path, fps=1, loop=True)
        source.open()
        assert [source.read().t for _ in range(3)] == [0.0, 2.0, 4.0]
        assert len(caplog.records) == 1
        source.close()
        with pytest.raises(SourceError, match="not open"):
            source.read()

    def test_a_single_picture_is_looked_at_for_a_while(self, tmp_path: Path) -> None:
        frames = read_all(PictureFolder(save(tmp_path / "one.png", 50), fps=10, hold_s=1.0))
        assert [frame.t for frame in frames] == pytest.approx([0.1 * number for number in range(11)])

    def test_a_single_bad_picture_is_decoded_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = save(tmp_path / "one.png", 50)
        path.write_bytes(path.read_bytes()[:-40])
        tried: list[Path] = []

        def read(file: Path, limit: float) -> Image:
            tried.append(file)
            return read_picture(file, limit)

        monkeypatch.setattr("ferd.sources.file.read_picture", read)
        with pytest.raises(SourceError, match="broken or cut off"):
            read_all(PictureFolder(path, fps=10, hold_s=1.0))
        assert len(tried) == 1

    def test_a_single_picture(self, tmp_path: Path) -> None:
        (frame,) = read_all(PictureFolder(save(tmp_path / "one.png", 50)))
        assert frame.t == 0.0
        assert frame.image.shape == (48, 64, 3)


def test_natural_order() -> None:
    names = ["b1", "a10", "a2", "A1", "a", "10", "9x", "01", "1"]
    ordered = [path.name for path in natural_order(map(Path, names))]
    assert ordered == ["01", "1", "9x", "10", "a", "A1", "a2", "a10", "b1"]
