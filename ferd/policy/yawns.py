"""Say which closed eyes belong to a yawn or a laugh: they are no sleep until they stay closed after it.

A yawn lasts 6 s on average (Provine, "Yawning as a stereotyped action pattern and releasing stimulus", Ethology 72,
1986). Many people hold a hand before it: the mouth was wide open, then it cannot be read or, since the mouth model
takes a hand for a closed mouth, it seems closed while the head is still tilted back.
"""

from __future__ import annotations

MOST_S = 8.0
"""No yawn explains more seconds of one closure than this: a sleeping driver's mouth may hang open."""
AFTER_S = 0.5
"""The eyes open this much later than the mouth closes."""
TILTED = 5.0
"""Degrees by which the head is tilted back, from where it was when the mouth opened. A sleeping head sinks forward."""


class YawnOrLaugh:
    """Follow one mouth."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._wide_until = 0.0
        self._pitch: float | None = None

    @property
    def is_long(self) -> bool:
        """Whether the mouth has been open for longer than any yawn: a laugh, or a jaw that hangs."""
        return self._since is not None and self._wide_until - self._since > MOST_S

    def add(self, start: float, end: float, wide: bool | None, pitch: float | None = None) -> bool:
        """Add an interval; return whether closed eyes in it belong to a yawn or a laugh.

        Args:
            start, end: seconds.
            wide: the mouth is wide open; None where it cannot be read.
            pitch: of the head in degrees, down positive; None where it is not measured.
        """
        if wide:
            if self._since is None:
                self._since, self._pitch = start, pitch
            self._wide_until = end
            return True
        if self._since is None:
            return False
        tilted = pitch is not None and self._pitch is not None and self._pitch - pitch >= TILTED
        if (wide is None or tilted) and end - self._since <= MOST_S:
            return True  # a hand before the mouth
        if end - self._wide_until <= AFTER_S:
            return True
        self._since = None
        return False
