"""What a webcam offers, by a made-up kernel: the layout is from its headers, there is no webcam here."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from ferd.sources.v4l2_modes import MOST, VIDIOC_ENUM_FMT, VIDIOC_ENUM_FRAMESIZES, in_words, modes

OFFERED = {b"MJPG": [(640, 480), (1280, 720)], b"YUYV": [(640, 480)]}


def kernel(_descriptor: int, request: int, argument: bytes) -> bytes:
    (index,) = struct.unpack_from("=I", argument)
    if request == VIDIOC_ENUM_FMT:
        assert len(argument) == 64
        names = list(OFFERED)
        if index >= len(names):
            raise OSError(errno.EINVAL, "no more")
        return argument[:44] + names[index] + argument[48:]
    assert (request, len(argument)) == (VIDIOC_ENUM_FRAMESIZES, 44)
    sizes = OFFERED[argument[4:8]]
    if index >= len(sizes):
        raise OSError(errno.EINVAL, "no more")
    return argument[:8] + struct.pack("=III", 1, *sizes[index]) + argument[20:]


def test_formats_and_sizes(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    offered = modes(tmp_path / "video0", kernel)
    assert offered == {"MJPG": [(1280, 720), (640, 480)], "YUYV": [(640, 480)]}
    assert in_words(offered) == "MJPG to 1280x720, YUYV to 640x480"


def test_a_camera_that_takes_any_size(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()

    def stepwise(descriptor: int, request: int, argument: bytes) -> bytes:
        if request == VIDIOC_ENUM_FMT:
            return kernel(descriptor, request, argument)
        return argument[:8] + struct.pack("=I6I", 3, 32, 2592, 2, 24, 1944, 2) + argument[36:]

    assert modes(tmp_path / "video0", stepwise)["MJPG"] == [(2592, 1944), (32, 24)]


def test_a_driver_that_never_ends_does(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    asked = []

    def endless(_descriptor: int, request: int, argument: bytes) -> bytes:
        asked.append(request)
        return argument[:44] + b"MJPG" + argument[48:] if request == VIDIOC_ENUM_FMT else argument[:8] + b"\1" * 36

    assert modes(tmp_path / "video0", endless)
    assert len(asked) <= MOST + MOST * MOST


@pytest.mark.parametrize("name", ["gone", "plain"])
def test_what_is_no_camera_offers_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain").touch()
    assert modes(tmp_path / name) == {}
