"""From the source string of a configuration to a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from ferd.config.models import CameraConfig
from ferd.config.source import SCHEMES
from ferd.fs import expand, is_dir
from ferd.sources import v4l2
from ferd.sources.auto import FirstWorkingSource
from ferd.sources.base import Source
from ferd.sources.demo import DemoScene
from ferd.sources.file import PICTURE_SUFFIXES, PictureFolder, VideoFile
from ferd.sources.paced import PacedSource
from ferd.sources.picamera2 import PiCamera
from ferd.sources.stream import StreamCamera
from ferd.sources.turn import RotatedSource
from ferd.sources.usb import UsbCamera


def open_source(config: CameraConfig, *, live: bool, demo: bool = False) -> Source:
    """The source that `config` names, turned as it says. Nothing is opened yet: its ``open()`` does that.

    `live`: for the daemon, where files and the demo scene repeat at their own speed; else (replay) they are read as
    fast as they can, once. `demo`: "auto" falls back to the demo scene. What forms a source has: config/source.py.
    """
    source = _plain(config, live=live, demo=demo)
    if config.rotate or config.mirror:
        return RotatedSource(source, rotate=config.rotate, mirror=config.mirror)
    return source


def _plain(config: CameraConfig, *, live: bool, demo: bool) -> Source:
    text = config.source
    words: dict[str, Callable[[], Source]] = {
        "auto": lambda: FirstWorkingSource(lambda: _candidates(config, live=live, demo=demo)),
        "demo": lambda: _demo(config, live=live),
        "picamera2": lambda: PiCamera(**_wishes(config)),
        "usb": lambda: UsbCamera(None, **_wishes(config)),
    }
    if text in words:
        return words[text]()
    if text.lower().startswith(SCHEMES):
        return StreamCamera(text)
    return _numbered(text, config) or _file(text, config, live=live)


def _numbered(text: str, config: CameraConfig) -> Source | None:
    """A camera by its number or its device node; None when `text` is neither."""
    kind, _, number = text.partition(":")
    if kind == "picamera2":
        return PiCamera(int(number), **_wishes(config))
    if kind == "usb" or text.isdecimal():
        return UsbCamera(v4l2.DEV / f"video{int(number or text)}", **_wishes(config))
    return UsbCamera(text, **_wishes(config)) if text.startswith("/dev/") else None


class Wishes(TypedDict):
    """What a camera is asked for; what it gives is up to the camera."""

    width: int
    height: int
    fps: float


def _wishes(config: CameraConfig) -> Wishes:
    return Wishes(width=config.width, height=config.height, fps=config.fps)


def _file(text: str, config: CameraConfig, *, live: bool) -> Source:
    path = expand(text)
    source: Source
    if is_dir(path) or path.suffix.lower() in PICTURE_SUFFIXES:
        source = PictureFolder(path, fps=config.fps, loop=live)
    else:
        source = VideoFile(path, loop=live)
    return PacedSource(source) if live else source


def _demo(config: CameraConfig, *, live: bool) -> Source:
    scene = DemoScene(fps=config.fps, loop=live)
    return PacedSource(scene) if live else scene


def _candidates(config: CameraConfig, *, live: bool, demo: bool) -> list[Source]:
    """What "auto" tries, best first. A box without picamera2 says so at once, so asking costs nothing."""
    webcams = [UsbCamera(node.path, **_wishes(config)) for node in v4l2.cameras()]
    found: list[Source] = [PiCamera(**_wishes(config)), *webcams]
    return [*found, _demo(config, live=live)] if demo else found
