"""Short forms of names that people chose: for topics, payloads and identities."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 32


def slug(name: str, longest: int = LONGEST) -> str:
    """``name`` in a-z, 0-9 and hyphens: "Sad for long" becomes "sad-for-long".

    What is left of no Latin letter is named by six hex digits of its sha256. A slug is its own slug.
    """
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:longest].strip("-")
    return short or f"x{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:6]}"
