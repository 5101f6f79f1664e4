"""Network cameras: MJPEG and snapshots over HTTP, RTSP and other video. A password is never shown."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from ferd.credentials import first_line
from ferd.errors import PictureError, SourceError
from ferd.pictures import JPEG_START, MAX_MEGAPIXELS, read_header
from ferd.redaction import redact_address
from ferd.sources.connection_guard import ConnectionGuard
from ferd.sources.http import HttpClient, HttpReply, place_of
from ferd.sources.http_file import MAX_PACKET_BYTES, TOO_MUCH, HttpFile
from ferd.sources.jpeg import JpegSplitter, jpeg_frame
from ferd.sources.playlist import FIRST_LINE, Playlist
from ferd.sources.playlist import OPTIONS as PLAYLIST_OPTIONS
from ferd.sources.stall import FIRST_FRAME_S, FRAME_S
from ferd.sources.video import MOST_BROKEN, VideoError, VideoReader
from ferd.types import Frame

STILL_S = 30.0
"""A static scene may be the same, bit by bit, between two key frames of H.264 and H.265. They come every 1 to 10 s, and
from cameras that stretch them to save bandwidth every 20 s. Each JPEG carries new noise of the sensor."""
CLEANUP_S = 2.0
"""Added to the limits for opening: the source's own time-out is to end the call, not the supervisor."""
MOST_FPS = 100.0
"""A camera that sends faster is read no faster than this: the network slows it down."""
VIDEO_MEGAPIXELS = 9.0
"""Largest video of a network camera (4K has 8.3): a decoder keeps up to 17 pictures of that size."""
PLAYLISTS = frozenset(
    f"{of}/{name}" for of in ("application", "audio") for name in ("vnd.apple.mpegurl", "x-mpegurl", "mpegurl")
)
DASH = "application/dash+xml"
PROTOCOLS = "rtp,rtsp,udp,tcp,tls"
"""What FFmpeg may open for an address: never a file of this machine."""
RTSP_PORT, RTSPS_PORT = 554, 322
"""IANA's registry of service names; FFmpeg's too."""
PROBED_BYTES = 1 << 20
"""Of a video before its first picture is asked for; FFmpeg's own 5 MB are 5 s of most cameras."""
MANUAL = "Check address, user and password, and that the camera's stream is switched on"


