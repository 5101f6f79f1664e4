"""Video over HTTP, which FFmpeg reads through ferd's own client."""

from __future__ import annotations

from pathlib import Path

import pytest
from camera_tools import read_all
from video_server import Server, camera, write

from ferd.errors import SourceError


@pytest.mark.parametrize("name", ["a.ts", "fast.mp4", "late.mp4"])
def test_a_file(server: Server, tmp_path: Path, name: str) -> None:
    """Also one whose index stands at its end, so that FFmpeg has to seek."""
    write(tmp_path / name, **({"movflags": "faststart"} if name == "fast.mp4" else {}))
    assert (tmp_path / name).stat().st_size > 1_500_000
    found = read_all(camera(server, name), until=SourceError)
    assert [round(float(frame.image[60, 80].mean()) / 8) for frame in found] == list(range(30))
    assert name != "late.mp4" or any("bytes=" in line for line in server.asked)


def test_an_index_at_the_end_without_parts(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    write(tmp_path / "late.mp4")
    assert read_all(camera(server, "late.mp4"), until=SourceError) == []


def test_a_picture_without_an_end(server: Server) -> None:
    """A decoder keeps all of it: the memory that it takes is bounded."""
    source = camera(server, "endless")
    with pytest.raises(SourceError, match="sends more than 4 MB without a picture"):
        source.open()
    source.close()
