from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from camera_tools import gray_picture, wait_for

from ferd.errors import SourceError
from ferd.sources.stall import Timing
from ferd.sources.stream import StreamCamera
from ferd.sources.supervisor import CameraHandle


class MjpegHandler(http.server.BaseHTTPRequestHandler):
    """Serves /mjpeg endlessly; /stops and /stalls send 30 images. Of /torn every other image is broken, of /noise all
    after the first; everything else is 404.
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
    @pytest.mark.parametrize("url", ["http://me:geheim@127.0.0.1:1/x", "rtsp://me:geheim@127.0.0.1:1/x"])
    def test_nobody_there(self, url: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(url)
        with pytest.raises(SourceError, match="Connection refused") as caught:
            source.open()
        seen = capfd.readouterr()
        assert "geheim" not in str(caught.value) + seen.err + seen.out

    def test_not_found(self, address: str) -> None:
        with pytest.raises(SourceError, match=r"no such address \(404\)"):
            StreamCamera(f"http://{address}/other").open()


class TestStreams:
    def test_images_with_the_time_of_their_arrival(self, address: str) -> None:
        times = iter(range(100))
        source = StreamCamera(f"http://{address}/mjpeg", clock=lambda: float(next(times)))
        source.open()
        frames = [source.read() for _ in range(5)]
        source.close()
        assert [frame.t for frame in frames] == [0, 1, 2, 3, 4]
        assert all(frame.image.shape == (120, 160, 3) for frame in frames)

    def test_when_a_picture_was_captured(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/mjpeg")
        source.open()
        before = time.monotonic()
        captured_at = source.read().captured_at
        source.close()
        assert captured_at is not None
        assert before <= captured_at <= time.monotonic()

    def test_a_jpeg_comes_with_its_picture(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/mjpeg")
        source.open()
        frame = source.read()
        source.close()
        assert frame.jpeg is not None
        assert (cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) == frame.image).all()

    def test_a_broken_image_is_skipped(self, address: str) -> None:
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

    def test_a_stall_is_no_hang(self, address: str) -> None:
        """FFmpeg's time-out and the supervisor's limit are one: the read returns, and its descriptors are closed."""
        timing = Timing(frame_s=0.3, shortest_wait_s=0.01, longest_wait_s=0.02)
        camera = CameraHandle(
            "stream",
            lambda: StreamCamera(f"http://{address}/stalls", read_s=timing.frame_s),
            threading.Event(),
            timing=timing,
        )
        camera.start()
        wait_for(lambda: camera.report().failures >= 4)
        report = camera.report()
        camera.stop()
        assert (report.hung, report.hanging_since) == (0, None)

    def test_a_stall_is_an_error(self, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(f"http://{address}/stalls?token=geheim", read_s=0.5)
        source.open()
        with pytest.raises(SourceError, match="stopped delivering"):
            read_many(source)
        source.close()
        assert capfd.readouterr().err == ""


def test_the_name_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = StreamCamera("rtsp://me:geheim@cam/1")
    assert source.name == "rtsp://me:***@cam/1"
    with pytest.raises(SourceError, match="is not open"):
        source.read()
    source.close()
    assert "geheim" not in caplog.text
