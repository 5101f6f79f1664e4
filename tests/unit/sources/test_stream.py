from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.config.source import redact
from ferd.errors import SourceError
from ferd.sources.stream import StreamCamera


class MjpegHandler(http.server.BaseHTTPRequestHandler):
    """/mjpeg streams for ever, /stops and /stalls 30 pictures; /torn: every other picture is none, /noise: no more is
    one after the first; all else is 404.
    """

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in ("/mjpeg", "/stops", "/stalls", "/torn", "/noise"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            self._stream(path)
        except OSError:
            return  # the reader went away

    def _stream(self, path: str) -> None:
        count = 0
        while not self.server.stop.is_set() and not (path == "/stops" and count == 30):
            if path == "/stalls" and count == 30:
                self.server.stop.wait(60)
                return
            data = cv2.imencode(".jpg", gray_picture(count % 200, 160, 120))[1].tobytes()
            if (path == "/torn" and count % 2) or (path == "/noise" and count > 0):
                data = b"\xff\xd8" + bytes(500)
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
            self.wfile.write(data + b"\r\n")
            count += 1
            time.sleep(0.005)

    def log_message(self, format: str, *args: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    stop: threading.Event


@pytest.fixture
def address() -> Iterator[str]:
    """host:port of an http camera."""
    server = Server(("127.0.0.1", 0), MjpegHandler)
    server.stop = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def read_many(source: StreamCamera) -> None:
    for _ in range(100):
        source.read()


class TestDoesNotOpen:
    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "rtsp://me:geheim@127.0.0.1:1/x"])
    def test_nobody_there(self, url: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(url)
        with pytest.raises(SourceError, match="does not answer with a video") as caught:
            source.open()
        seen = capfd.readouterr()
        assert "geheim" not in str(caught.value) + seen.err + seen.out

    def test_not_found(self, address: str) -> None:
        with pytest.raises(SourceError, match="does not answer with a video"):
            StreamCamera(f"http://{address}/other").open()


class TestStreams:
    def test_pictures_with_the_time_they_came(self, address: str) -> None:
        times = iter(range(100))
        source = StreamCamera(f"http://{address}/mjpeg", clock=lambda: float(next(times)))
        source.open()
        frames = [source.read() for _ in range(5)]
        source.close()
        assert [frame.t for frame in frames] == [0, 1, 2, 3, 4]
        assert all(frame.image.shape == (120, 160, 3) for frame in frames)

    def test_a_jpeg_comes_with_its_picture(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/mjpeg")
        source.open()
        frame = source.read()
        source.close()
        assert frame.jpeg is not None
        assert (cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) == frame.image).all()

    def test_a_broken_picture_is_passed_over(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/torn")
        source.open()
        assert all(source.read().image.shape == (120, 160, 3) for _ in range(5))
        source.close()

    def test_nothing_but_broken_pictures_is_an_error(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/noise")
        source.open()
        with pytest.raises(SourceError, match="broken pictures"):
            read_many(source)
        source.close()

    def test_the_end_is_an_error(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/stops")
        source.open()
        with pytest.raises(SourceError, match="stopped delivering"):
            read_many(source)
        source.close()

    def test_a_stall_is_an_error(self, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(f"http://{address}/stalls?token=geheim", read_s=0.5)
        source.open()
        with pytest.raises(SourceError, match=r"stopped delivering|no picture for"):
            read_many(source)
        source.close()
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://me:geheim@cam:554/1", "rtsp://me:***@cam:554/1"),
        ("rtsp://me@cam/1", "rtsp://me@cam/1"),
        ("rtsp://me:ge/h@e:im@cam/1", "rtsp://me:***@cam/1"),
        ("rtsp://:geheim@[fe80::1]:554/1", "rtsp://:***@[fe80::1]:554/1"),
        ("http://cam/v?user=me&password=geheim&size=2", "http://cam/v?user=me&password=***&size=2"),
        ("http://cam/v?size=2&access_token=geheim", "http://cam/v?size=2&access_token=***"),
        ("http://cam/v?pwd=geheim#x", "http://cam/v?pwd=***#x"),
        ("rtsp://cam/user=admin&password=geheim&channel=1", "rtsp://cam/user=admin&password=***&channel=1"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_the_name_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = StreamCamera("rtsp://me:geheim@cam/1")
    assert source.name == "rtsp://me:***@cam/1"
    with pytest.raises(SourceError, match="is not open"):
        source.read()
    source.close()
    assert "geheim" not in caplog.text
