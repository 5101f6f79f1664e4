"""[cameras.NAME]: where pictures come from, and how they are turned before they are analysed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ferd.config.schema.values import File, Flag, Name, Number, Section, Whole
from ferd.config.source import check_source, is_address, login_of


def _rectangles(value: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    for x, y, w, h in value:
        if x < 0 or y < 0 or w <= 0 or h <= 0:
            raise ValueError(f"[{x}, {y}, {w}, {h}] is not a rectangle: use [left, top, width, height] in pixels")
    return value


_ASPECT = re.compile(r"(\d{1,4}(?:\.\d{1,4})?):(\d{1,4}(?:\.\d{1,4})?)")


def _aspect(text: str) -> str:
    match = _ASPECT.fullmatch(text.strip())
    if not match or not (float(match[1]) and float(match[2]) and 1 / 5 <= float(match[1]) / float(match[2]) <= 5):
        raise ValueError('write width and height as two numbers, such as "16:9"')
    return text.strip()


def aspect_ratio(text: str) -> float:
    """Return width divided by height of a valid `aspect`: 1.78 for "16:9"."""
    width, _, height = text.partition(":")
    return float(width) / float(height)


RESERVED = ("request", "response")
"""Topic levels of the node itself (ferd/<node>/request/…), which no camera can use as its name."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is a topic of the node itself; give the camera another name")
    return name


CameraName = Annotated[Name, AfterValidator(_not_reserved)]


class CameraConfig(Section):
    source: Annotated[str, AfterValidator(check_source)] = Field(default="auto", repr=False)
    """"auto", "picamera2", "usb", "usb:1", "/dev/video0", "/dev/v4l/by-id/…", a video file, a picture or a folder of
    pictures, "rtsp://…", "http://…" (MJPEG, a snapshot or video), "demo", or "browser": the camera of the device that
    shows the page (docs/page.md; a second one is "browser:2")."""
    width: Annotated[Whole, Field(ge=64, le=4096)] = 640
    """Requested width of the picture, in pixels."""
    height: Annotated[Whole, Field(ge=48, le=4096)] = 480
    """Requested height of the picture, in pixels."""
    fps: Annotated[Number, Field(gt=0, le=120)] = 15
    """Requested frames per second. Frames that the board cannot analyse in time are skipped and counted."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Rotate the picture clockwise, in degrees."""
    aspect: Annotated[str, AfterValidator(_aspect)] | None = None
    """Width to height of the picture as it should look, such as "16:9" or "4:3", for cameras that send squeezed
    pictures. Not set: as the camera or file says. Applied before `rotate`."""
    max_megapixels: Annotated[Number, Field(ge=0.1, le=200)] = 64
    """Larger pictures are refused before they are decoded."""
    source_password_file: File | None = Field(default=None, repr=False)
    """File whose first line is the password of the address in `source`, which then contains the user only:
    "rtsp://USER@HOST/PATH". A systemd credential is such a file: /run/credentials/ferd.service/NAME."""
    tls_verify: Flag = True
    """Check the certificate of an https:// or rtsps:// camera. false: accept any, as cameras often sign their own."""

    @model_validator(mode="after")
    def _one_password(self) -> CameraConfig:
        if self.source_password_file is not None:
            user, password = login_of(self.source) if is_address(self.source) else ("", "")
            if password or not user:
                raise ValueError(
                    'source_password_file needs the user, and no password, in source: "rtsp://USER@HOST/PATH"'
                )
        return self

    mirror: Flag = False
    """Swap left and right, as in a mirror."""
    ignore_zones: Annotated[list[tuple[int, int, int, int]], AfterValidator(_rectangles)] = Field(default_factory=list)
    """Rectangles [left, top, width, height] in pixels in which faces are ignored (a poster, a television)."""
