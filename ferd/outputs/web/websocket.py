"""One looker's end of a WebSocket, past what uvicorn does for each message: frames are made once for all who look.

A server's frames are not masked (RFC 6455, 5.3), so the same bytes go to everybody. uvicorn and wsproto still shake
hands, and take whatever comes but a plain answer: pings, closing, frames in pieces, nonsense.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EXTENSION = "ferd.line"
"""Under this name the scope's extensions hold the Line."""
BINARY, TEXT = 0x82, 0x81
"""First byte of a frame that is a whole message."""
SHORT = 125


def framed(message: bytes) -> bytes:
    """The message as one binary frame."""
    size = len(message)
    if size <= SHORT:
        head = bytes([BINARY, size])
    elif size < 1 << 16:
        head = bytes([BINARY, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([BINARY, 127]) + size.to_bytes(8, "big")
    return head + message


class WebSocketLine:
    """`send` never waits; who does not read is cut off by the doorkeeper. `on_answer`: called for each answer."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._whole = True
        self.on_answer: Callable[[], None] | None = None

    def send(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)

    def rest(self, data: bytes) -> bytes:
        """What of the data is left for wsproto, once the answers at its beginning were told."""
        while self._whole and data and self.on_answer is not None:
            size = _answer_size(data)
            if size:
                data = data[size:]
                self.on_answer()
            else:
                # From here on a frame may begin anywhere. A control frame that came alone leaves no doubt.
                self._whole = _is_one_frame(data)
                break
        return data


def _answer_size(data: bytes) -> int:
    """Bytes of the short text frame that the data begins with; 0 when it begins with anything else."""
    if len(data) < 6 or data[0] != TEXT or not 128 <= data[1] <= 128 + SHORT:
        return 0
    size = 6 + data[1] - 128
    return size if len(data) >= size else 0


def _is_one_frame(data: bytes) -> bool:
    return len(data) >= 6 and data[0] >= 128 and 128 <= data[1] <= 128 + SHORT and len(data) == 6 + data[1] - 128
