"""Decide when another label replaces the one that is held: a cumulative sum test (CUSUM) for each label.

After Page 1954, "Continuous inspection schemes", with time instead of samples: while another label leads, its lead
(the logarithm of the ratio of the two probabilities, less a required one, at most LIMIT) is summed up over time; while
it does not, the sum decreases, never below 0. A change needs the sum that the strongest lead collects in
`needed_s`. So a clear change is adopted after `needed_s`, a doubtful one later, and an excursion that lasts a syllable
never: the time that follows takes its evidence back. Of all tests with as few false alarms, this one is the quickest
(Moustakides 1986).

Pure: no clock, no camera. `scripts/bench-smoothing` measures the result.
"""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 2.5
"""Lead, in nats, beyond which a frame counts no more: a model's certainty about one frame is worth little."""
AGAINST = 1.5
"""Frames that speak for the held label count up to this many times as much: a mouth that is open half of the time while
it talks must not win by chance."""
LEAST = -AGAINST * LIMIT
FRAME_SHARE = 0.6
"""A frame brings at most this share of what a change needs: a single frame never decides."""

Values = tuple[float, ...]
"""One number per label. Plain floats: for this few numpy takes three times as long."""


class Evidence:
    """Collect evidence against one held label.

    ``shares``: per label, the share of the evidence that it needs to replace the held one, 0 to 1.
    """

    def __init__(self, labels: int) -> None:
        self.shares: Values = (0.0,) * labels
        self._before: Sequence[float] | None = None

    def update(self, logs: Sequence[float], held: int, required: float, passed: float, needed_s: float) -> int | None:
        """Add a frame, and return the label that has enough evidence to replace the held one, or None.

        The time since the frame before counts half by that frame and half by this one: what is seen in two frames at 5
        frames a second may have lasted for 0.2 s.

        Args:
            logs: log-probabilities, one per label.
            held: index of the label that is held.
            required: the lead in nats that does not count yet.
            passed: seconds since the frame before.
            needed_s: seconds of the strongest lead that a change needs; at 0 each frame decides by itself.
        """
        least = logs[held] + required
        if needed_s <= 0:
            top = max(range(len(logs)), key=logs.__getitem__)
            self.shares = tuple(float(one == top != held and logs[top] >= least) for one in range(len(logs)))
        else:
            before = logs if self._before is None else self._before
            least_before = before[held] + required
            weight = min(passed / needed_s, FRAME_SHARE) / LIMIT / 2
            leads = [_limited(log - least) for log in logs]
            leads_before = [_limited(old - least_before) for old in before]
            sums = [
                share + weight * (earlier + now)
                for share, earlier, now in zip(self.shares, leads_before, leads, strict=True)
            ]
            self.shares = tuple([0.0 if total < 0.0 else 1.0 if total > 1.0 else total for total in sums])
        self._before = logs
        return self._winner(logs, held)

    def reset(self) -> None:
        """Begin again: another label is held."""
        self.shares = (0.0,) * len(self.shares)

    def _winner(self, logs: Sequence[float], held: int) -> int | None:
        enough = [one for one, share in enumerate(self.shares) if share >= 1 - 1e-9 and one != held]
        return max(enough, key=logs.__getitem__) if enough else None


def _limited(lead: float) -> float:
    return LEAST if lead < LEAST else LIMIT if lead > LIMIT else lead
