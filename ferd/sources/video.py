"""Read video (files, RTSP, video over HTTP) through PyAV, as it is meant to be seen.

Interlaced video is deinterlaced, pixels become square, rotation and mirroring in the file's metadata are applied,
limited range becomes full range. Gray is the luma plane; colours are made only when they are asked for.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from ferd.errors import PictureError, SourceError
from ferd.extras import how_to_add
from ferd.pictures import MAX_MEGAPIXELS, PictureHeader, full_range, jpeg_header
from ferd.sources.base import SMALLEST_SIDE
from ferd.sources.http_file import HttpFile
from ferd.sources.jpeg import jpeg_frame
from ferd.sources.playlist import Playlist
from ferd.types import Deferred, Frame, Image

MISSING = (
    "video needs PyAV, which is not installed here: `{command}`. "
    "MJPEG and snapshot addresses, USB and Pi cameras and pictures work without it"
)
OLDEST_PYAV = (17, 1)
"""14.0 to 17.0 end the whole process when they open a MPEG program stream with options."""
MOST_BROKEN = 30
"""Broken pictures in a row after which a recorded video counts as failed."""
_LUMA_FIRST = frozenset({"gray", "nv12", "nv21", "nv16", *(f"yuv{j}{n}p" for j in ("", "j") for n in (420, 422, 444))})
"""Pixel formats with 8 bits whose first plane is the luma."""
_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG."""
SQUARE = 0.01
"""Pixels that deviate from a square by less than this are left as they are."""
MOST_STRETCH = 10.0


SMALL = 1280 * 720
"""Pixels of a picture up to which one thread decodes whole frames. Several cost more and answer later: H.264 of 640x480
takes 1.3 ms of CPU a frame in one thread and 2.5 in two."""
DECODER_THREADS = 2
"""Each thread for whole frames holds one more: 13 MB at 1920x1080."""


class _Picture(NamedTuple):
    """What FFmpeg gave: its time stamp in seconds (None where it has none), and a JPEG or a frame of PyAV."""

    stamp: float | None
    captured_at: float | None
    content: Any


