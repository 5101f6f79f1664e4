"""Video files and folders of pictures: every frame counts, times are positions in seconds."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from ferd.errors import SourceEnded, SourceError
from ferd.fs import exists, is_dir, is_file
from ferd.sources.base import as_picture
from ferd.sources.capture import quiet
from ferd.types import Frame, Image

log = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
ASSUMED_FPS = 25.0
MOST_FPS = 1000.0


class VideoFile:
    """A video file, read through OpenCV's FFmpeg.

    ``Frame.t`` is the frame's time stamp in the file, in seconds. Where the file has none, or they run backwards,
    the frame rate counts on. With `loop` the file starts anew at its end, and t keeps growing.
    """

    noisy = False
    hangs = False

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        self._path = Path(path)
        self.name = f"video {self._path.name}"
        self._loop = loop
        self._capture: cv2.VideoCapture | None = None
        # A decoder must not be released while another thread reads from it. One frame is decoded in no time.
        self._lock = threading.Lock()
        self._step = 1 / ASSUMED_FPS
        self._offset = 0.0
        self._last: float | None = None

    def open(self) -> None:
        check_file(self._path)
        self._capture = self._start()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        if math.isfinite(fps) and 0 < fps <= MOST_FPS:
            self._step = 1 / fps

    def read(self) -> Frame:
        with self._lock:
            image = self._next()
            if image is None and self._loop and self._last is not None:
                self._rewind()
                image = self._next()
            if image is None:
                raise self._end()
            return Frame(t=self._time(), image=as_picture(image, self.name))

    def close(self) -> None:
        with self._lock:
            self._release()

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _start(self) -> cv2.VideoCapture:
        with quiet():
            capture = cv2.VideoCapture(str(self._path.resolve()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self._path}: not a video that OpenCV can read. Is it whole, and really a video? "
                "`ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4` makes one that works everywhere"
            )
        return capture

    def _next(self) -> Image | None:
        capture = self._capture
        if capture is None:
            raise SourceError(f"{self.name}: is not open")
        ok, image = capture.read()
        return np.asarray(image, np.uint8) if ok else None

    def _rewind(self) -> None:
        # Opened anew: seeking to 0 does not work in every container (MPEG-TS, raw H.264).
        self._release()
        self._offset = (self._last or 0.0) + self._step
        self._capture = self._start()

    def _time(self) -> float:
        position = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._capture else math.nan
        t = self._offset + position
        if self._last is not None and not t > self._last:
            t = self._last + self._step
        if not math.isfinite(t) or t < 0:
            t = 0.0 if self._last is None else self._last + self._step
        self._last = t
        return t

    def _end(self) -> SourceError:
        if self._last is None:
            return SourceError(f"{self._path}: holds no picture that OpenCV can decode. Is the file whole?")
        return SourceEnded(f"{self.name}: ended at {self._last:.3f} s")


class PictureFolder:
    """The pictures of a folder in the order in which people count (2 before 10), or one single picture.

    ``Frame.t`` is the picture's place in the folder divided by `fps`. One that does not decode is named in a log
    line and skipped; its time stays empty.
    """

    noisy = False
    hangs = False

    def __init__(self, path: str | Path, *, fps: float = 1.0, loop: bool = False) -> None:
        self._path = Path(path)
        self.name = f"pictures {self._path.name}"
        self._fps = fps
        self._loop = loop
        self._pictures: list[Path] = []
        self._index = 0
        self._decoded = 0
        self._open = False

    def open(self) -> None:
        self._pictures = pictures_of(self._path)
        self._open = True

    def read(self) -> Frame:
        while self._open:
            turn, place = divmod(self._index, len(self._pictures))
            if turn and (self._decoded == 0 or not self._loop):
                raise self._end()
            self._index += 1
            image = read_picture(self._pictures[place])
            if image is not None:
                self._decoded += 1
                return Frame(t=(self._index - 1) / self._fps, image=image)
            if turn == 0:
                log.warning("picture skipped file=%s reason=%r", self._pictures[place].name, "does not decode")
        raise SourceError(f"{self.name}: is not open")

    def close(self) -> None:
        self._open = False

    def _end(self) -> SourceError:
        if self._decoded == 0:
            return SourceError(f"{self._path}: none of its {len(self._pictures)} pictures decodes. Are they whole?")
        return SourceEnded(f"{self.name}: all {self._decoded} pictures were read")


def check_file(path: Path) -> None:
    """SourceError that says why `path` cannot be read as a file: missing, a folder, empty, forbidden."""
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
    """The picture files of a folder in natural order, or `path` itself. SourceError when there is none."""
    if not is_dir(path):
        check_file(path)
        return [path]
    try:
        inside = list(path.iterdir())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check the name, its owner and mode") from None
    found = [file for file in inside if file.suffix.lower() in PICTURE_SUFFIXES and is_file(file)]
    if not found:
        raise SourceError(f"{path}: holds no pictures. ferd reads {', '.join(sorted(PICTURE_SUFFIXES))}")
    return natural_order(found)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sorted as people count: frame2.png before frame10.png."""

    def key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
        # Split by digits: odd places are numbers. The whole name settles ties ("01" and "1").
        parts = re.split(r"([0-9]+)", path.name.lower())
        return [(1, int(p), "") if i % 2 else (0, 0, p) for i, p in enumerate(parts)], path.name

    return sorted(paths, key=key)


def read_picture(path: Path) -> Image | None:
    """(H, W, 3) uint8 BGR, upright by its EXIF note; None when it does not decode."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    if not data.size:
        return None
    with quiet():
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)
