"""Watch ferd's own topics: repair values that somebody else wrote, and notice another ferd with the same node name.

A value on a topic of ours that we did not send comes from a stale last will, from a person, or from another device
that uses our name. It is replaced by our own: at once, then in growing intervals, so that two devices do not answer
each other without end. Another device is recognised by its `info`, which contains an id for each run of ferd; our own
info is then published again, so that the other one notices as well. Pure: no clock, no network.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ferd import topics

WATCHED = (topics.NODE_STATUS, topics.NODE_INFO, topics.CAMERA_STATUS, topics.STATE, topics.ALERT)
"""What may stay as it is for hours: in an empty room no state follows. Each costs a subscription, and with MQTT 3.1.1
its own messages come back, so `health` (every minute), fatigue and the switches are not here: see ``has_twin``."""
FIRST_INTERVAL_S = 10.0
LONGEST_INTERVAL_S = 60.0
"""Below the 90 s after which a user looks for the reason why a living camera is shown as offline."""
CALM_AFTER_S = 600.0
"""A topic that nobody wrote to for this long is repaired at once again."""
REMEMBERED = 16
"""Values of a topic that we sent and may hear again: from a broker of MQTT 3.1.1, or through a bridge. As many as may
be in flight."""
TWIN_AGAIN_S = 3600.0
"""Interval of the log lines about another device that stays."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Another ferd that publishes under our name. ``identity``: its ferd_xxxxxx."""

    identity: str
    run: str


@dataclass(slots=True)
class _Repair:
    """When a topic is repaired next and was last (monotonic seconds), and the interval that is kept."""

    at: float | None = None
    last: float = float("-inf")
    interval_s: float = 0.0


@dataclass(slots=True)
class OwnTopics:
    """The topics of one node. ``run``: the id of this run, as in our info; empty: no other device is recognised."""

    node: str
    run: str = ""
    twin: Twin | None = None
    _repairs: dict[str, _Repair] = field(default_factory=dict)
    _sent: dict[str, deque[bytes]] = field(default_factory=dict)
    _twin_at: float = float("-inf")

    def filters(self, cameras: Sequence[str] = ("+",)) -> list[str]:
        """Return what is to be subscribed to: with a wildcard, or for each of these cameras."""
        found = [topic.at(node=self.node, camera=camera) for camera in cameras for topic in WATCHED]
        return list(dict.fromkeys(found))

    def is_own(self, topic: str) -> bool:
        """Return whether values on this topic are watched."""
        return any(it.names_in(topic) is not None and f"ferd/{self.node}/" in topic for it in WATCHED)

    @property
    def has_twin(self) -> bool:
        """Whether another device was noticed. When it goes, every retained topic may hold a value of its own."""
        return self.twin is not None

    def sent(self, topic: str, payload: bytes) -> None:
        """Note that we sent a value on a topic that is watched."""
        self._sent.setdefault(topic, deque(maxlen=REMEMBERED)).append(payload)

    def received(self, topic: str, payload: bytes, ours: bytes | None, now: float) -> Twin | None:
        """Note a value that arrived. ``ours``: the value that the topic should have; None: we publish none there.

        Returns the other device when it is to be reported: when it is new, and every TWIN_AGAIN_S.
        """
        if ours is None or payload == ours or payload in self._sent.get(topic, ()):
            return None
        repair = self._repairs.setdefault(topic, _Repair())
        if repair.at is None:
            if now - repair.last > CALM_AFTER_S:
                repair.interval_s = 0.0
            repair.at = max(now, repair.last + repair.interval_s)
        twin = self._read_twin(topic, payload)
        if twin is None or (twin == self.twin and now - self._twin_at < TWIN_AGAIN_S):
            return None
        self.twin, self._twin_at = twin, now
        return twin

    def due(self, now: float) -> list[str]:
        """Return the topics whose value is to be published again now; they count as repaired."""
        found = [topic for topic, repair in self._repairs.items() if repair.at is not None and repair.at <= now]
        for topic in found:
            repair = self._repairs[topic]
            interval_s = min(LONGEST_INTERVAL_S, max(FIRST_INTERVAL_S, 2 * repair.interval_s))
            repair.at, repair.last, repair.interval_s = None, now, interval_s
        return found

    def next_at(self) -> float | None:
        """Return when ``due`` will have something."""
        return min((it.at for it in self._repairs.values() if it.at is not None), default=None)

    def _read_twin(self, topic: str, payload: bytes) -> Twin | None:
        if not self.run or topics.NODE_INFO.names_in(topic) is None:
            return None
        try:
            info = json.loads(payload)
            identity, run = info["id"], info["run"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if not isinstance(identity, str) or not isinstance(run, str) or run == self.run:
            return None
        return Twin(_short(identity), _short(run))


def _short(text: str) -> str:
    """Return what may stand in a log line: somebody else chose it."""
    return "".join(sign for sign in text[:32] if sign.isalnum() or sign in "_-")
