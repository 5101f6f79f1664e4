"""A network camera that can be unplugged: the demo scene as MJPEG over HTTP, on a free loopback port."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2

from ferd.sources.demo import NEUTRAL_AT, render


class HttpCamera:
    """`unplug` ends all streams and refuses new ones; `plug` serves again on the same port.

    It shows the demo scene at the second `scene_s`, for ever, until another is set.
    """

    def __init__(self, fps: float = 10.0) -> None:
        self.scene_s = NEUTRAL_AT
        self._interval = 1 / fps
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._server: http.server.ThreadingHTTPServer | None = None
        self._gone = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/stream"

    def plug(self) -> None:
        self._gone = gone = threading.Event()
        camera, interval = self, self._interval

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                number = 0
                while not gone.wait(interval):
                    number += 1
                    try:
                        self.wfile.write(part(camera.scene_s, number))
                    except OSError:
                        return  # the reader went away

            def log_message(self, *_arguments: Any) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def unplug(self) -> None:
        self._gone.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def part(scene_s: float, number: int) -> bytes:
    """One picture of the stream; no two in a row are equal, or the camera would count as frozen."""
    image = render(scene_s).image
    image[:16, :16] = number % 256
    data = cv2.imencode(".jpg", image)[1].tobytes()
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n"


@contextmanager
def http_camera() -> Iterator[HttpCamera]:
    camera = HttpCamera()
    camera.plug()
    try:
        yield camera
    finally:
        camera.unplug()
