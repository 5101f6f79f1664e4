"""The forms of a camera's source, as text: what can be said of it before anything is opened."""

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
    """The source without blanks around it. Raises ValueError that lists the forms when it is none of them."""
    text = text.strip()
    if text in _WORDS or text.isdecimal() or text.lower().startswith(SCHEMES):
        return text
    if _NUMBERED.match(text):
        if not text.partition(":")[2].isdecimal():
            raise ValueError(f'source "{text}": a number belongs behind the colon. A source is one of {FORMS}')
        return text
    looks_like_a_path = "/" in text or Path(text).suffix or (text and exists(Path(text)))
    if "://" in text or not looks_like_a_path:
        raise ValueError(f'source "{redact(text)}" is not known, and no such file is here. A source is one of {FORMS}')
    return text


def redact(url: str) -> str:
    """The address without its secrets: the password (or anything that could be one) becomes ***."""
    scheme, separator, rest = url.partition("://")
    # By the last @, not by the rules: a password with an unescaped / or @ must not slip through.
    login, at, place = rest.rpartition("@")
    if at:
        user, colon, _password = login.partition(":")
        rest = (f"{user}:***@" if colon else f"{user}@") + place
    return scheme + separator + _SECRET.sub(r"\1***", rest)
