"""Short forms of user-chosen names, for topics, payloads and entity ids."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 32


def slug(name: str, longest: int = LONGEST) -> str:
    """Convert a name to a-z, 0-9 and hyphens: "Sad for long" becomes "sad-for-long".

    A name without Latin letters and digits becomes x and six hex digits of its sha256. The slug of a slug is itself.
    """
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:longest].strip("-")
    return short or f"x{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:6]}"


NO_VALUES = frozenset({"", "none", "null", "unknown", "unavailable"})
"""States by which Home Assistant and other subscribers say that there is no value, in lower case."""
LONGEST_STATE = 255
"""Characters of a state that Home Assistant accepts (homeassistant/const.py, MAX_LENGTH_STATE_STATE)."""


def label_problem(label: str) -> str | None:
    """Return why this class name cannot be published, as the rest of a sentence; None when it can."""
    if label.strip().lower() in NO_VALUES:
        return "reads like no value in Home Assistant"
    if len(label) > LONGEST_STATE:
        return f"has {len(label)} characters; Home Assistant takes {LONGEST_STATE}"
    return None
