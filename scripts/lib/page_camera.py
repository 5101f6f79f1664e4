"""A network camera for scripts/bench-page: the demo scene as MJPEG over http, each picture with its number in it."""

from __future__ import annotations

import http.server
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection

import cv2
import numpy as np
from numpy.typing import NDArray

from ferd.sources.demo import DURATION_S, render

CELL, BITS = 8, 16
"""The number stands in the top left corner: a row of black and white cells of so many pixels."""
NOISE = 3.0
"""Standard deviation of the sensor's noise, in gray levels."""
SLOTS = 1 << BITS


def mark(image: NDArray[np.uint8], number: int) -> None:
    for bit in range(BITS):
        image[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0


def number_in(image: NDArray[np.uint8]) -> int:
    cells = image[:CELL, : BITS * CELL].reshape(CELL, BITS, CELL, -1).mean(axis=(0, 2, 3))
    return sum(1 << bit for bit in range(BITS) if cells[bit] > 127)


class PageCamera:
    """Serves in a process of its own. `sent`: by number, the wall clock when the picture was last put on its way."""

    def __init__(self, fps: float) -> None:
        self.sent = multiprocessing.Array("d", SLOTS, lock=False)
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_serve, args=(fps, self.sent, theirs), daemon=True)
        self._process.start()
        self.url = f"http://127.0.0.1:{ours.recv()}/stream"

    def close(self) -> None:
        self._process.terminate()
        self._process.join(5)


def _pictures(fps: float) -> list[bytes]:
    random = np.random.default_rng(1)
    grain = random.normal(0, NOISE, (8, 480, 640, 3)).astype(np.float32)
    made = []
    for number in range(round(DURATION_S * fps)):
        image = np.clip(render(number / fps).image + grain[number % 8], 0, 255).astype(np.uint8)
        mark(image, number)
        made.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    return made


def _serve(fps: float, sent: list[float], told: Connection) -> None:
    pictures = _pictures(fps)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            began = time.monotonic()
            for number in range(1 << 30):
                time.sleep(max(0.0, began + number / fps - time.monotonic()))
                data = pictures[number % len(pictures)]
                sent[number % len(pictures)] = time.time()
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                try:
                    self.wfile.write(head + data + b"\r\n")
                except OSError:
                    return

        def log_message(self, *_arguments: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.send(server.server_address[1])
    threading.Event().wait()
