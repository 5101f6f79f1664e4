"""Remember that a broker speaks MQTT 3.1.1 only. Pure: no clock, no network.

A connect of a version that it does not know costs a broker more than one that it accepts: RabbitMQ 3.10 writes a crash
report of about 100 lines for each. When 500 ferds returned to three of its nodes after a fault, these were nearly all
of its log, and the cluster fell ever further behind. So after two refusals of MQTT 5 the older version is tried first.
Now and then the newer one is tried again, since a broker may have been upgraded.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ferd.outputs.mqtt.client import Protocol

REFUSALS = 2
"""A broker that is starting may close one connection without an answer and accept the next."""
NEWER_AGAIN = 1 / 16
"""Probability that the newer version is tried first all the same: a fleet does not do it in one moment."""


class ProtocolMemory:
    """Choose which version to try first. ``prefer``: before anything is known. One count for all servers of a cluster:
    they run the same software, apart from the hour of an upgrade."""

    def __init__(self, prefer: Protocol = "5", chance: Callable[[], float] = random.random) -> None:
        self._prefer, self._chance = prefer, chance
        self._refusals = 0

    def first(self) -> Protocol:
        """Return the version for the next connection."""
        if self._refusals >= REFUSALS and self._chance() >= NEWER_AGAIN:
            return "3.1.1"
        return self._prefer

    def accepted(self, version: Protocol, *, other_was_refused: bool = False) -> None:
        """Note that a server accepted this version, possibly at once after it had refused the other one."""
        if version == "5":
            self._refusals = 0
        elif other_was_refused:
            self._refusals += 1
