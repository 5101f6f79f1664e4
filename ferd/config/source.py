"""Camera source strings: validation before anything is opened, and redaction of secrets."""

from __future__ import annotations

import re
from pathlib import Path

from ferd.fs import exists

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
FORMS = (
    '"auto", "picamera2" or "picamera2:1", "usb" (the first webcam), "usb:1" or "/dev/video1", "/dev/v4l/by-id/…", '
    'a video file, a folder of pictures, "rtsp://…", "http://…", "https://…", "demo"'
)
_SECRET = re.compile(r"((?:pass(?:word|wd)?|pwd|token|key|auth|secret)[^=/?&]*=)[^&/?#]*", re.IGNORECASE)
_WORDS = ("auto", "demo", "picamera2", "usb")
_NUMBERED = re.compile(r"(usb|picamera2):")


def check_source(text: str) -> str:
    """Validate a camera source and return it without surrounding blanks.

    Raises:
        ValueError: `text` has none of the known forms; the message lists them.
    """
    text = text.strip()
    if text in _WORDS or text.isdecimal() or text.lower().startswith(SCHEMES):
        return text
    if _NUMBERED.match(text):
        if not text.partition(":")[2].isdecimal():
            raise ValueError(f'source "{text}": write a number after the colon. A source is one of {FORMS}')
        return text
    looks_like_a_path = "/" in text or Path(text).suffix or (text and exists(Path(text)))
    if "://" in text or not looks_like_a_path:
        raise ValueError(f'source "{redact(text)}" is not known, and there is no such file. A source is one of {FORMS}')
    return text


def redact(url: str) -> str:
    """Return the address with its password, and anything else that may be a secret, replaced by ***."""
    scheme, separator, rest = url.partition("://")
    # Split at the last @, unlike the URL standard: a password with an unescaped / or @ must not leak.
    login, at, place = rest.rpartition("@")
    if at:
        user, colon, _password = login.partition(":")
        rest = (f"{user}:***@" if colon else f"{user}@") + place
    return scheme + separator + _SECRET.sub(r"\1***", rest)