class VideoReader:
    """Opens `address` when it is made and yields its pictures, in order.

    Args:
        address: a path, a URL, a file of which FFmpeg reads, or a playlist.
        shown: how it is called in messages, without secrets.
        options: of FFmpeg's demuxer and protocol.
        limits_s: time limits for all of opening, up to the first picture, and for each further picture; None for files.
        packet_arrived: called with each packet.

    Raises:
        SourceError: PyAV is not installed, or the address holds no video. `VideoError` says what FFmpeg answered.
    """

    def __init__(
        self,
        address: str | HttpFile | Playlist,
        shown: str,
        *,
        options: Mapping[str, str],
        limits_s: tuple[float, float] | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
        packet_arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._shown = shown
        self._av = pyav(shown)
        self._container: Any = None
        self._interrupted = self._any_read = False
        self._packet_arrived = packet_arrived
        open_s, self._read_s = limits_s or (math.inf, math.inf)
        self._by = time.monotonic() + open_s
        timeout = None if limits_s is None else (_Left(self._by), self._read_s)
        try:
            self._container = self._open(address, options, timeout)
            self._stream = self._first_video()
            context = self._stream.codec_context
            self._check_size(context.width, context.height, max_megapixels)
            # A second bound: the size may change in the middle.
            context.options = {"max_pixels": str(int(max_megapixels * 1e6))}
            self._jpeg = context.name == "mjpeg" and self._aspect() is None
            # Threads for whole frames answer late: whether a Motion JPEG is turned is asked of its first picture.
            is_small = 0 < context.width * context.height <= SMALL
            context.thread_type = "SLICE" if self._jpeg or is_small else "AUTO"
            context.thread_count = DECODER_THREADS
        except self._av.FFmpegError as error:
            self.close()
            # Some of its formats call a wait that its time limit ended "invalid data".
            raise VideoError(shown, LATE if time.monotonic() >= self._by else _why(error)) from None
        except BaseException:
            self.close()
            raise
        self._change_known = False
        self._size = (context.height, context.width)
        rate = self._stream.average_rate
        self.fps = float(rate) if rate else None
        self._start = float((self._stream.start_time or 0) * (self._stream.time_base or 0))
        self._view: _View | None = None
        self._deinterlacer: _Deinterlacer | None = None
        self._jpeg_header: PictureHeader
        self._arrived: Callable[[], float | None]
        self._pictures = self._read()

    def read(self, time_of: Callable[[float | None], float], captured_at: Callable[[], float | None]) -> Frame | None:
        """Return the next frame, None at the end.

        `time_of`: makes its time of the time stamp in seconds (None where it has none). `captured_at`: called when the
        picture arrived, before it is decoded.

        Raises:
            VideoError: FFmpeg reports a failure, or nothing within the limit.
        """
        self._arrived = captured_at
        if self._any_read:
            self._by = time.monotonic() + self._read_s
        try:
            picture = next(self._pictures, None)
        except self._av.FFmpegError as error:
            raise VideoError(self._shown, LATE if time.monotonic() >= self._by else _why(error)) from None
        if picture is None:
            return None
        self._any_read = True
        t = time_of(None if picture.stamp is None else picture.stamp - self._start)
        if isinstance(picture.content, bytes):
            return jpeg_frame(t, picture.content, self._jpeg_header, captured_at=picture.captured_at)
        return self._frame(t, picture.captured_at, picture.content)

    def interrupt(self) -> None:
        """End a read with the next packet, or at the time limit of a read. May be called from any thread."""
        self._interrupted = True

    def close(self) -> None:
        """Close the file or connection. Calling it twice does no harm."""
        container, self._container = self._container, None
        if container is not None:
            self._deinterlacer = None
            container.close()

    def _open(self, address: str | HttpFile | Playlist, options: Mapping[str, str], timeout: Any) -> Any:
        given: dict[str, Any] = {"options": dict(options), "timeout": timeout}
        if isinstance(address, Playlist):
            return self._av.open(address.url, format="hls", io_open=address.open, **given)
        return self._av.open(address, **given)

    def _first_video(self) -> Any:
        streams = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not streams:
            raise SourceError(f"{self._shown}: holds no video (sound only?)")
        return streams[0]

    def _check_size(self, width: int, height: int, max_megapixels: float) -> None:
        if width * height > max_megapixels * 1e6:
            raise SourceError(
                f"{self._shown}: a video of {width}x{height} pixels, more than the limit of {max_megapixels:g} "
                "megapixels (max_megapixels)"
            )

    def _aspect(self) -> float | None:
        """Width of a pixel divided by its height; None where it is square, or not said."""
        ratio = self._stream.sample_aspect_ratio
        value = float(ratio) if ratio else 1.0
        plausible = 1 / MOST_STRETCH < value < MOST_STRETCH
        return value if plausible and abs(value - 1) > SQUARE else None

    def _read(self) -> Iterator[_Picture]:
        broken = 0
        for packet in self._packets():
            captured_at = self._arrived()
            if self._jpeg and packet.size:
                data = bytes(packet)
                if self._is_whole(data) and not self._is_changed(packet):
                    yield _Picture(packet.pts and float(packet.pts * packet.time_base), captured_at, data)
                    continue
            try:
                frames = packet.decode()
            except self._av.error.InvalidDataError:
                broken += 1
                # A live one that was joined between two key frames has a time limit of its own.
                if broken >= MOST_BROKEN and self._by == math.inf:
                    raise
                continue
            for frame in frames:
                broken = 0
                for whole in self._whole(frame):
                    yield _Picture(whole.time, captured_at, whole)
        if self._deinterlacer is not None:
            for whole in self._deinterlacer.rest():
                yield _Picture(whole.time, None, whole)

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the video, as long as the next picture is not overdue."""
        is_live = self._by < math.inf
        # All streams of a live one: a camera that sends nothing but sound would be waited for without end.
        for packet in self._container.demux() if is_live else self._container.demux(self._stream):
            if self._interrupted or time.monotonic() > self._by:
                raise VideoError(self._shown, "no complete picture in time")
            self._packet_arrived()
            if packet.stream_index == self._stream.index:
                yield packet

    def _is_whole(self, data: bytes) -> bool:
        """Whether a packet is one JPEG of the video's size: of interlaced Motion JPEG it holds two, one for a field."""
        with contextlib.suppress(PictureError):
            header = jpeg_header(data)
            if header is not None and (header.height, header.width) == self._size:
                self._jpeg_header = header
                return True
        return False

    def _is_changed(self, packet: Any) -> bool:
        """Whether a JPEG is not what is to be seen: its container turns or mirrors it, or its range is limited.

        Only a decoded picture tells. Each packet of Motion JPEG can be decoded by itself, and so again.
        """
        if not self._change_known:
            with contextlib.suppress(self._av.error.InvalidDataError):
                for frame in packet.decode():
                    self._change_known = True
                    self._jpeg = _display_matrix(frame) in (None, (1, 0, 0, 1)) and _is_full_range(frame)
        return not self._jpeg

    def _whole(self, raw: Any) -> Iterator[Any]:
        """Pass progressive frames on; deinterlace the others, and all that follow."""
        if self._deinterlacer is None:
            if not raw.interlaced_frame:
                yield raw
                return
            self._deinterlacer = _Deinterlacer(self._av, self._stream)
        yield from self._deinterlacer(raw)

    def _frame(self, t: float, captured_at: float | None, raw: Any) -> Frame:
        size = (raw.height, raw.width)
        if self._view is None or self._view.stored != size:
            self._view = _View(size, self._aspect(), _display_matrix(raw))
        view = self._view
        if min(view.shape) < SMALLEST_SIDE:
            raise SourceError(f"{self._shown}: a video of {raw.width}x{raw.height} pixels shows no face")
        image = Deferred(view.shape, lambda: view(_plane(raw.reformat(format="bgr24"), 3)))
        return Frame(t, image, gray=Deferred(view.shape, lambda: view(_luma(raw))), captured_at=captured_at)


class VideoError(SourceError):
    """FFmpeg could not open or read a video, for `reason`, which holds no address: FFmpeg's own text does."""

    def __init__(self, shown: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{shown}: {reason}")


def _why(error: Any) -> str:
    """Explain an exception of FFmpeg without its text, which contains the address with its password."""
    return _REASONS.get(type(error).__name__) or str(error.strerror)


class _Left:
    """The seconds up to a moment, as a number that PyAV asks for before each step of opening."""

    def __init__(self, by: float) -> None:
        self._by = by

    def __float__(self) -> float:
        return max(0.0, self._by - time.monotonic())


LATE = "no answer in time"
_REASONS = {
    "ExitError": LATE,  # FFmpeg's "Immediate exit requested": the time limit of PyAV
    "TimeoutError": LATE,
    "HTTPUnauthorizedError": "user or password is wrong (401)",
    "HTTPNotFoundError": "no such address (404)",
    "InvalidDataError": "not a video, or broken",
}
"""What PyAV's errors mean, where FFmpeg's own words do not say it."""


def pyav(shown: str) -> Any:
    """Import PyAV when a video is read and not before: it costs 19 MB of memory. Raises SourceError without it."""
    try:
        import av
        import av.filter
    except ImportError as error:
        reason = MISSING.format(command=how_to_add("video")) if error.name == "av" else f"PyAV does not load ({error})"
        raise SourceError(f"{shown}: {reason}") from None
    if tuple(int(part) for part in av.__version__.split(".")[:2]) < OLDEST_PYAV:
        least = ".".join(map(str, OLDEST_PYAV))
        raise SourceError(f"{shown}: PyAV {av.__version__} is too old, {least} is needed: `{how_to_add('video')}`")
    return av


class _View:
    """Makes a stored image into what is to be seen: square pixels, turned, mirrored.

    `shape`: height and width of the result.
    """

    def __init__(self, stored: tuple[int, int], aspect: float | None, matrix: tuple[int, int, int, int] | None) -> None:
        self.stored = stored
        height, width = stored
        self._wide = None if aspect is None else (max(1, round(width * aspect)), height)
        a, b, c, d = matrix or (1, 0, 0, 1)
        # x' = a x + c y, y' = b x + d y: where a is 0, rows become columns.
        self._transposed = a == 0
        self._flips = [axis for axis, by in ((1, c if a == 0 else a), (0, b if a == 0 else d)) if by < 0]
        shown = (height, width) if self._wide is None else self._wide[::-1]
        self.shape = shown[::-1] if self._transposed else shown

    def __call__(self, image: Image) -> Image:
        if self._wide is not None:
            shrinks = self._wide[0] < image.shape[1]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, self._wide, interpolation=how), np.uint8)
        if self._transposed:
            image = np.asarray(cv2.transpose(image), np.uint8)
        for axis in self._flips:
            image = np.asarray(cv2.flip(image, axis), np.uint8)
        return image


