"""Decide after each connection attempt what to log, how long to wait, and under which client id to try again.

Two clients with one id disconnect each other without end, so ferd takes another id. What counts as evidence for it: a
broker that says so (MQTT 5, "session taken over") twice in a row, since once it may be `ferd doctor`, or a cluster that
settles who holds a session; and, where the broker gives no reason, several connections in a row which it accepted,
served and then closed early. A broker that is overloaded, restarting or without a quorum also ends connections early,
but it leaves connects unanswered or messages unacknowledged in between, and then the count starts again. Both are
guesses until a connection with the other id lasts: if none does, ferd returns to its own id.
"""

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
LONGEST_S = 45.0
"""An event waits in memory for 60 s: most outlive the pause. And all of a fleet is back within a minute."""
SHORT_LIVES = 3
"""After this many short connections in a row, for each server of the configuration, something is wrong: a restart of a
cluster in turn ends one or two at each."""
TAKEN_TWICE = 2
STABLE_AFTER_S = 30.0
"""A connection that ended earlier does not reset the backoff: two clients with one id disconnect each other."""
ANOTHER_FERD_REMEDY = (
    "is another ferd running under the same node.name? give one another name, and on the same machine another node.id"
)
OVERLOADED_REMEDY = "the broker ends them or the network does: see the broker's log for overload, limits and restarts"
TAKEN_WAITS_S = (10.0, 15.0)
"""Pause after another client with our id connected. `ferd doctor` needs less: it must not be disconnected in turn."""
NO_WEBSOCKET_REMEDY = (
    'check mqtt.port and mqtt.websocket_path; a broker\'s usual port 1883 or 8883 needs transport = "tcp"'
)
ONE_ID_REMEDY = (
    "see the broker's log; if it gives all clients of one user the same id (use_username_as_clientid in mosquitto), "
    "give each client a user of its own"
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
        served: the broker acknowledged something, and nothing shows that it was in trouble.
    """

    kind: Kind
    reason: str = ""
    lasted_s: float | None = None
    remedy: str = ""
    reference: str | None = None
    served: bool = False


class ConnectionPolicy:
    """Keep the history of one publisher's connections. ``client_id``: the id for the next connection."""

    def __init__(self, settings: BrokerSettings, client_id: str, backoff: Backoff) -> None:
        self.client_id = self._own_id = client_id
        self.backoff = backoff
        self.at(settings)
        self._logged: set[Kind] = set()  # since there was a connection
        self._short_lives, self._evidence = 0, 0
        self._patience = SHORT_LIVES * max(1, len(settings.servers))
        self._may_rename = True
        self._restrictions: tuple[str, ...] = ()
        self._taken_count = 0

    def at(self, settings: BrokerSettings) -> None:
        """Note where the next connection goes."""
        self._where = f"host={settings.host} port={settings.port}"

    def moved(self, reason: str) -> None:
        """Log that the next connection goes to another server."""
        log.info('moving %s reason="%s"', self._where, reason)

    def connected(self, protocol: Protocol, limits: ServerLimits) -> None:
        self._logged.clear()
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
        return self._short_lives > self._patience or self._taken_count > 2

    @property
    def _is_renamed(self) -> bool:
        return self.client_id != self._own_id

    def explained(self) -> None:
        """Note that the short connections before had a cause that was found: no other client has our id."""
        self._short_lives = self._evidence = 0

    def ended(self, ending: Ending) -> None:
        """Log one line when the state changed; a state that lasts is logged once."""
        stable = (ending.lasted_s or 0.0) >= STABLE_AFTER_S
        if ending.kind == "taken":
            self._taken_count = 1 if stable else self._taken_count + 1
        elif ending.lasted_s is not None:
            self._short_lives = 0 if stable else self._short_lives + 1
        if ending.kind not in self._logged and not self._is_restless:
            self._logged.add(ending.kind)
            self._log(ending)
        self._weigh(ending, stable=stable)

    def _log(self, ending: Ending) -> None:
        if ending.kind == "taken":
            log.warning(
                'taken over %s reason="another client connected with our id" client_id=%s', self._where, self.client_id
            )
        elif ending.kind == "lost":
            log.warning('lost %s reason="%s" after_s=%.0f', self._where, ending.reason, ending.lasted_s or 0.0)
        elif remedy := ending.remedy or _REMEDIES.get(ending.kind):
            log.warning('%s %s reason="%s" remedy="%s"', ending.kind, self._where, ending.reason, remedy)

    def _weigh(self, ending: Ending, *, stable: bool) -> None:
        """Count the evidence that another client has our id, and change the id when it is enough: see above."""
        if ending.kind == "stopped":
            return
        is_taken = ending.kind == "taken"
        if stable:
            self._may_rename, self._evidence = True, int(is_taken)
            self._own_id = self.client_id  # another id that helped stays
        elif is_taken or (ending.kind == "lost" and ending.served):
            self._evidence += 1
        else:
            self._evidence = 0
        if self._is_renamed and ending.kind in ("refused", "unwilling"):
            self._return_to_own_id("the broker does not accept another id")
        elif self._evidence >= (TAKEN_TWICE if is_taken else self._patience):
            self._evidence = 0
            if self._is_renamed:
                self._return_to_own_id("no connection lasts with another id either")
            elif self._may_rename:
                self._rename()
        elif self._short_lives == self._patience and self._may_rename and not self._evidence:
            log.warning('no connection lasts %s remedy="%s"', self._where, OVERLOADED_REMEDY)

    def pause_s(self, ending: Ending) -> float:
        """Return how long to wait before the next attempt."""
        if ending.kind in ("refused", "untrusted") or (ending.kind == "taken" and self._taken_count > TAKEN_TWICE):
            return self.backoff.slow()
        if ending.kind == "taken":
            return random.uniform(*TAKEN_WAITS_S)  # noqa: S311  # not a secret
        if ending.lasted_s is not None and ending.lasted_s >= STABLE_AFTER_S:
            self.backoff.reset()
        return self.backoff.next()

    def _rename(self) -> None:
        """Take another client id: the experiment that shows whether the id is the reason.

        The broker may publish the last will of the old id; the publisher corrects that.
        """
        log.warning('no connection lasts client_id=%s remedy="%s"', self.client_id, ANOTHER_FERD_REMEDY)
        self.client_id = f"{self.client_id}-{secrets.token_hex(2)}"
        log.warning("using another id client_id=%s", self.client_id)

    def _return_to_own_id(self, why: str) -> None:
        """The id is not the reason, or no other one is allowed. Until a connection lasts it is not changed again."""
        self.client_id, self._may_rename = self._own_id, False
        log.warning('%s %s client_id=%s remedy="%s"', why, self._where, self.client_id, ONE_ID_REMEDY)


def failure(connection: MqttConnection, error: Exception, lasted_s: float | None) -> Ending:
    """Return how a connection ended that raised an exception."""
    if isinstance(error, ssl.SSLError) and connection.answer is None:
        reason, remedy = explain(error)
        return Ending("untrusted", reason, remedy=remedy)
    if isinstance(error, NoWebsocketError):
        return Ending("unwilling", str(error), remedy=NO_WEBSOCKET_REMEDY)
    if isinstance(error, OSError):
        kind: Kind = "absent" if connection.answer is None else "lost"
        return Ending(kind, error.strerror or str(error), lasted_s, served=connection.has_served)
    if connection.answer is None:  # paho could not read the answer
        return Ending("protocol", repr(error))
    log.error("internal error, connecting again", exc_info=error)
    return Ending("broken", repr(error))