class StreamCamera:
    """A network camera by its address. Frames carry the time at which they arrived, by `clock`.

    An http(s) address answers with MJPEG (multipart or not), with one JPEG, which is then asked for `fps` times a
    second, or with another video; the answer decides. `open_s` and `read_s`: limits in seconds for the first picture
    and for each further one. `password_file`: its first line is the password, instead of one in the address.
    """

    noisy = True

    def __init__(
        self,
        url: str,
        *,
        open_s: float = FIRST_FRAME_S,
        read_s: float = FRAME_S,
        fps: float = 15.0,
        password_file: Path | None = None,
        tls_verify: bool = True,
        max_megapixels: float = MAX_MEGAPIXELS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = redact_address(url)
        self.opening_s = open_s + read_s + CLEANUP_S
        self._url, self._limits_s = url, (open_s, read_s)
        self._interval = 1 / fps
        self._password_file, self._tls_verify = password_file, tls_verify
        self._max_megapixels = max_megapixels
        self._clock = clock
        self._client: HttpClient | None = None
        self._playlist: Playlist | None = None
        self._guard: ConnectionGuard | None = None
        self._reply: HttpReply | None = None
        self._video: VideoReader | None = None
        self._splitter = JpegSplitter()
        self._polls = False
        self._due = self._asked = self._open_by = -1e9
        self._in_time = False
        self._interrupted = threading.Event()

    @property
    def still_s(self) -> float:
        """Seconds for which the encoder of a video may repeat a static scene."""
        return STILL_S if self._video is not None else 0.0

    def open(self) -> None:
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def read(self) -> Frame:
        if self._video is not None:
            return self._read_video(self._video)
        if self._client is None or self._reply is None:
            raise SourceError(f"{self.name}: is not open")
        self._interrupted.wait(max(0.0, self._due - time.monotonic()))
        try:
            frame = self._read_jpeg(self._client)
        except PictureError as error:
            raise SourceError(f"{self.name}: {error}") from None
        self._due = time.monotonic() + 1 / MOST_FPS
        return frame

    def interrupt(self) -> None:
        """End a wait. Only that for a name or for the answer to a connection has its own time limit in FFmpeg."""
        self._interrupted.set()
        for waiting in (self._client, self._playlist, self._guard, self._video):
            if waiting is not None:
                waiting.interrupt()

    def close(self) -> None:
        opened = (self._video, self._client, self._playlist, self._guard)
        self._video = self._client = self._playlist = self._guard = None
        for one in opened:
            if one is not None:
                one.close()

    def _open(self) -> None:
        self._open_by = time.monotonic() + self._limits_s[0]
        password = (
            None if self._password_file is None else first_line("source_password_file", self._password_file, "password")
        )
        video: str | HttpFile | Playlist | None = self._url
        if self._url.lower().startswith(("http://", "https://")):
            video = self._open_http(password)
        if isinstance(video, str):
            video = with_password(video, password)
        if video is not None and not self._interrupted.is_set():
            self._video = self._open_video(video)

    # ---- JPEG over HTTP ----

    def _open_http(self, password: str | None) -> HttpFile | Playlist | None:
        """Ask for the address. Returns what is to be opened as a video where the answer is not JPEG, else None."""
        self._client = HttpClient(self._url, self.name, password=password, verify=self._tls_verify)
        reply = self._ask(self._client, self._limits_s[0])
        start = b""
        if reply.kind.startswith("image/"):
            if reply.kind not in ("image/jpeg", "image/jpg", "image/pjpeg"):
                raise SourceError(f"{self.name}: sends {reply.kind}, not JPEG. Ask the camera for JPEG")
            self._polls = True
        elif not reply.kind.startswith("multipart/"):
            with self._client.failures():
                data = reply.read()
                start = data.lstrip()
                while data and len(start) < len(JPEG_START):
                    data = reply.read()
                    start = (start + data).lstrip()
            if JPEG_START not in start and not start.startswith(b"--"):
                return self._other(reply, start, password)
        self._splitter.feed(start)
        return None

    def _other(self, reply: HttpReply, start: bytes, password: str | None) -> HttpFile | Playlist:
        """Return a video, or the playlist of one, for FFmpeg. Raises SourceError for a page."""
        assert self._client is not None
        if not start:
            raise SourceError(f"{self.name}: answers with nothing. {MANUAL}")
        if reply.kind == DASH:
            raise SourceError(f"{self.name}: answers with a DASH manifest. Ask the camera for HLS, RTSP or MJPEG")
        is_playlist = reply.kind in PLAYLISTS or start.startswith(FIRST_LINE)
        if not is_playlist and (
            reply.kind.startswith("text/") or reply.kind in ("application/json", "application/xml")
        ):
            raise SourceError(
                f"{self.name}: answers with a page ({reply.kind}), not with pictures. The address of the stream itself "
                "is needed: the camera's manual, or the browser's menu on the picture, shows it"
            )
        if not is_playlist:
            return HttpFile(self._client, reply, start, self.name)
        self._client.close()
        self._client = None
        url = self._with_login(reply.url, password)
        left_s = self._open_by - time.monotonic()
        self._playlist = Playlist(url, self.name, verify=self._tls_verify, within_s=left_s)
        return self._playlist

    def _with_login(self, url: str, password: str | None) -> str:
        """Return an address to which the camera may have redirected; with the login where it is its own server."""
        if place_of(url) != place_of(self._url):
            return url
        parts, login = urlsplit(url), urlsplit(self._url).netloc.rpartition("@")[0]
        if login and "@" not in parts.netloc:
            parts = parts._replace(netloc=f"{login}@{parts.netloc}")
        return with_password(urlunsplit(parts), password)

    def _ask(self, client: HttpClient, within_s: float) -> HttpReply:
        self._asked = time.monotonic()
        self._reply = client.get(within_s)
        return self._reply

    def _read_jpeg(self, client: HttpClient) -> Frame:
        by = self._open_by
        if self._in_time:
            by = time.monotonic() + self._limits_s[1] + (self._interval if self._polls else 0.0)
            client.limit(self._limits_s[1])
        while True:
            picture = self._splitter.next()
            captured_at = time.monotonic()
            if self._splitter.broken >= MOST_BROKEN:
                raise SourceError(f"{self.name}: delivers broken pictures. Check the network, or ask for smaller ones")
            if picture is None:
                self._wait_for_bytes(client, by)
                continue
            data, header = picture
            if min(header.width, header.height) < 16:  # one of another size may follow
                self._splitter.broken += 1
                continue
            self._in_time = True
            return jpeg_frame(self._clock(), data, header, captured_at=captured_at, max_megapixels=self._max_megapixels)

    def _wait_for_bytes(self, client: HttpClient, by: float) -> None:
        """Wait for bytes, of the next snapshot where one has ended. `by`: the moment by which a picture is due."""
        assert self._reply is not None
        with client.failures():
            data = self._reply.read()
        if data:
            self._splitter.feed(data)
        elif self._polls and not self._in_time:
            raise SourceError(f"{self.name}: {_no_picture(self._reply.start)}")
        elif not self._polls:
            raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
        else:
            if self._interrupted.wait(max(0.0, self._asked + self._interval - time.monotonic())):
                raise SourceError(f"{self.name}: is closed")
            left_s = by - time.monotonic()
            if left_s <= 0:  # one answer after the other, and none a picture
                raise SourceError(f"{self.name}: {_no_picture(self._reply.start)}")
            self._ask(client, min(left_s, self._limits_s[1]))

    # ---- video ----

    def _open_video(self, video: str | HttpFile | Playlist) -> VideoReader:
        watched: ConnectionGuard | HttpFile | Playlist
        # The frame rate is of no use in a live picture, and takes up to 1.4 s.
        options = {"fpsprobesize": "0", "probesize": str(PROBED_BYTES)}
        if isinstance(video, str):
            self._guard = watched = _watching(video)
            options |= {"protocol_whitelist": PROTOCOLS, "rtsp_transport": "tcp"}
            if self._tls_verify:
                options |= {"tls_verify": "1", "ca_file": ssl.get_default_verify_paths().cafile or ""}
        else:
            watched = video
            # FFmpeg opens nothing else.
            options |= {"protocol_whitelist": "data"} if isinstance(video, HttpFile) else PLAYLIST_OPTIONS
        try:
            return VideoReader(
                video,
                self.name,
                options={key: value for key, value in options.items() if value},
                limits_s=(max(0.0, self._open_by - time.monotonic()), self._limits_s[1]),
                max_megapixels=min(self._max_megapixels, VIDEO_MEGAPIXELS),
                packet_arrived=watched.packet_arrived,
            )
        except VideoError as error:
            self._check_guard()
            raise SourceError(
                f"{self.name}: does not answer with a video ({error.reason}). {MANUAL}, and whether `ffplay ADDRESS` "
                "shows it from this machine"
            ) from None

    def _time_of(self, stamp: float | None) -> float:
        """Return the time of a picture: now. Those of a playlist are held back to their own pace."""
        if self._playlist is not None:
            self._interrupted.wait(self._playlist.pace.wait_s(stamp, time.monotonic()))
        return self._clock()

    def _check_guard(self) -> None:
        """Raise SourceError where the camera was left because of what it sends."""
        if self._guard is not None and self._guard.exceeded:
            raise SourceError(f"{self.name}: {TOO_MUCH}")

    def _read_video(self, video: VideoReader) -> Frame:
        waiting = self._client or self._playlist
        if self._in_time and waiting is not None:
            waiting.limit(self._limits_s[1])
        try:
            frame = video.read(self._time_of, time.monotonic)
        except VideoError as error:
            self._check_guard()
            raise SourceError(
                f"{self.name}: stopped delivering pictures ({error.reason}). Check cable, power or network"
            ) from None
        if frame is None:
            self._check_guard()
            raise SourceError(f"{self.name}: stopped delivering pictures. Check cable, power or network")
        self._in_time = True
        return frame


def _watching(url: str) -> ConnectionGuard:
    """Watch the connection that FFmpeg is about to make."""
    parts = urlsplit(url)
    port = parts.port or (RTSPS_PORT if parts.scheme.lower() == "rtsps" else RTSP_PORT)
    guard = ConnectionGuard(parts.hostname or "", port, MAX_PACKET_BYTES)
    guard.start()
    return guard


def _no_picture(start: bytes) -> str:
    """Explain an answer that is called a JPEG and holds none, by its first bytes."""
    if not start:
        return f"answers with nothing. {MANUAL}"
    if start.startswith(JPEG_START):
        return "sends a JPEG that is cut off. Check the network, or ask the camera for smaller pictures"
    with contextlib.suppress(PictureError):
        return f"sends {read_header(start.ljust(4096, bytes(1))).kind}, not JPEG. Ask the camera for JPEG"
    return f"answers with something that is no JPEG. {MANUAL}"


def with_password(url: str, password: str | None) -> str:
    """Return the address with this password in place of its own, encoded."""
    if password is None:
        return url
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))
