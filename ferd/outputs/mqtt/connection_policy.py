"""Decide after each connection attempt what to log, how long to wait, and under which client id to try again."""

from __future__ import annotations

import logging
import random
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ferd.outputs.mqtt.broker_settings import BrokerSettings, explain
from ferd.outputs.mqtt.client import MqttConnection, NoWebsocketError, Protocol
from ferd.outputs.mqtt.server_limits import ServerLimits

FIRST_S = 1.0
LONGEST_S = 60.0
SHORT_LIVES = 3
"""After this many short connections in a row another client probably uses our id."""
STABLE_AFTER_S = 30.0
"""A connection that ended earlier does not reset the backoff: two clients with one id disconnect each other."""
ANOTHER_FERD_REMEDY = (
    "is another ferd running under the same node.name? give one another name, and on the same machine another node.id"
)
TAKEN_WAITS_S = (10.0, 15.0)
"""Pause after another client with our id connected. `ferd doctor` needs less: it must not be disconnected in turn."""
NO_WEBSOCKET_REMEDY = (
    'check mqtt.port and mqtt.websocket_path; a broker\'s usual port 1883 or 8883 needs transport = "tcp"'
)
ONE_ID_REMEDY = (
    "the broker seems to give all clients of one user the same id (use_username_as_clientid in mosquitto): give each "
    "client a user of its own"
)

log = logging.getLogger("ferd.outputs.mqtt.client")

Kind = Literal[
    "connected",
    "lost",
    "taken",
    "absent",
    "silent",
    "refused",
    "will",
    "unwilling",
    "untrusted",
    "protocol",
    "broken",
    "moved",
    "stopped",
]

_REMEDIES: dict[Kind, str] = {
    "absent": "is the broker running and reachable?",
    "silent": "is this an MQTT broker? with TLS?",
    "refused": "check mqtt.username and mqtt.password_file; does the ACL let this user in?",
    "unwilling": "see the broker's log",
    "will": "the broker accepts no last will: see its log",
    "protocol": "is this an MQTT broker? with TLS?",
}


class Backoff:
    """Return waiting times with full jitter: from nothing to a limit that doubles from ``first_s`` to ``longest_s``.

    Jitter keeps all clients of a broker from reconnecting at the same moment (AWS Architecture Blog, "Exponential
    Backoff and Jitter", 2015). ``chance`` returns a number from 0 to 1.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_s, self._longest_s, self._chance = first_s, longest_s, chance
        self._limit_s = first_s

    def next(self) -> float:
        """Return the seconds to wait now; the limit grows."""
        wait = self._chance() * self._limit_s
        self._limit_s = min(self._limit_s * 2, self._longest_s)
        return wait

    def reset(self) -> None:
        self._limit_s = self._first_s

    def slow(self) -> float:
        """Return the seconds to wait when a person must act first: from half of the longest wait to all of it."""
        return (0.5 + 0.5 * self._chance()) * self._longest_s


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt to connect, or a connection, ended.

    Attributes:
        lasted_s: None if there was no connection.
        remedy: replaces the usual remedy of the kind.
        reference: another server that the broker named.
    """

    kind: Kind
    reason: str = ""
    lasted_s: float | None = None
    remedy: str = ""
    reference: str | None = None


