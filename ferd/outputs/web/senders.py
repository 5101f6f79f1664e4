"""Know which browser sends the pictures of which camera: one for each."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection


@dataclass(slots=True, eq=False)
class Sender:
    """One who sends for a camera.

    Attributes:
        who: the browser, for people.
        task: receives its pictures; cancelled when another one takes over.
        since: seconds since 1970.
        taken_by: who took over.
        state: "sending", or a word for why no pictures come.
    """

    who: str
    task: asyncio.Task[Any] | None
    since: float = field(default_factory=time.time)
    taken_by: str | None = None
    state: str = "asking"


class Senders:
    """Who sends for which camera. Used in the server's event loop alone."""

    def __init__(self) -> None:
        self._senders: dict[str, Sender] = {}

    def of(self, camera: str) -> Sender | None:
        return self._senders.get(camera)

    def enter(self, camera: str, sender: Sender) -> None:
        """Make `sender` the one who sends; the one before is disconnected."""
        before = self._senders.get(camera)
        self._senders[camera] = sender
        if before is not None and before.task is not None:
            before.taken_by = sender.who
            before.task.cancel()

    def leave(self, camera: str, sender: Sender) -> bool:
        """Forget `sender`. Returns whether it was the one who sends."""
        if self._senders.get(camera) is not sender:
            return False
        del self._senders[camera]
        return True

    def describe(self, camera: str) -> dict[str, Any] | None:
        """Who sends for a camera, as JSON values; None where nobody does."""
        sender = self._senders.get(camera)
        return None if sender is None else {"who": sender.who, "since": round(sender.since), "state": sender.state}


BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")


def who(connection: HTTPConnection) -> str:
    """Name a browser for people: "Firefox on Android at 192.0.2.7". Nothing of its headers is copied."""
    agent = connection.headers.get("user-agent", "")
    browser = next((name for mark, name in BROWSERS if mark in agent), "a browser")
    system = next((f" on {name}" for name in SYSTEMS if name in agent), "")
    host = connection.client.host if connection.client is not None else ""
    try:
        is_elsewhere = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_elsewhere = False
    return f"{browser}{system}{f' at {host}' if is_elsewhere else ''}"
