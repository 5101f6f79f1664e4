"""A server of videos and playlists over HTTP, for the tests of the sources."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from ferd.sources.stream import StreamCamera

PLAYLIST = "application/vnd.apple.mpegurl"
ENDLESS = b"\0\0\0\1\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\xc8\0\0\0\1\x68\xce\x3c\x80\0\0\0\1\x65"
"""The start of H.264 whose first picture does not end."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of a folder, with parts where it has `ranges`; /endless and …/endless.m3u8 do not end."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        self.server.logins.append(self.headers.get("Authorization", ""))
        if self.server.wants_login and not self.server.logins[-1]:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if to := self.server.moved.get(self.path):
            self.send_response(302)
            self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        try:
            if self.path == "/endless":
                self._without_end("video/h264", ENDLESS, b"\x88" * 65_536)
            elif self.path.endswith("/endless.m3u8"):
                self._without_end(PLAYLIST, b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n", b"#EXTINF:1,\na.ts\n" * 1000)
            else:
                self._file((self.server.folder / self.path[1:].partition("?")[0]).read_bytes())
        except OSError:
            return  # the reader went away

    def _without_end(self, kind: str, start: bytes, rest: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(start)
        while True:
            self.wfile.write(rest)

    def _file(self, data: bytes) -> None:
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.server.ranges else None
        first = int(part[1]) if part else 0
        self.send_response(206 if part else 200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        kinds = {".mpd": "application/dash+xml", ".m3u8": PLAYLIST, ".mp4": "video/mp4", ".ts": "video/mp2t"}
        self.send_header("Content-Type", kinds[Path(self.path.partition("?")[0]).suffix])
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.wfile.write(data[first:])

    def log_message(self, format: str, *args: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    folder: Path
    ranges = True
    asked: list[str]
    logins: list[str]
    wants_login = False
    moved: dict[str, str]


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve the files of a folder."""
    server = Server(("127.0.0.1", 0), Handler)
    server.folder, server.asked, server.logins, server.moved = folder, [], [], {}
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


def camera(server: Server, path: str, login: str = "") -> StreamCamera:
    return StreamCamera(f"http://{login}127.0.0.1:{server.server_address[1]}/{path}", open_s=20, read_s=20)
