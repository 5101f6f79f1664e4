"""What formats and sizes a V4L2 camera offers, as the kernel lists them.

Layout and numbers of VIDIOC_ENUM_FMT and VIDIOC_ENUM_FRAMESIZES: linux/videodev2.h (v4l2_fmtdesc, 64 bytes, and
v4l2_frmsizeenum, 44 bytes). Listing disturbs nobody who reads the camera meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

VIDIOC_ENUM_FMT = 0xC0405602  # _IOWR('V', 2, struct v4l2_fmtdesc)
VIDIOC_ENUM_FRAMESIZES = 0xC02C564A  # _IOWR('V', 74, struct v4l2_frmsizeenum)
_FORMAT = struct.Struct("=III32s4sI12x")  # index, type, flags, description, pixelformat, mbus_code, reserved
_SIZE = struct.Struct("=I4sI24s8x")  # index, pixel_format, type, discrete or stepwise, reserved
_VIDEO_CAPTURE = 1
_DISCRETE = 1
MOST = 64
"""Formats, and sizes of one: a driver that never says "no more" must not keep us."""

Size = tuple[int, int]
Ioctl = Callable[[int, int, bytes], bytes]


def modes(path: Path, ioctl: Ioctl | None = None) -> Mapping[str, list[Size]]:
    """Sizes (width, height) by format, largest first: {"MJPG": [(1280, 720), …]}. Empty where the kernel says nothing.

    Of a camera that takes any size between two, these two.
    """
    ioctl = ioctl or fcntl.ioctl
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        return {
            name.decode("ascii", "replace").strip(): sorted(set(_sizes(descriptor, name, ioctl)), reverse=True)
            for name in _formats(descriptor, ioctl)
        }
    finally:
        os.close(descriptor)


def in_words(offered: Mapping[str, list[Size]]) -> str:
    """ "MJPG to 1280x720, YUYV to 640x480"."""
    return ", ".join(f"{name} to {sizes[0][0]}x{sizes[0][1]}" if sizes else name for name, sizes in offered.items())


def _formats(descriptor: int, ioctl: Ioctl) -> Iterator[bytes]:
    for index in range(MOST):
        try:
            answer = ioctl(descriptor, VIDIOC_ENUM_FMT, _FORMAT.pack(index, _VIDEO_CAPTURE, 0, b"", b"", 0))
        except OSError:  # EINVAL: no more
            return
        yield _FORMAT.unpack(answer)[4]


def _sizes(descriptor: int, name: bytes, ioctl: Ioctl) -> Iterator[Size]:
    for index in range(MOST):
        try:
            answer = ioctl(descriptor, VIDIOC_ENUM_FRAMESIZES, _SIZE.pack(index, name, 0, b""))
        except OSError:
            return
        _index, _name, kind, numbers = _SIZE.unpack(answer)
        least_width, most_width, _step, least_height, most_height, _step = struct.unpack("=6I", numbers)
        if kind == _DISCRETE:
            yield least_width, most_width  # the union's first two numbers are then width and height
            continue
        yield least_width, least_height
        yield most_width, most_height
        return
