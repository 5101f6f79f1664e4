"""What became of each connection: one log line per change, what it teaches, and how long to wait before the next."""

from __future__ import annotations

import logging
import secrets
import ssl
from dataclasses import dataclass
from typing import Literal

from ferd.outputs.mqtt.backoff import Backoff
from ferd.outputs.mqtt.broker_settings import BrokerSettings
from ferd.outputs.mqtt.client import MqttConnection, Protocol
from ferd.outputs.mqtt.tls import explain

SHORT_LIVES = 3
"""So many connections in a row that did not last: somebody takes them away."""
STABLE_AFTER_S = 30.0
"""A connection that ended earlier does not calm the backoff: two clients with one id kick each other out."""

log = logging.getLogger("ferd.outputs.mqtt.client")

Kind = Literal[
    "connected", "lost", "absent", "silent", "refused", "unwilling", "untrusted", "protocol", "broken", "stopped"
]

_REMEDIES: dict[Kind, str] = {
    "absent": "is the broker running and reachable?",
    "silent": "is this an MQTT broker? with TLS?",
    "refused": "check mqtt.username and mqtt.password_file; does the ACL let this user in?",
    "unwilling": "see the broker's log",
    "protocol": "is this an MQTT broker? with TLS?",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt to connect, or a connection, ended. ``lasted_s`` is None where there was none.

    ``remedy``: where there is a better one than that of the kind.
    """

    kind: Kind
    reason: str = ""
    lasted_s: float | None = None
    remedy: str = ""


class ConnectionPolicy:
    """Of one publisher. ``client_id``: under which it is to connect next."""

    def __init__(self, target: BrokerSettings, client_id: str, backoff: Backoff) -> None:
        self.client_id = client_id
        self.backoff = backoff
        self._where = f"host={target.host} port={target.port}"
        self._told: Kind | None = None
        self._short_lives, self._is_renamed = 0, False

    def connected(self, protocol: Protocol) -> None:
        self._told = "connected"
        if self._short_lives <= SHORT_LIVES:
            log.info("connected %s protocol=%s", self._where, protocol)

    def ended(self, ending: Ending) -> None:
        """One line per change of state; what stays as it is was told already."""
        if ending.lasted_s is not None:
            stable = ending.lasted_s >= STABLE_AFTER_S
            self._short_lives = 0 if stable else self._short_lives + 1
        if ending.kind == self._told or self._short_lives > SHORT_LIVES:
            return
        self._told = ending.kind
        if ending.kind == "lost":
            log.warning('lost %s reason="%s" after_s=%.0f', self._where, ending.reason, ending.lasted_s or 0.0)
            if self._short_lives == SHORT_LIVES:
                self._end_the_war()
        elif remedy := ending.remedy or _REMEDIES.get(ending.kind):
            log.warning('%s %s reason="%s" remedy="%s"', ending.kind, self._where, ending.reason, remedy)

    def pause_s(self, ending: Ending) -> float:
        """How long to wait before the next attempt."""
        if ending.kind in ("refused", "untrusted"):
            return self.backoff.slow()
        if ending.lasted_s is not None and ending.lasted_s >= STABLE_AFTER_S:
            self.backoff.reset()
        return self.backoff.next()

    def _end_the_war(self) -> None:
        """Two clients with one id kick each other out for ever. One must give in, and it can only be us.

        Brokers do not always say who it was (mosquitto 2.0.11 hangs up without a word), so we give in once and see.
        If it was only a bad line, the broker may yet say offline of us under the old id: the publisher corrects it.
        """
        log.warning(
            'no connection lasts client_id=%s remedy="is another ferd running under the same node.name? give one '
            'another name, and on the same machine another node.id"',
            self.client_id,
        )
        if not self._is_renamed:
            self.client_id, self._is_renamed = f"{self.client_id}-{secrets.token_hex(2)}", True
            log.warning("goes on under another id client_id=%s", self.client_id)


def failure(link: MqttConnection, error: Exception, lasted_s: float | None) -> Ending:
    """What an exception says of a connection."""
    if isinstance(error, ssl.SSLError) and link.answer is None:
        reason, remedy = explain(error)
        return Ending("untrusted", reason, remedy=remedy)
    if isinstance(error, OSError):
        kind: Kind = "absent" if link.answer is None else "lost"
        return Ending(kind, error.strerror or str(error), lasted_s)
    if link.answer is None:  # paho could not read the answer
        return Ending("protocol", repr(error))
    log.error("broken, connecting anew", exc_info=error)
    return Ending("broken", repr(error))