class ConnectionPolicy:
    """Keep the history of one publisher's connections. ``client_id``: the id for the next connection."""

    def __init__(self, settings: BrokerSettings, client_id: str, backoff: Backoff) -> None:
        self.client_id = client_id
        self.backoff = backoff
        self.at(settings)
        self._logged: Kind | None = None
        self._short_lives, self._is_renamed = 0, False
        self._restrictions: tuple[str, ...] = ()
        self._taken_count = 0

    def at(self, settings: BrokerSettings) -> None:
        """Note where the next connection goes."""
        self._where = f"host={settings.host} port={settings.port}"

    def moved(self, reason: str) -> None:
        """Log that the next connection goes to another server."""
        log.info('moving %s reason="%s"', self._where, reason)

    def connected(self, protocol: Protocol, limits: ServerLimits) -> None:
        self._logged = "connected"
        if not self._is_restless:
            log.info("connected %s protocol=%s", self._where, protocol)
        restrictions = limits.restrictions()
        for text in restrictions:
            if text not in self._restrictions:
                log.warning('limited broker %s reason="%s"', self._where, text)
        self._restrictions = restrictions

    @property
    def _is_restless(self) -> bool:
        """Whether so many connections ended early that one more is not worth a log line."""
        return self._short_lives > SHORT_LIVES or self._taken_count > 2

    def explained(self) -> None:
        """Note that the short connections before had a cause that was found: no other client has our id."""
        self._short_lives = 0

    def ended(self, ending: Ending) -> None:
        """Log one line when the state changed; a state that lasts is logged once."""
        stable = (ending.lasted_s or 0.0) >= STABLE_AFTER_S
        if ending.kind == "taken":
            self._taken_count = 1 if stable else self._taken_count + 1
        elif ending.lasted_s is not None:
            self._short_lives = 0 if stable else self._short_lives + 1
        if self._is_renamed and self._short_lives == 2 * SHORT_LIVES:
            log.warning('no connection lasts with another id either %s remedy="%s"', self._where, ONE_ID_REMEDY)
        if ending.kind == self._logged or self._is_restless:
            return
        self._logged = ending.kind
        if ending.kind == "taken":
            self._taken()
        elif ending.kind == "lost":
            log.warning('lost %s reason="%s" after_s=%.0f', self._where, ending.reason, ending.lasted_s or 0.0)
            if self._short_lives == SHORT_LIVES:
                self._change_id()
        elif remedy := ending.remedy or _REMEDIES.get(ending.kind):
            log.warning('%s %s reason="%s" remedy="%s"', ending.kind, self._where, ending.reason, remedy)

    def pause_s(self, ending: Ending) -> float:
        """Return how long to wait before the next attempt."""
        if ending.kind in ("refused", "untrusted") or (ending.kind == "taken" and self._taken_count > 1):
            return self.backoff.slow()
        if ending.kind == "taken":
            return random.uniform(*TAKEN_WAITS_S)  # noqa: S311  # not a secret
        if ending.lasted_s is not None and ending.lasted_s >= STABLE_AFTER_S:
            self.backoff.reset()
        return self.backoff.next()

    def _taken(self) -> None:
        """Take another id, and if that does not help, say that the broker chooses the ids."""
        log.warning(
            'taken over %s reason="another client has our id" client_id=%s remedy="%s"',
            self._where,
            self.client_id,
            ONE_ID_REMEDY if self._is_renamed else ANOTHER_FERD_REMEDY,
        )
        self._rename()

    def _rename(self) -> None:
        if not self._is_renamed:
            self.client_id, self._is_renamed = f"{self.client_id}-{secrets.token_hex(2)}", True
            log.warning("using another id client_id=%s", self.client_id)

    def _change_id(self) -> None:
        """Take another client id once: two clients with one id disconnect each other without end.

        Brokers do not always report the reason (mosquitto 2.0.11 closes the connection without one), so this is a
        guess. If it was only a bad network, the broker may still publish the last will of the old id; the publisher
        corrects that.
        """
        log.warning(
            'no connection lasts client_id=%s remedy="%s"',
            self.client_id,
            ANOTHER_FERD_REMEDY,
        )
        self._rename()


def failure(connection: MqttConnection, error: Exception, lasted_s: float | None) -> Ending:
    """Return how a connection ended that raised an exception."""
    if isinstance(error, ssl.SSLError) and connection.answer is None:
        reason, remedy = explain(error)
        return Ending("untrusted", reason, remedy=remedy)
    if isinstance(error, NoWebsocketError):
        return Ending("unwilling", str(error), remedy=NO_WEBSOCKET_REMEDY)
    if isinstance(error, OSError):
        kind: Kind = "absent" if connection.answer is None else "lost"
        return Ending(kind, error.strerror or str(error), lasted_s)
    if connection.answer is None:  # paho could not read the answer
        return Ending("protocol", repr(error))
    log.error("internal error, connecting again", exc_info=error)
    return Ending("broken", repr(error))
