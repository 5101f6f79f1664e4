"""Make the source that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from ferd.config import CameraConfig
from ferd.config.schema.cameras import aspect_ratio
from ferd.config.source import is_address, is_browser
from ferd.fs import expand, is_dir
from ferd.pictures import PICTURE_SUFFIXES, UNREADABLE_SUFFIXES
from ferd.sources import v4l2
from ferd.sources.base import Source
from ferd.sources.browser import BrowserCamera
from ferd.sources.demo import DemoScene
from ferd.sources.file import PictureFolder, VideoFile
from ferd.sources.picamera2 import PiCamera
from ferd.sources.stall import Timing
from ferd.sources.stream import StreamCamera
from ferd.sources.usb import UsbCamera
from ferd.sources.wrappers import FirstWorkingSource, PacedSource, RotatedSource, StretchedSource

HOLD_S = 1.0
"""How long `replay` looks at a single picture: longer than a face must be seen to exist."""


def open_source(config: CameraConfig, *, live: bool, demo: bool = False) -> Source:
    """Make the source that `config` names, rotated as it says. Nothing is opened yet: its ``open()`` does that.

    `live`: for the daemon, where files and the demo scene repeat at their own speed; else (replay) they are read once,
    as fast as possible. `demo`: "auto" falls back to the demo scene. The forms of a source: config/source.py.
    """
    source = _unrotated(config, live=live, demo=demo)
    if config.aspect is not None:
        source = StretchedSource(source, aspect_ratio(config.aspect))
    if config.rotate or config.mirror:
        return RotatedSource(source, rotate=config.rotate, mirror=config.mirror)
    return source


def _unrotated(config: CameraConfig, *, live: bool, demo: bool) -> Source:
    text = config.source
    names: dict[str, Callable[[], Source]] = {
        "auto": lambda: FirstWorkingSource(lambda: _candidates(config, live=live, demo=demo)),
        "demo": lambda: _demo(config, live=live),
        "picamera2": lambda: _pi_camera(0, config),
        "usb": lambda: UsbCamera(None, **_format(config)),
    }
    if text in names:
        return names[text]()
    if is_browser(text):
        return BrowserCamera(text, frame_s=Timing.of(config.fps).frame_s)
    if is_address(text):
        timing = Timing.of(config.fps)
        return StreamCamera(
            text,
            open_s=timing.first_frame_s,
            read_s=timing.frame_s,
            fps=config.fps,
            password_file=config.source_password_file,
            tls_verify=config.tls_verify,
            max_megapixels=config.max_megapixels,
        )
    return _numbered(text, config) or _file(text, config, live=live)


def _numbered(text: str, config: CameraConfig) -> Source | None:
    """Make a camera by its number or its device node; None when `text` is neither."""
    kind, _, number = text.partition(":")
    if kind == "picamera2":
        return _pi_camera(int(number), config)
    if kind == "usb" or text.isdecimal():
        return UsbCamera(v4l2.DEV / f"video{int(number or text)}", **_format(config))
    return UsbCamera(text, **_format(config)) if text.startswith("/dev/") else None


class Format(TypedDict):
    """What a camera is asked for; what it delivers may differ."""

    width: int
    height: int
    fps: float


def _format(config: CameraConfig) -> Format:
    return Format(width=config.width, height=config.height, fps=config.fps)


def _pi_camera(number: int, config: CameraConfig) -> PiCamera:
    return PiCamera(number, **_format(config), read_s=Timing.of(config.fps).frame_s)


def _file(text: str, config: CameraConfig, *, live: bool) -> Source:
    path = expand(text)
    source: Source
    limit = config.max_megapixels
    if is_dir(path) or path.suffix.lower() in PICTURE_SUFFIXES | UNREADABLE_SUFFIXES:
        source = PictureFolder(path, fps=config.fps, loop=live, hold_s=0 if live else HOLD_S, max_megapixels=limit)
    else:
        source = VideoFile(path, loop=live, hold_s=0 if live else HOLD_S, max_megapixels=limit)
    return PacedSource(source) if live else source


def _demo(config: CameraConfig, *, live: bool) -> Source:
    scene = DemoScene(fps=config.fps, loop=live)
    return PacedSource(scene) if live else scene


def _candidates(config: CameraConfig, *, live: bool, demo: bool) -> list[Source]:
    """List what "auto" tries, best first. Without picamera2 installed its camera fails at once, so it costs nothing."""
    webcams = [UsbCamera(node.path, **_format(config)) for node in v4l2.cameras()]
    found: list[Source] = [_pi_camera(0, config), *webcams]
    return [*found, _demo(config, live=live)] if demo else found
