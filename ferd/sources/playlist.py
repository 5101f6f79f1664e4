"""HTTP Live Streaming (RFC 8216): a playlist and the pieces of video that it names.

FFmpeg reads them; each is fetched by ferd's own client, with its logins, time limits and bounds.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from ferd.errors import SourceError
from ferd.sources.http import HttpClient
from ferd.sources.http_file import Failure, HttpFile

FIRST_LINE = b"#EXTM3U"
MAX_LIST_BYTES = 1 << 20
"""Of a playlist: four hours in pieces of 2 s have 0.3 MB."""
MOST_FILES = 64
"""Playlists and pieces between two packets. FFmpeg begins with all qualities that the camera offers, which are few."""
LONGEST_WAIT_S, LATE_S = 1.0, 0.5
"""A picture further ahead, or later than this, follows a jump of the time stamps, or a wait for the next piece."""
OPTIONS = {"http_persistent": "0", "http_multiple": "0", "http_seekable": "0", "protocol_whitelist": "http,https"}
"""Of FFmpeg's demuxer, which is not to keep connections of its own."""


class Pace:
    """Lets pictures pass at the pace of their time stamps: a piece comes at once, and the next one seconds later."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def wait_s(self, stamp: float | None, now: float) -> float:
        """Return the seconds to wait before the picture of this time stamp. After a jump it counts from there."""
        if stamp is None:
            return 0.0
        wait = LONGEST_WAIT_S + 1 if self._offset is None else stamp + self._offset - now
        if not -LATE_S <= wait <= LONGEST_WAIT_S:
            self._offset = now - stamp
            return 0.0
        return max(0.0, wait)


class Playlist:
    """Opens what FFmpeg asks for.

    Args:
        url: of the playlist, with its login. Addresses in the playlist that are relative to it have the same one.
        shown: how it is called in messages, without secrets.
        verify: whether to check the servers' certificates.
        within_s: time limit for all that follows, up to the next `limit`.

    Attributes:
        pace: of its pictures.
    """

    def __init__(self, url: str, shown: str, *, verify: bool, within_s: float) -> None:
        self.url = url
        self.pace = Pace()
        self._shown, self._verify = shown, verify
        self._files: list[_Piece] = []
        self._asking: HttpClient | None = None
        self._opened = 0
        self._failure = Failure()
        self._interrupted = False
        self._by = time.monotonic() + within_s

    def open(self, url: str, _flags: int, options: Mapping[str, str]) -> HttpFile | io.BytesIO:
        """Ask for a playlist or a piece, as PyAV's `io_open`. Raises SourceError with the reason."""
        if self._failure.happened:
            return io.BytesIO()
        with self._failure.watched():
            return self._open(url, int(options.get("offset", 0)))

    def _open(self, url: str, first: int) -> HttpFile:
        self._check_address(url)
        self._opened += 1
        if self._opened > MOST_FILES:
            raise SourceError(f"{self._shown}: a playlist with more than {MOST_FILES} pieces without a picture")
        self._files = [file for file in self._files if not file.closed]
        self._asking = client = HttpClient(url, self._shown, password=None, verify=self._verify)
        if self._interrupted:
            raise SourceError(f"{self._shown}: is closed")
        try:
            reply = client.get(self._by - time.monotonic(), first=first)
        except BaseException:
            client.close()
            raise
        file = _Piece(client, reply, b"", self._shown, self._failure)
        self._files.append(file)
        return file

    def packet_arrived(self) -> None:
        """Count from here."""
        self._opened = 0
        for file in self._files:
            file.packet_arrived()

    def limit(self, seconds: float) -> None:
        """Let all further waits end in `seconds` from now."""
        self._by = time.monotonic() + seconds
        for file in self._files:
            file.limit(seconds)

    def interrupt(self) -> None:
        """End a wait, and refuse each further one. May be called from any thread."""
        self._interrupted = True
        asking = self._asking
        if asking is not None:
            asking.interrupt()
        for file in self._files:
            file.interrupt()

    def close(self) -> None:
        """Close all connections. Calling it twice does no harm."""
        for file in self._files:
            file.close()

    def _check_address(self, url: str) -> None:
        scheme = urlsplit(url).scheme.lower()
        if scheme.startswith("crypto"):
            raise SourceError(f"{self._shown}: an encrypted playlist, which ferd does not read. Switch encryption off")
        if scheme not in ("http", "https"):
            raise SourceError(f"{self._shown}: a playlist that names a {scheme or 'missing'} address: it is not opened")
        if scheme == "http" and self.url.lower().startswith("https:"):
            raise SourceError(f"{self._shown}: a playlist over https that names an http address: it is not opened")


class _Piece(HttpFile):
    """A piece of video or a playlist, which may be asked for again and again. FFmpeg reads it from start to end."""

    def seekable(self) -> bool:
        return False

    def _read(self, size: int) -> bytes:
        data = super()._read(size)
        if self.tell() > MAX_LIST_BYTES and self._reply.start.startswith(FIRST_LINE):
            raise SourceError(f"{self.name}: a playlist of more than {MAX_LIST_BYTES >> 20} MB")
        return data
