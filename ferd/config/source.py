"""Camera source strings: validation before anything is opened."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ferd.fs import exists
from ferd.redaction import redact_value

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
FORMS = (
    '"auto", "picamera2" or "picamera2:1", "usb" (the first webcam), "usb:1" or "/dev/video1", "/dev/v4l/by-id/…", '
    'a video file, a picture or a folder of pictures, "rtsp://…", "http://…", "https://…", "browser" (the camera of '
    'the device that shows the page), "demo"'
)
_WORDS = ("auto", "browser", "demo", "picamera2", "usb")
_NUMBERED = re.compile(r"(browser|usb|picamera2):")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?::/|//)|//")
ENCODE = (
    "a user or password in an address may not contain @ : / ? # % and blanks as they are: write %40 %3A %2F %3F %23 "
    "%25 %20, or put the password into a file of its own and name that in source_password_file"
)


def check_source(text: str) -> str:
    """Validate a camera source and return it without surrounding blanks.

    Raises:
        ValueError: `text` has none of the known forms; the message lists them. Or an address that cannot be parsed,
            most likely because of the password in it. Never contains the password.
    """
    text = text.strip()
    if is_address(text):
        _check_address(text)
        return text
    if text in _WORDS or text.isdecimal():
        return text
    if _NUMBERED.match(text):
        if not text.partition(":")[2].isdecimal():
            kind = text.partition(":")[0]
            raise ValueError(f'source "{kind}:…": write a number after the colon. A source is one of {FORMS}')
        return text
    looks_like_a_path = "/" in text or Path(text).suffix or (text and exists(Path(text)))
    if "://" in text or redact_value(text) != text or not looks_like_a_path:
        raise ValueError(
            f'source "{redact_value(text)}" is not known, and there is no such file. A source is one of {FORMS}'
        )
    return text


def is_address(text: str) -> bool:
    """Whether a source is the address of a network camera."""
    return text.lower().startswith(SCHEMES)


def is_browser(text: str) -> bool:
    """Whether pictures of a source come from a browser that shows the page."""
    return text.partition(":")[0] == "browser"


def _check_address(url: str) -> None:
    """Raise ValueError where the address can be read in more than one way, or in none."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
        host = parts.hostname
    except ValueError:
        port_fits, host = False, None
    login, at, _place = url.partition("://")[2].rpartition("@")
    # An unescaped / ? # in the password ends the authority early: the @ then stands in path, query or fragment.
    raw = bool(at) and re.search(r"[@/?#\s]|%(?![0-9A-Fa-f]{2})", login) is not None
    beyond = parts.path + parts.query + parts.fragment if port_fits else ""
    if raw and port_fits and parts.username is None and not re.search(r":[^/]*$", login.split("/")[0]):
        raw = "@" not in beyond  # an @ in the path of an address without a login is not a password's
    if raw:
        raise ValueError(f'source "{redact_value(url)}": {ENCODE}')
    if not port_fits or not host:
        raise ValueError(f'source "{redact_value(url)}" is not an address: it is SCHEME://HOST:PORT/PATH. If it has a '
                         f"password: {ENCODE}")  # fmt: skip


def login_of(url: str) -> tuple[str, str]:
    """Return user and password of an address, decoded; "" where there is none."""
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")
