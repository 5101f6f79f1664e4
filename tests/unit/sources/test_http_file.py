"""Video over HTTP, which FFmpeg reads through ferd's own client."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
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


def test_joined_between_two_key_frames(server: Server, tmp_path: Path) -> None:
    """As relays let a viewer join: nothing can be decoded before the next key frame, here for 75 frames."""
    noise = np.random.default_rng(1)
    with av.open(str(tmp_path / "a.ts"), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"x264-params": "keyint=80:scenecut=0:log-level=none"}
        )
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 20_000_000
        frames = (noise.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(100))
        packets = [p for f in frames for p in stream.encode(av.VideoFrame.from_ndarray(f, format="bgr24"))]
        container.mux([*packets, *stream.encode()][5:])
    source = camera(server, "a.ts")
    assert 15 <= len(read_all(source, until=SourceError)) <= 25
