"""What the kernel says of a video device node: its driver and name, and why it cannot be used as a camera.

Layout and numbers of VIDIOC_QUERYCAP: linux/videodev2.h (struct v4l2_capability, 104 bytes).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

DEV = Path("/dev")
SYS_CLASS = Path("/sys/class/video4linux")

VIDIOC_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability)
_CAPABILITY = struct.Struct("=16s32s32s6I")
_VIDEO_CAPTURE = 0x00000001
_VIDEO_CAPTURE_MPLANE = 0x00001000
_VIDEO_M2M_MPLANE = 0x00004000
_VIDEO_M2M = 0x00008000
_DEVICE_CAPS = 0x80000000

# Nodes of the Raspberry Pi's camera and codec hardware. They say "capture", but deliver raw sensor data or nothing:
# libcamera drives them, and a camera behind them is reached through picamera2.
PI_PIPELINE = frozenset({"unicam", "rp1-cfe", "bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec", "rpivid"})


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
    """All video device nodes of this machine, by number."""
    found = [describe(path) for path in dev.glob("video[0-9]*")]
    return sorted(found, key=lambda node: node.number)


def cameras(dev: Path = DEV) -> list[Node]:
    """The nodes that can be used as cameras; USB webcams first."""
    usable = [node for node in nodes(dev) if node.reason is None]
    return sorted(usable, key=lambda node: (node.driver != "uvcvideo", node.number))


def describe(path: Path) -> Node:
    """What the kernel says of the node at `path` (links are followed). Never raises."""
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
    """Reads a struct v4l2_capability (104 bytes, the kernel's answer to VIDIOC_QUERYCAP)."""
    raw_driver, raw_card, _bus, _version, capabilities, own, *_reserved = _CAPABILITY.unpack(answer)
    driver = raw_driver.split(b"\0")[0].decode("utf-8", "replace")
    card = raw_card.split(b"\0")[0].decode("utf-8", "replace")
    # Capabilities are those of the whole device; with this bit set, `own` says what this very node can do.
    flags = own if capabilities & _DEVICE_CAPS else capabilities
    return Node(path, driver, card, _why_no_camera(driver, flags))


def _why_no_camera(driver: str, flags: int) -> str | None:
    if driver in PI_PIPELINE:
        return 'belongs to the Pi\'s own camera hardware: use source = "picamera2"'
    if flags & (_VIDEO_M2M | _VIDEO_M2M_MPLANE):
        return "is a codec, not a camera"
    if not flags & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE):
        return "delivers no pictures (webcams have a second node for metadata: try the other number)"
    return None


def why_not_open(path: Path, number: int | None) -> str:
    """The remedy for the errno that opening a device node gave."""
    if number == errno.EACCES:
        return "permission denied. Put the user into the group video (`sudo usermod -aG video USER`), log in again"
    if number == errno.EBUSY:
        return f"is used by another program: `fuser -v {path}` names it"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "no such device. Is the camera plugged in? `ferd cameras` lists what is there"
    return f"cannot be opened ({os.strerror(number or 0)})"


def sysfs_name(path: Path, sys_class: Path = SYS_CLASS) -> str:
    """The camera's name that the kernel shows to everybody, also without permission to open it; "" if none."""
    try:
        return (sys_class / path.name / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def stable_names(dev: Path = DEV) -> dict[Path, Path]:
    """Node -> its link under /dev/v4l/by-id, which stays the same across reboots and ports."""
    links = sorted((dev / "v4l" / "by-id").glob("*"))
    return {Path(os.path.realpath(link)): link for link in links}
