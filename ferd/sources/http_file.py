"""The body of an HTTP answer as a file that FFmpeg reads: with ferd's own logins, time limits and bounds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ferd.errors import SourceError
from ferd.sources.http import HttpClient, HttpReply

MAX_PACKET_BYTES = 4 << 20
"""Between two packets. A key frame of 4K has 1 to 3 MB. Of an endless one FFmpeg keeps two to four times as much."""
TOO_MUCH = f"sends more than {MAX_PACKET_BYTES >> 20} MB without a picture"
NEAR = 1 << 20
"""Bytes that are passed over rather than asked for again."""


class Failure:
    """Whether reading failed: after that all is empty. FFmpeg goes on trying, and PyAV prints every error but one."""

    def __init__(self) -> None:
        self.happened = False

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note an error, and let it pass."""
        try:
            yield
        except SourceError:
            self.happened = True
            raise


class HttpFile:
    """Reads an answer; where the server serves parts of it, FFmpeg may seek.

    A decoder that waits for the end of a picture keeps all bytes before it, so at most 4 MB may come between two
    packets. `read` raises SourceError with the reason.
    """

    def __init__(
        self, client: HttpClient, reply: HttpReply, start: bytes, shown: str, failure: Failure | None = None
    ) -> None:
        """`failure`: of all files that are read together."""
        self.name = shown
        self._client, self._reply, self._start = client, reply, start
        self._at = self._since_packet = 0
        self._failure = failure or Failure()
        self.closed = False

    def packet_arrived(self) -> None:
        """Count from here."""
        self._since_packet = 0

    def limit(self, seconds: float) -> None:
        """Let all further waits end in `seconds` from now."""
        self._client.limit(seconds)

    def interrupt(self) -> None:
        """End a wait. May be called from any thread."""
        self._client.interrupt()

    def close(self) -> None:
        """Close the connection. Calling it twice does no harm."""
        self.closed = True
        self._client.close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._reply.is_seekable

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        """Wait for at most `size` bytes; b"" at the end."""
        if self._failure.happened:
            return b""
        with self._failure.watched():
            return self._read(size)

    def _read(self, size: int) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
        elif self._reply.length is not None and self._at >= self._reply.length:
            return b""
        else:
            with self._client.failures():
                data = self._reply.read(size)
        self._at += len(data)
        self._since_packet += len(data)
        if self._since_packet > MAX_PACKET_BYTES:
            raise SourceError(f"{self.name}: {TOO_MUCH}")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which the server is asked for."""
        length = self._reply.length
        assert length is not None
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: length}[whence]
        while 0 < at - self._at <= NEAR and self.read(at - self._at):
            continue
        if at != self._at:
            self._at, self._start = at, b""
            if at < length:
                self._client.close()
                with self._failure.watched():
                    first, self._reply = self._reply, self._client.get(first=at)
                self._reply.length, self._reply.is_seekable = first.length, True
        return self._at
