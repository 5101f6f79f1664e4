"""Show an address without what may be a secret in it.

One rule instead of a list of known forms: of an address only scheme, host and port are shown. A user name, a password,
a token in the path or the query, and anything that cannot be told apart from them, is left out.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+(%[\w.-]+)?\])(:\d{1,5})?")
_BARE_IPV6 = re.compile(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%[\w.-]+)?")


def shown(address: str) -> str:
    """Return what may be printed of an address: "mqtt://me:hush@pi:1883/x?key=1" becomes "mqtt://pi:1883/…"."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address if _HOST.fullmatch(address) or _BARE_IPV6.fullmatch(address) else HIDDEN
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]{0,31}", scheme):
        return HIDDEN
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    host = authority.rpartition("@")[2]
    # An @ behind the first slash: a password may contain that slash, so nothing shows where the host begins.
    if "@" in tail or not _HOST.fullmatch(host):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{host}{'/…' if tail.strip('/') else ''}"
