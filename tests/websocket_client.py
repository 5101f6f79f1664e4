"""A WebSocket client (RFC 6455) that can misbehave on purpose."""

from __future__ import annotations

import base64
import json
import os
import socket
from types import TracebackType
from typing import Any


class Rejected(Exception):  # noqa: N818
    """The server did not switch protocols; the text is its first line."""


class WebSocketClient:
    """A viewer: `take` receives and acknowledges a message, `receive` does not acknowledge it."""

    def __init__(self, port: int, path: str, headers: dict[str, str] | None = None) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), 20)
        self._file = self.line.makefile("rb")
        given = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.line.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        status = self._file.readline().decode().strip()
        if " 101 " not in f"{status} ":
            self.close()
            raise Rejected(status)
        while self._file.readline().strip():
            pass

    def take(self) -> tuple[dict[str, Any], bytes]:
        message = self.receive()
        self.line.sendall(b"\x81\x84\0\0\0\0next")
        return message

    def send(self, data: bytes | str) -> None:
        """Send a text or a binary message, in one frame."""
        body = data.encode() if isinstance(data, str) else data
        size = len(body)
        if size < 126:
            length = bytes([128 | size])
        else:
            length = b"\xfe" + size.to_bytes(2, "big") if size <= 0xFFFF else b"\xff" + size.to_bytes(8, "big")
        self.line.sendall(bytes([0x81 if isinstance(data, str) else 0x82]) + length + b"\0\0\0\0" + body)

    def hear(self) -> dict[str, Any]:
        """The JSON of the next text message; {"closed": code} when the server closes."""
        while True:
            kind, data = self._frame()
            if kind == 1:
                heard: dict[str, Any] = json.loads(data)
                return heard
            if kind == 8:
                return {"closed": int.from_bytes(data[:2], "big")}

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The JSON and the picture of the next message. EOFError when the server closes."""
        while True:
            kind, data = self._frame()
            if kind == 2:
                length = int.from_bytes(data[:4], "little")
                return json.loads(data[4 : 4 + length]), data[4 + length :]
            if kind == 8:
                raise EOFError(data)

    def _frame(self) -> tuple[int, bytes]:
        head = self._file.read(2)
        if len(head) < 2:
            raise EOFError
        length = head[1] & 127
        if length > 125:
            length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
        return head[0] & 15, self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self.line.close()

    def __enter__(self) -> WebSocketClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
