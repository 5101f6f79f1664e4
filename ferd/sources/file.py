"""Video files and folders of images: no frame is skipped, times are positions in seconds."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ferd.errors import PictureError, SourceEnded, SourceError
from ferd.fs import exists, is_dir, is_file
from ferd.pictures import (
    HEIF_REMEDY,
    HEIF_STARTS,
    MAX_MEGAPIXELS,
    PICTURE_SUFFIXES,
    UNREADABLE_SUFFIXES,
    read_picture,
)
from ferd.sources.base import as_image
from ferd.sources.video import VideoError, VideoReader
from ferd.types import Frame, Image

log = logging.getLogger(__name__)

ASSUMED_FPS = 25.0
MOST_FPS = 1000.0


class VideoFile:
    """A video file, read through PyAV.

    ``Frame.t`` is the frame's time stamp in the file, in seconds. Where the file has none, or they run backwards, it is
    the previous one plus the frame interval. With `loop` the file starts again at its end, and t keeps growing.
    `hold_s`: a file that holds a single picture (a GIF, a picture without a suffix) repeats it for so long.
    """

    noisy = False
    opening_s = 0.0

    def __init__(
        self, path: str | Path, *, loop: bool = False, hold_s: float = 0.0, max_megapixels: float = MAX_MEGAPIXELS
    ) -> None:
        self._path = Path(path)
        self.name = f"video {self._path.name}"
        self._loop, self._hold_s = loop, hold_s
        self._only: Frame | None = None
        self._max_megapixels = max_megapixels
        self._video: VideoReader | None = None
        self._step = 1 / ASSUMED_FPS
        self._offset = 0.0
        self._last: float | None = None

    def open(self) -> None:
        check_file(self._path)
        self._video = self._start()
        fps = self._video.fps
        if fps is not None and 0 < fps <= MOST_FPS:
            self._step = 1 / fps

    def read(self) -> Frame:
        first = self._last is None
        frame = self._next()
        if frame is None and self._loop and self._last is not None:
            self._rewind()
            frame = self._next()
        if frame is not None:
            self._only = frame if first and not self._loop else None
            return frame
        if self._only is None or self._only.t + self._hold_s < self._time(None):
            raise self._end()
        assert self._last is not None
        return replace(self._only, t=self._last)

    def interrupt(self) -> None:
        """Do nothing: a read takes no time."""

    def close(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.close()

    def _start(self) -> VideoReader:
        with self._path.open("rb") as file:
            if file.read(12)[4:] in HEIF_STARTS:
                raise SourceError(f"{self._path}: {HEIF_REMEDY}")
        try:
            return VideoReader(
                str(self._path.resolve()),
                str(self._path),
                options={"protocol_whitelist": "file"},
                max_megapixels=self._max_megapixels,
            )
        except VideoError as error:
            raise SourceError(
                f"{self._path}: not a video that FFmpeg can read ({error.reason}). Is it whole, and really a video? "
                "`ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4` makes one that works everywhere"
            ) from None

    def _next(self) -> Frame | None:
        if self._video is None:
            raise SourceError(f"{self.name}: is not open")
        try:
            return self._video.read(self._time, lambda: None)
        except VideoError as error:
            log.warning("video is broken, reading ends here file=%s reason=%r", self._path.name, error.reason)
            return None

    def _rewind(self) -> None:
        # Opened again: seeking to 0 does not work in every container (MPEG-TS, raw H.264).
        self.close()
        self._offset = (self._last or 0.0) + self._step
        self._video = self._start()

    def _time(self, stamp: float | None) -> float:
        t = math.nan if stamp is None else self._offset + stamp
        if self._last is not None and not t > self._last:
            t = self._last + self._step
        if not math.isfinite(t) or t < 0:
            t = 0.0 if self._last is None else self._last + self._step
        self._last = t
        return t

    def _end(self) -> SourceError:
        if self._last is None:
            return SourceError(f"{self._path}: holds no picture that FFmpeg can decode. Is the file whole?")
        return SourceEnded(f"{self.name}: ended at {self._last:.3f} s")


class PictureFolder:
    """The images of a folder in natural order (2 before 10), or a single image.

    ``Frame.t`` is the image's position in the folder divided by `fps`. One that does not decode is logged and skipped;
    its time is not used. `hold_s`: a single image is repeated for so long, since a face must be seen for a while.
    """

    noisy = False
    opening_s = 0.0

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float = 1.0,
        loop: bool = False,
        hold_s: float = 0.0,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        self._path = Path(path)
        self.name = f"pictures {self._path.name}"
        self._fps = fps
        self._hold_s = hold_s
        self._max_megapixels = max_megapixels
        self._reason = ""
        self._held: tuple[Path, Image | None] | None = None
        self._loop = loop
        self._pictures: list[Path] = []
        self._index = 0
        self._decoded = 0
        self._open = False

    def open(self) -> None:
        self._pictures = pictures_of(self._path)
        if len(self._pictures) == 1:
            self._pictures *= 1 + round(self._hold_s * self._fps)
        self._open = True

    def read(self) -> Frame:
        while self._open:
            round_number, index = divmod(self._index, len(self._pictures))
            if round_number and (self._decoded == 0 or not self._loop):
                raise self._end()
            self._index += 1
            # Of a single one the error says it.
            log_it = round_number == 0 and self._pictures[0] != self._pictures[-1]
            image = self._read(self._pictures[index], log_it=log_it)
            if image is not None:
                self._decoded += 1
                return Frame(t=(self._index - 1) / self._fps, image=image)
        raise SourceError(f"{self.name}: is not open")

    def interrupt(self) -> None:
        """Do nothing: a read takes no time."""

    def close(self) -> None:
        self._open = False

    def _read(self, file: Path, *, log_it: bool) -> Image | None:
        if self._held is not None and self._held[0] == file:
            return self._held[1]
        try:
            image = as_image(read_picture(file, self._max_megapixels), self.name)
        except (PictureError, SourceError) as error:
            if log_it and str(error) != self._reason:
                log.warning("picture skipped file=%s reason=%r", file.name, str(error))
            self._reason = str(error)
            image = None
        self._held = (file, image)
        return image

    def _end(self) -> SourceError:
        if self._decoded == 0:
            count = len(set(self._pictures))
            which = "" if count == 1 else f"{self._path}: none of its {count} pictures can be read. The last: "
            return SourceError(f"{which}{self._reason}")
        return SourceEnded(f"{self.name}: all {self._decoded} pictures were read")


def check_file(path: Path) -> None:
    """Raise SourceError when `path` cannot be read as a file: missing, a folder, empty, forbidden."""
    if not exists(path):
        raise SourceError(f"{path}: no such file. Check the name, and that it is visible to the user that ferd runs as")
    if is_dir(path):
        raise SourceError(f"{path}: is a folder, not a file")
    if not is_file(path):
        raise SourceError(f"{path}: is a pipe or a device, not a file with a recording")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check its owner and mode") from None
    if empty:
        raise SourceError(f"{path}: is empty (0 bytes). Was it copied to its end?")


def pictures_of(path: Path) -> list[Path]:
    """List the image files of a folder in natural order, or `path` itself. Raises SourceError when there is none."""
    if not is_dir(path):
        check_file(path)
        return [path]
    try:
        inside = list(path.iterdir())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check the name, its owner and mode") from None
    known = PICTURE_SUFFIXES | UNREADABLE_SUFFIXES
    found = [file for file in inside if file.suffix.lower() in known and is_file(file)]
    if not found:
        raise SourceError(f"{path}: holds no pictures. ferd reads {', '.join(sorted(PICTURE_SUFFIXES))}")
    return natural_order(found)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort by name with numbers as numbers: frame2.png before frame10.png."""

    def key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
        # Split by digits: odd indexes are numbers. The whole name decides ties ("01" and "1").
        parts = re.split(r"([0-9]+)", path.name.lower())
        return [(1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(parts)], path.name

    return sorted(paths, key=key)
