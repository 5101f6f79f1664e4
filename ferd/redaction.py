"""Show values of the configuration without what may be a secret in them: one rule for every output.

A value is shown as it is where it consists of what cannot hold a secret: a word, a number, a host and a port, a path.
Of an address only scheme, host and port are shown: a user name, a password, a token in the path or the query, and
anything that cannot be told apart from them, is left out. No list of known forms: what does not fit is "***".
"""

from __future__ import annotations

import re
from pathlib import Path

from ferd.fs import exists

HIDDEN = "***"
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\])(:\d{1,5})?")
_BARE_IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%[\w.-]+)?")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,31}")
_IN_TEXT = re.compile(r"""[a-zA-Z][a-zA-Z0-9+.-]{0,31}://[^\s"'<>]*""")
_SECRET_MARKS = re.compile(r"[:@?&=#;%\\]|^/{2}|//")
"""Characters of logins, queries and addresses. The names of files have them seldom."""
_NUMBERED = re.compile(r"[a-z0-9]+:\d{1,5}")
"""Such as "usb:1", or a shape ("16:9")."""
_PLAIN_USER = re.compile(r"[\w.+@ -]{0,32}")
"""Some brokers take a token as the user name; those are longer."""


def redact_address(address: str) -> str:
    """Return what may be printed of an address: "mqtt://me:hush@pi:1883/x?key=1" becomes "mqtt://pi:1883/…"."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address if _HOST.fullmatch(address) or _BARE_IPV6.fullmatch(address) else HIDDEN
    if not _SCHEME.fullmatch(scheme):
        return HIDDEN
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    # An @ behind the first slash: a password may contain that slash, so nothing shows where the host begins.
    if "@" in tail or not _HOST.fullmatch(host):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{host}{'/…' if tail.strip('/') else ''}"


def redact_value(text: str) -> str:
    """Return a value that may be an address, also a mistyped one: the source of a camera, or what stands for it.

    Cameras take passwords in the login, the path (/USER/PASSWORD/ch1) and the query. A word, a number and the path of a
    file are returned as they are; a path with the marks of an address only if it exists, or its first folder does.
    """
    if not _SECRET_MARKS.search(text) or _NUMBERED.fullmatch(text):
        return text
    if "://" not in text and _is_on_this_machine(text):
        return text
    return redact_address(text.strip())


def redact_username(name: str) -> str:
    """Return what may be printed of a user name: it may hold the password as well ("USER:PASSWORD"), or be a token."""
    user, colon, _ = name.partition(":")
    if not _PLAIN_USER.fullmatch(user):
        return HIDDEN
    return f"{user}:{HIDDEN}" if colon else user


def redact_text(text: str) -> str:
    """Return a text, such as a message of a library, with every address in it redacted."""
    return _IN_TEXT.sub(lambda found: _redacted(found[0]), text)


def _redacted(address: str) -> str:
    shown = redact_address(address)
    return address if address.rstrip("/") == shown else shown


def _is_on_this_machine(text: str) -> bool:
    if exists(Path(text)):
        return True
    if text.startswith("~"):
        return re.match(r"~[\w.-]*/", text) is not None
    first = re.match(r"(\.{0,2})/([^/]+)/", text)
    return first is not None and exists(Path(first[0]))
