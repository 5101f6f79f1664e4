"""Ask the kernel about a video device node: driver, name, formats and sizes, and why it cannot be used as a camera.

Layouts and numbers: linux/videodev2.h (struct v4l2_capability, 104 bytes; v4l2_fmtdesc, 64; v4l2_frmsizeenum, 44).
The queries do not disturb a program that reads the camera meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferd.extras import Environment

DEV = Path("/dev")
SYS_CLASS = Path("/sys/class/video4linux")

VIDIOC_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability)
VIDIOC_ENUM_FMT = 0xC0405602  # _IOWR('V', 2, struct v4l2_fmtdesc)
VIDIOC_ENUM_FRAMESIZES = 0xC02C564A  # _IOWR('V', 74, struct v4l2_frmsizeenum)
_CAPABILITY = struct.Struct("=16s32s32s6I")
_FORMAT = struct.Struct("=III32s4sI12x")  # index, type, flags, description, pixelformat, mbus_code, reserved
_SIZE = struct.Struct("=I4sI24s8x")  # index, pixel_format, type, discrete or stepwise, reserved
_BUFFER_VIDEO_CAPTURE = 1
_SIZE_DISCRETE = 1
_VIDEO_CAPTURE = 0x00000001
_VIDEO_CAPTURE_MPLANE = 0x00001000
_VIDEO_M2M_MPLANE = 0x00004000
_VIDEO_M2M = 0x00008000
_DEVICE_CAPS = 0x80000000
MOST_LISTED = 64
"""Formats, and sizes of one format: the loop must end for a driver that never says "no more"."""

Size = tuple[int, int]
Ioctl = Callable[[int, int, bytes], bytes]

PI_PIPELINE = frozenset({"unicam", "rp1-cfe", "bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec", "rpivid"})
"""Drivers of the Raspberry Pi's camera and codec hardware. Their nodes have the capability "capture", but deliver raw
sensor data or nothing: libcamera drives them, and a camera behind them is reached through picamera2."""


@dataclass(frozen=True, slots=True)
class Node:
    """A video device node. ``reason``: why it cannot be used as a camera, with the remedy; None when it can."""

    path: Path
    driver: str
    card: str
    reason: str | None

    @property
    def number(self) -> int:
        match = re.search(r"(\d+)$", self.path.name)
        return int(match[1]) if match else -1


def nodes(dev: Path = DEV) -> list[Node]:
    """List all video device nodes of this machine, by number."""
    found = [describe(path) for path in dev.glob("video[0-9]*")]
    return sorted(found, key=lambda node: node.number)


def cameras(dev: Path = DEV) -> list[Node]:
    """List the nodes that can be used as cameras, USB webcams first."""
    usable = [node for node in nodes(dev) if node.reason is None]
    return sorted(usable, key=lambda node: (node.driver != "uvcvideo", node.number))


def describe(path: Path) -> Node:
    """Describe the node at `path` (links are followed). Never raises."""
    path = Path(os.path.realpath(path))
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return Node(path, "", sysfs_name(path), why_not_open(path, error.errno))
    try:
        answer = fcntl.ioctl(descriptor, VIDIOC_QUERYCAP, bytes(_CAPABILITY.size))
    except OSError as error:
        return Node(path, "", sysfs_name(path), f"is not a video device ({os.strerror(error.errno or 0)})")
    finally:
        os.close(descriptor)
    return from_capability(path, answer)


def from_capability(path: Path, answer: bytes) -> Node:
    """Parse a struct v4l2_capability (104 bytes, the kernel's answer to VIDIOC_QUERYCAP)."""
    raw_driver, raw_card, _bus, _version, capabilities, own, *_reserved = _CAPABILITY.unpack(answer)
    driver = raw_driver.split(b"\0")[0].decode("utf-8", "replace")
    card = raw_card.split(b"\0")[0].decode("utf-8", "replace")
    # `capabilities` are those of the whole device; with this bit set, `own` are those of this node.
    flags = own if capabilities & _DEVICE_CAPS else capabilities
    return Node(path, driver, card, _why_not_a_camera(driver, flags))


def _why_not_a_camera(driver: str, flags: int) -> str | None:
    if driver in PI_PIPELINE:
        return 'belongs to the Pi\'s own camera hardware: use source = "picamera2"'
    if flags & (_VIDEO_M2M | _VIDEO_M2M_MPLANE):
        return "is a codec, not a camera"
    if not flags & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE):
        return "delivers no pictures (webcams have a second node for metadata: try the other number)"
    return None


def why_not_open(path: Path, number: int | None) -> str:
    """Explain the errno that opening a device node gave, with the remedy."""
    if number == errno.EACCES:
        return f"permission denied. The user must be in the device's group: `{Environment.here().allow_camera}`"
    if number == errno.EBUSY:
        return f"is used by another program: `fuser -v {path}` names it"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "no such device. Is the camera plugged in? `ferd cameras` lists what is there"
    return f"cannot be opened ({os.strerror(number or 0)})"


def sysfs_name(path: Path, sys_class: Path = SYS_CLASS) -> str:
    """Return the camera's name from sysfs, which needs no permission on the device; "" if there is none."""
    try:
        return (sys_class / path.name / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def stable_names(dev: Path = DEV) -> dict[Path, Path]:
    """Map each node to its link under /dev/v4l/by-id, which stays the same across reboots and ports."""
    links = sorted((dev / "v4l" / "by-id").glob("*"))
    return {Path(os.path.realpath(link)): link for link in links}


def modes(path: Path, ioctl: Ioctl | None = None) -> Mapping[str, list[Size]]:
    """List the sizes (width, height) by format, largest first: {"MJPG": [(1280, 720), …]}. Empty where there are none.

    For a camera that accepts any size between two, these two.
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


def summarise(offered: Mapping[str, list[Size]]) -> str:
    """Write formats with their largest sizes: "MJPG up to 1280x720, YUYV up to 640x480"."""
    return ", ".join(f"{name} up to {sizes[0][0]}x{sizes[0][1]}" if sizes else name for name, sizes in offered.items())


def _formats(descriptor: int, ioctl: Ioctl) -> Iterator[bytes]:
    for index in range(MOST_LISTED):
        try:
            answer = ioctl(descriptor, VIDIOC_ENUM_FMT, _FORMAT.pack(index, _BUFFER_VIDEO_CAPTURE, 0, b"", b"", 0))
        except OSError:  # EINVAL: end of the list
            return
        yield _FORMAT.unpack(answer)[4]


def _sizes(descriptor: int, name: bytes, ioctl: Ioctl) -> Iterator[Size]:
    for index in range(MOST_LISTED):
        try:
            answer = ioctl(descriptor, VIDIOC_ENUM_FRAMESIZES, _SIZE.pack(index, name, 0, b""))
        except OSError:
            return
        _index, _name, kind, numbers = _SIZE.unpack(answer)
        least_width, most_width, _step, least_height, most_height, _step = struct.unpack("=6I", numbers)
        if kind == _SIZE_DISCRETE:
            yield least_width, most_width  # the union's first two numbers are then width and height
            continue
        yield least_width, least_height
        yield most_width, most_height
        return
