"""Measure the lids in units of the person's own open eye, and weigh that against the word of the eyes model.

The eyes model sees texture, the landmarks model sees contours: they err differently. The aperture of an open eye
differs from person to person by a factor of two (0.08 to 0.18 eye distances: 5th to 95th percentile of 161 whole
faces), so it is compared with the person's own. Behind glasses or in the dark the landmarks model may guess lids that
never move: its word counts only once it has seen this person's lids close.
"""

from __future__ import annotations

from ferd.policy.histogram import ForgettingHistogram

OPEN_QUANTILE = 0.7
"""Of the apertures of eyes that the model calls open: above the middle, as some of them are narrowed or lowered."""
LEARN_S = 5.0
LEARN_CLOSED_S = 0.3
"""Two or three blinks."""
MEMORY_S = 300.0
MOVES = 0.6
"""The lids are known to move when closed eyes, in the median, were measured below this share of the open ones. On six
clips of real people: 0.25 to 0.55. So a contradiction between lids and eyes model that lasts for seconds ends the trust
in the lids, not in the model: a driver may have put on glasses."""
LARGEST = 0.4
"""Upper end of the apertures in eye distances."""

WIDE_OPEN = 0.9
"""No closed eye: the lids stand as far apart as in open ones, however certain the eyes model is."""
CONTRADICTED = 0.7
"""The same when the eyes model is not quite certain (below CERTAIN)."""
CERTAIN = 0.95
SHUT = 0.35
"""Closed although the eyes model only says nearly so. Shut eyes of whole faces: median 0.15, 75th percentile 0.33."""


class OwnLids:
    """Learn the apertures of one person's open and closed eyes."""

    def __init__(self) -> None:
        self._open = ForgettingHistogram(0.0, LARGEST, 80, MEMORY_S)
        self._closed = ForgettingHistogram(0.0, LARGEST, 80, MEMORY_S)
        self._refreshed_s = 0.0
        self._own: float | None = None
        self._moves = False

    def add(self, length_s: float, lids: float, *, closed: bool) -> None:
        """Add seconds in which the eyes model called the eyes open or closed."""
        (self._closed if closed else self._open).add(length_s, lids)
        self._refreshed_s += length_s
        if self._refreshed_s >= 0.5:
            self._refreshed_s = 0.0
            self._own = self._open.quantile(OPEN_QUANTILE) if self._open.total_s >= LEARN_S else None
            enough = self._own is not None and self._closed.total_s >= LEARN_CLOSED_S
            self._moves = enough and self._closed.quantile(0.5) <= MOVES * (self._own or 0.0)

    def share(self, lids: float | None) -> float | None:
        """Return the aperture as a share of the person's open eye; None while that is not known."""
        if lids is None or self._own is None or self._own <= 0:
            return None
        return max(lids / self._own, 0.0)

    @property
    def moves(self) -> bool:
        """Whether the measured lids follow this person's eyes."""
        return self._moves


def join(degree: float, share: float | None, closed: float, opened: float) -> float:
    """Return how closed the eyes are, 0 to 1, by both words.

    Args:
        degree: by the eyes model.
        share: the aperture as a share of the open eye; None where it is not known or not to be trusted.
        closed, opened: limits of `degree` for closed and open eyes. In between eyes are neither.
    """
    if share is None:
        return degree
    between = (closed + opened) / 2
    if degree >= closed and share >= (WIDE_OPEN if degree >= CERTAIN else CONTRADICTED):
        return between
    if between <= degree < closed and share <= SHUT:
        return closed
    return degree
