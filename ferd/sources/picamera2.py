"""The Raspberry Pi's own cameras, through picamera2 (which comes from apt, with the system's libcamera)."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ferd.errors import SourceError
from ferd.sources.base import as_picture
from ferd.sources.worker import Worker
from ferd.types import Frame, Image

log = logging.getLogger(__name__)

LOAD_S = 30.0
"""Seconds for loading the library, once: it draws in much, and a Zero 2 W reads it from a slow card."""
OPEN_S = 8.0
READ_S = 2.0
CLOSE_S = 1.0
BUFFERS = 3
SMALL_SIZE = (320, 240)
"""Width and height of the low-resolution stream, whose brightness plane is a gray picture for free."""

MISSING = (
    "picamera2 is not installed here. `sudo apt install python3-picamera2`, and make ferd's environment with "
    "`python3 -m venv --system-site-packages`: picamera2 needs the system's libcamera"
)
TROUBLE = "Check the ribbon cable at both ends and the power supply; `rpicam-hello --list-cameras` must list the camera"


class PiCamera:
    """Camera `number` of the Pi, in one video configuration that never changes.

    (Boards with 512 MB run out of contiguous memory when modes are switched.) The pictures are `width` x `height` BGR
    with a gray `small` one of at most 320x240. Every call to picamera2 runs in a worker with a time-out, since any
    of them, `close` too, can block for ever.
    """

    noisy = True

    def __init__(
        self,
        number: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        fps: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        open_s: float = OPEN_S,
        read_s: float = READ_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self.name = f"picamera2 camera {number}"
        self._number = number
        self._size = (even(width), even(height))
        self._small_size = small_size(*self._size)
        self._fps = fps
        self._clock = clock
        self._open_s, self._read_s, self._close_s = open_s, read_s, close_s
        self._worker = Worker(self.name)
        self._camera: Any = None

    @property
    def hangs(self) -> bool:
        return self._worker.hangs

    def open(self) -> None:
        try:
            self._worker.call(picamera2, LOAD_S)
            self._worker.call(self._start, self._open_s)
        except SourceError:
            self.close()
            raise
        except TimeoutError:
            self.close()
            raise SourceError(f"{self.name}: did not start within {self._open_s:g} s. {TROUBLE}") from None
        except Exception as error:  # picamera2 raises RuntimeError, IndexError, libcamera's own …
            self.close()
            raise SourceError(f"{self.name}: {why_not_started(error)}") from error

    def read(self) -> Frame:
        try:
            # The worker's limit is the wider one: it only bites when picamera2's own does not.
            return self._worker.call(self._capture, self._read_s + 0.5)
        except SourceError:
            raise
        except TimeoutError:
            raise SourceError(f"{self.name}: no picture for {self._read_s:g} s. {TROUBLE}") from None
        except Exception as error:  # as above
            raise SourceError(
                f"{self.name}: capture failed ({str(error) or type(error).__name__}). {TROUBLE}"
            ) from error

    def close(self) -> None:
        if not self._worker.stop(self._release, self._close_s):
            log.warning("picamera2 does not close name=%r", self.name)

    def _start(self) -> None:
        self._camera = picamera2().Picamera2(self._number)
        duration_us = round(1_000_000 / self._fps)
        configuration = self._camera.create_video_configuration(
            main={"size": self._size, "format": "RGB888"},  # libcamera's name; in memory it is B, G, R
            lores={"size": self._small_size, "format": "YUV420"},
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
            image = as_picture(request.make_array("main"), self.name)
            small = gray_plane(request.make_array("lores"), *self._small_size)
        finally:
            request.release()
        return Frame(t=t, image=image, small=small)

    def _release(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # A capture that timed out is still queued, and close() would wait behind it. Old versions lack this call.
        with contextlib.suppress(Exception):
            camera.cancel_all_and_flush()
        camera.close()


def picamera2() -> Any:
    """The library, imported when a Pi camera is wanted and not before: it takes a second and is not on every box."""
    # libcamera tells half a dozen lines of every start; read once, when the library is loaded.
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
    """What picamera2 meant, with the remedy. It raises IndexError for a camera number that is not there."""
    text = str(error) or type(error).__name__
    if isinstance(error, IndexError) or "not found" in text.lower():
        return f"no such camera. {TROUBLE}"
    if "busy" in text.lower() or "acquire" in text.lower() or "did not complete" in text.lower():
        return f"does not start ({text}). Most likely another program uses it: `fuser -v /dev/media*` names it"
    return f"does not start ({text}). {TROUBLE}"


def gray_plane(yuv: Image, width: int, height: int) -> Image:
    """The Y plane, (height, width), of a YUV420 array of (height * 3 / 2, stride): rows may be padded to the right."""
    if yuv.ndim != 2 or yuv.shape[0] < height or yuv.shape[1] < width:
        raise SourceError(
            f"picamera2: low-resolution picture of shape {yuv.shape} where {height}x{width} was asked for"
        )
    return np.ascontiguousarray(yuv[:height, :width])


def small_size(width: int, height: int) -> tuple[int, int]:
    """The low-resolution size: same shape as the main one, at most 320x240, even; never larger than the main one."""
    scale = min(SMALL_SIZE[0] / width, SMALL_SIZE[1] / height, 1.0)
    return even(width * scale), even(height * scale)


def even(value: float) -> int:
    """libcamera takes even sizes only."""
    return int(value) // 2 * 2
