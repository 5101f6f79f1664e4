"""The Raspberry Pi's own cameras, through picamera2 (which comes from apt, with the system's libcamera)."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ferd.errors import SourceError
from ferd.extras import Environment
from ferd.sources.base import as_image
from ferd.sources.opencv import capture_time
from ferd.sources.stall import FRAME_S
from ferd.types import Deferred, Frame, Image

LOAD_S = 30.0
"""Seconds for loading the library, once: it imports much, and a Zero 2 W reads it from a slow card."""
START_S = 10.0
"""Seconds from there to the first frame; 2 are usual."""
BUFFERS = 3
SMALL_SIZE = (320, 240)
"""Width and height of the low-resolution stream, whose Y plane is a gray image for free."""

MISSING = f"picamera2 is not installed here, or ferd's environment does not see it. {Environment.here().add_picamera2}"
TROUBLE = "Check the ribbon cable at both ends and the power supply; `rpicam-hello --list-cameras` must list the camera"


class PiCamera:
    """Camera `number` of the Pi, in one video configuration that never changes.

    (Boards with 512 MB run out of contiguous memory when modes are switched.) The images are `width` x `height`, gray,
    and in colour on demand, with a gray `small` one of at most 320x240. `read_s`: seconds that picamera2 waits
    for a frame.
    """

    noisy = True
    opening_s = LOAD_S + START_S

    def __init__(
        self,
        number: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        read_s: float = FRAME_S,
    ) -> None:
        self.name = f"picamera2 camera {number}"
        self._number = number
        self._size = (even(width), even(height))
        self._small_size = small_size(*self._size)
        self._fps = fps
        self._clock = clock
        self._read_s = read_s
        self._camera: Any = None

    def open(self) -> None:
        try:
            self._start()
        except SourceError:
            raise
        except Exception as error:  # picamera2 raises RuntimeError, IndexError, libcamera's own …
            raise SourceError(f"{self.name}: {why_not_started(error)}") from error

    def read(self) -> Frame:
        try:
            return self._capture()
        except SourceError:
            raise
        except TimeoutError:
            raise SourceError(f"{self.name}: no picture for {self._read_s:g} s. {TROUBLE}") from None
        except Exception as error:  # as above
            raise SourceError(
                f"{self.name}: capture failed ({str(error) or type(error).__name__}). {TROUBLE}"
            ) from error

    def interrupt(self) -> None:
        """Do nothing: only picamera2's own time-out ends its calls."""

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # A capture that timed out is still queued, and close() would wait behind it. Old versions lack this call.
        with contextlib.suppress(Exception):
            camera.cancel_all_and_flush()
        camera.close()

    def _start(self) -> None:
        self._camera = picamera2().Picamera2(self._number)
        duration_us = round(1_000_000 / self._fps)
        configuration = self._camera.create_video_configuration(
            main={"size": self._size, "format": "YUV420"},
            lores={"size": self._small_size, "format": "YUV420"},
            colour_space=full_range_colours(),
            buffer_count=BUFFERS,
            controls={"FrameDurationLimits": (duration_us, duration_us)},
            display=None,
            encode=None,
        )
        self._camera.configure(configuration)
        self._camera.start()

    def _capture(self) -> Frame:
        if self._camera is None:
            raise SourceError(f"{self.name}: is not open")
        request = self._camera.capture_request(wait=self._read_s)
        try:
            t = self._clock()
            captured_at = sensor_time(request, time.monotonic())
            yuv = request.make_array("main")
            gray = as_image(gray_plane(yuv, *self._size), self.name)
            small = gray_plane(request.make_array("lores"), *self._small_size)
        finally:
            request.release()
        image = Deferred((self._size[1], self._size[0]), lambda: colours(yuv, *self._size))
        return Frame(t, image, small, captured_at=captured_at, gray=gray)


def sensor_time(request: Any, now: float) -> float:
    """Return when the sensor began to read the image out, in monotonic seconds; `now` where libcamera gives no time.

    libcamera's SensorTimestamp is in nanoseconds of CLOCK_BOOTTIME, which differs from the monotonic clock only on a
    machine that was suspended.
    """
    try:
        stamp = request.get_metadata()["SensorTimestamp"] / 1e9
    except Exception:  # noqa: BLE001  # old versions lack it; a frame without its time is still a frame
        return now
    suspended_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return capture_time(stamp - suspended_s, now)


def picamera2() -> Any:
    """Import the library when a Pi camera is used and not before: it takes a second and is not on every machine."""
    # libcamera logs half a dozen lines at every start; read once, when the library is loaded.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
    try:
        import picamera2 as library
    except ImportError as error:
        # picamera2 is there but libcamera is not: another interpreter, or a venv without the system's packages.
        missing = "" if error.name == "picamera2" else f" ({error})"
        raise SourceError(MISSING + missing) from None
    except Exception as error:  # numpy's ABI errors come as ValueError
        raise SourceError(
            f"picamera2 does not load ({error}). Bookworm's needs numpy 1: take numpy from apt, as the guide says"
        ) from error
    return library


def why_not_started(error: Exception) -> str:
    """Explain an error of picamera2, with the remedy. It raises IndexError for a camera number that does not exist."""
    text = str(error) or type(error).__name__
    if isinstance(error, IndexError) or "not found" in text.lower():
        return f"no such camera. {TROUBLE}"
    if "busy" in text.lower() or "acquire" in text.lower() or "did not complete" in text.lower():
        return f"does not start ({text}). Most likely another program uses it: `fuser -v /dev/media*` names it"
    return f"does not start ({text}). {TROUBLE}"


def gray_plane(yuv: Image, width: int, height: int) -> Image:
    """Return the Y plane, (height, width), of a YUV420 array of (height * 3 / 2, stride): rows may be padded."""
    if yuv.ndim != 2 or yuv.shape[0] < height or yuv.shape[1] < width:
        raise SourceError(f"picamera2: a picture of shape {yuv.shape} where {height}x{width} was asked for")
    return np.ascontiguousarray(yuv[:height, :width])


def colours(yuv: Image, width: int, height: int) -> Image:
    """Convert a YUV420 array as `gray_plane` takes it, in full range, to (height, width, 3) BGR."""
    limited = np.vstack([cv2.LUT(yuv[:height], _LIMITED_LUMA), cv2.LUT(yuv[height:], _LIMITED_CHROMA)])
    return np.ascontiguousarray(cv2.cvtColor(limited, cv2.COLOR_YUV2BGR_I420)[:, :width], np.uint8)


# OpenCV converts limited range only.
_LIMITED_LUMA = np.rint(16 + np.arange(256) * 219 / 255).astype(np.uint8)
_LIMITED_CHROMA = np.rint(128 + (np.arange(256) - 128) * 224 / 255).astype(np.uint8)


def full_range_colours() -> Any:
    """Return libcamera's colour space of JPEG: BT.601 in full range. A video's would have limited range."""
    return importlib.import_module("libcamera").ColorSpace.Sycc()


def small_size(width: int, height: int) -> tuple[int, int]:
    """Return the low-resolution size: the main one's shape, at most 320x240 and the main size, even."""
    scale = min(SMALL_SIZE[0] / width, SMALL_SIZE[1] / height, 1.0)
    return even(width * scale), even(height * scale)


def even(value: float) -> int:
    """Round down to an even number: libcamera accepts no others."""
    return int(value) // 2 * 2