class _Deinterlacer:
    """FFmpeg's yadif: makes one whole frame of each interlaced one, one frame late; passes progressive frames on."""

    def __init__(self, av: Any, stream: Any) -> None:
        self._av = av
        self._graph = av.filter.Graph()
        steps = (
            self._graph.add_buffer(template=stream),
            self._graph.add("yadif", "mode=send_frame:deint=interlaced"),
            self._graph.add("buffersink"),
        )
        steps[0].link_to(steps[1])
        steps[1].link_to(steps[2])
        self._graph.configure()

    def __call__(self, frame: Any) -> Iterator[Any]:
        self._graph.push(frame)
        return self._pull()

    def rest(self) -> Iterator[Any]:
        """Yield the last frame."""
        return self(None)

    def _pull(self) -> Iterator[Any]:
        with contextlib.suppress(self._av.error.BlockingIOError, self._av.error.EOFError):
            while True:
                yield self._graph.pull()


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the cover picture of a sound file."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _display_matrix(frame: Any) -> tuple[int, int, int, int] | None:
    """Return the signs of a, b, c, d of the frame's display matrix, where it turns by right angles or mirrors.

    None for other angles, and where it has none.
    """
    try:
        side_data = list(frame.side_data)
    except ValueError:  # a kind that PyAV has no name for, such as EXIF: then it only says by how much it is turned
        return _TURNS.get(round(frame.rotation) % 360)
    for data in side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _u, c, d, *_rest = np.sign(np.trunc(np.frombuffer(data, np.int32) / 32768)).astype(int).tolist()
            if (a == 0) == (d == 0) and (b == 0) == (c == 0) and (a == 0) != (b == 0):
                return a, b, c, d
    return None


_TURNS = {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
"""Display matrices by the degrees of PyAV's `rotation`, counter-clockwise."""


def _plane(frame: Any, channels: int) -> Image:
    """View the first plane of a frame with 8 bits as an image; its rows may be padded."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width * channels]
    return rows if channels == 1 else rows.reshape(frame.height, frame.width, channels)


def _is_full_range(frame: Any) -> bool:
    name: str = frame.format.name
    return name == "gray" or name.startswith("yuvj") or bool(frame.color_range == _FULL_RANGE)


def _luma(frame: Any) -> Image:
    """Return the luma of a frame in full range, (H, W)."""
    name = frame.format.name
    if name not in _LUMA_FIRST:
        return np.ascontiguousarray(_plane(frame.reformat(format="gray"), 1))
    luma = _plane(frame, 1)
    if _is_full_range(frame):
        return np.ascontiguousarray(luma)
    return full_range(luma)
