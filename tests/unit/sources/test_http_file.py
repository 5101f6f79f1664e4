"""Video over HTTP, which FFmpeg reads through ferd's own client."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from camera_tools import read_all

from ferd.errors import SourceError
from ferd.sources.stream import StreamCamera

ENDLESS = b"\0\0\0\1\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\xc8\0\0\0\1\x68\xce\x3c\x80\0\0\0\1\x65"
"""The start of H.264 whose first picture does not end."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of a folder, with parts where it has `ranges`; /endless is a picture without an end."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        try:
            self._endless() if self.path == "/endless" else self._file(
                (self.server.folder / self.path[1:]).read_bytes()
            )
        except OSError:
            return  # the reader went away

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/h264")
        self.end_headers()
        self.wfile.write(ENDLESS)
        while True:
            self.wfile.write(b"\x88" * 65_536)

    def _file(self, data: bytes) -> None:
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.server.ranges else None
        first = int(part[1]) if part else 0
        self.send_response(206 if part else 200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        kinds = {".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4", ".ts": "video/mp2t"}
        self.send_header("Content-Type", kinds[Path(self.path).suffix])
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:])

    def log_message(self, format: str, *args: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    folder: Path
    ranges = True
    asked: list[str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.folder, server.asked = tmp_path, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def write(path: Path, frames: int = 30, **options: str) -> None:
    """Write a video of noise whose upper left corner becomes lighter."""
    noise = np.random.default_rng(1)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 20_000_000
        for number in range(frames):
            image = noise.integers(0, 255, (240, 320, 3), np.uint8)
            image[:120, :160] = number * 8
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def camera(server: Server, path: str) -> StreamCamera:
    return StreamCamera(f"http://127.0.0.1:{server.server_address[1]}/{path}", open_s=20, read_s=20)


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
    with pytest.raises(SourceError, match="sends more than 8 MB without a picture"):
        source.open()
    source.close()


def test_a_playlist(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "a.ts", 20)
    lines = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(lines)
    assert len(read_all(camera(server, "list.m3u8"), until=SourceError)) == 20
