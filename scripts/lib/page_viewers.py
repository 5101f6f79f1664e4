"""Viewers for scripts/bench-page: they receive and acknowledge as the page in a browser does."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import selectors
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

import cv2
import numpy as np
from page_camera import number_in

MASK = b"\x5a\xa5\x3c\xc3"
TEXT, BINARY, PING, PONG = 1, 2, 9, 10  # RFC 6455, 11.8


def masked(text: bytes, kind: int = TEXT) -> bytes:
    return bytes([0x80 | kind, 0x80 | len(text)]) + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(text))


NEXT = masked(b"next")


class Viewers:
    """Run `count` viewers in a process of their own. `close` returns what they received."""

    def __init__(self, port: int, count: int, camera: str, sent: Sequence[float] | None) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._end = multiprocessing.Event()
        arguments = (port, count, camera, sent, self._end, theirs)
        self._process = multiprocessing.Process(target=_watch, args=arguments, daemon=True)
        self._process.start()
        self._ours.recv()

    def close(self) -> dict[str, Any]:
        self._end.set()
        seen: dict[str, Any] = self._ours.recv()
        self._process.join(10)
        return seen


def connect(port: int, path: str) -> socket.socket:
    """Open a WebSocket and read the answer to the handshake."""
    line = socket.create_connection(("127.0.0.1", port), 20)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]  # as Chromium requests
    line.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += line.recv(1)
    if b" 101 " not in answer:
        raise ConnectionError(answer.decode())
    return line


class _Viewer:
    def __init__(self, line: socket.socket) -> None:
        self.line, self.data = line, bytearray()

    def messages(self) -> list[bytes]:
        got = self.line.recv(1 << 18)
        if not got:
            raise EOFError("the page closed the connection")
        self.data += got
        found = []
        while len(self.data) >= 2:
            length, start = self.data[1] & 127, 2
            if length > 125:
                start = 4 if length == 126 else 10
                length = int.from_bytes(self.data[2:start], "big")
            if len(self.data) < start + length:
                break
            if self.data[0] & 15 == BINARY:
                found.append(bytes(self.data[start : start + length]))
            elif self.data[0] & 15 == PING:  # without an answer the server closes the connection
                self.line.sendall(masked(bytes(self.data[start : start + length]), PONG))
            del self.data[: start + length]
        return found


def _watch(port: int, count: int, camera: str, sent: Sequence[float] | None, end: Event, ready: Connection) -> None:
    viewers = [_Viewer(connect(port, f"/api/live?camera={camera}")) for _ in range(count)]
    selector = selectors.DefaultSelector()
    for viewer in viewers:
        selector.register(viewer.line, selectors.EVENT_READ, viewer)
    ready.send("ready")
    began, pictures, bytes_, behind = time.monotonic(), 0, 0, []
    while not end.is_set():
        for key, _ in selector.select(0.5):
            viewer: _Viewer = key.data
            for message in viewer.messages():
                now = time.time()
                viewer.line.sendall(NEXT)
                length = int.from_bytes(message[:4], "little")
                if len(message) <= 4 + length:
                    continue
                pictures += 1
                bytes_ += len(message)
                if viewer is viewers[0]:
                    behind.append(_behind(message, length, now, sent))
    took = time.monotonic() - began
    for viewer in viewers:
        viewer.line.close()
    ready.send({"rate": pictures / count / took, "kb": bytes_ / max(1, pictures) / 1000, "behind_ms": behind})


def _behind(message: bytes, length: int, now: float, sent: Sequence[float] | None) -> float:
    """Milliseconds since the camera sent the picture; for another source, since ferd analysed it."""
    if sent is None:
        return 1000 * (now - float(json.loads(message[4 : 4 + length])["wall"]))
    image = cv2.imdecode(np.frombuffer(message, np.uint8, offset=4 + length), cv2.IMREAD_COLOR)
    return 1000 * (now - sent[number_in(image)])
