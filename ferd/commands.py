"""Does what commands ask for, in the main loop, and answers each of them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from ferd.errors import FerdError
from ferd.outputs.mqtt.requests import LONGEST, Command, IncomingMessage, Refusal, ReplyInfo, Value, parse, respond
from ferd.outputs.mqtt.topics import Json, Message

INBOX = 1000
"""Commands that wait at most. Who sends more at a time is no person, and the newest are dropped."""
AT_A_TIME = 16
"""So many are done before the next picture has its turn."""
TOLD_EVERY_S = 60.0

log = logging.getLogger(__name__)


class CommandTarget(Protocol):
    """What can be commanded. A method may raise FerdError: its text is the response. It returns the response's data."""

    def switch(self, camera: str, switch: str, value: Value) -> Json: ...
    def restart(self) -> Json: ...
    def republish(self) -> Json: ...
    def reload(self) -> Json: ...
    def snooze(self, seconds: float) -> Json: ...
    def log_level(self, level: str) -> Json: ...


class CommandQueue:
    """Between the thread that hears and the one that acts. Thread-safe."""

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._heard: deque[IncomingMessage] = deque()
        self._dropped = 0
        self._told_at = float("-inf")

    def put(self, heard: IncomingMessage) -> None:
        if len(heard.payload) > LONGEST:  # it is refused; that much of it need not wait in memory
            heard = replace(heard, payload=heard.payload[: LONGEST + 1])
        with self._lock:
            if len(self._heard) < INBOX:
                self._heard.append(heard)
            else:
                self._dropped += 1
        self._wake.set()

    def take(self, now: float) -> list[IncomingMessage]:
        """The oldest, AT_A_TIME at most; sets the wake again when more wait."""
        with self._lock:
            taken = [self._heard.popleft() for _ in range(min(AT_A_TIME, len(self._heard)))]
            more, dropped = bool(self._heard), self._dropped
        if more:
            self._wake.set()
        if dropped and now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            log.warning("too many commands at a time dropped=%d", dropped)
        return taken


class CommandHandler:
    """`obey` never raises. ``now`` is in monotonic seconds."""

    def __init__(self, node: str, helm: CommandTarget) -> None:
        self._node, self._helm = node, helm
        self._refusal_told_at = float("-inf")

    def handle(self, heard: IncomingMessage, cameras: Sequence[str], now: float) -> list[Message]:
        """Does it, and gives the response; nothing for what is not for us, or retained."""
        command = parse(self._node, cameras, heard)
        if command is None:
            log.debug("ignored topic=%s retained=%s", heard.topic, heard.retained)
            return []
        if isinstance(command, Refusal):
            return self._refuse(command.verb, command.camera, command.error, command.asked, now)
        log.info("command %s%s%s", command.verb, _where(command.camera), _what(command.value))
        try:
            data = self._deed(command)()
        except FerdError as error:
            return self._refuse(command.verb, command.camera, str(error), command.asked, now)
        except Exception:  # whatever it is, cameras and alarms must go on
            log.exception("command failed verb=%s", command.verb)
            error_text = "ferd failed at this; see its log"
            return respond(self._node, command.verb, command.asked, error=error_text)
        if command.camera is not None and command.asked == ReplyInfo():
            return []  # the switch's own topic says it
        return respond(self._node, command.verb, command.asked, data=data)

    def _deed(self, command: Command) -> Callable[[], Json]:
        if command.camera is not None:
            camera = command.camera
            return lambda: self._helm.switch(camera, command.verb, command.value)
        match command.verb:
            case "snooze":
                return lambda: self._helm.snooze(float(command.value or 0.0))
            case "log_level":
                return lambda: self._helm.log_level(str(command.value))
            case "restart":
                return self._helm.restart
            case "republish":
                return self._helm.republish
            case "reload":
                return self._helm.reload
        raise AssertionError(f"no deed for {command.verb}")

    def _refuse(self, verb: str, camera: str | None, error: str, asked: ReplyInfo, now: float) -> list[Message]:
        """One line a minute: whoever sends rubbish must not fill the disk."""
        if now - self._refusal_told_at >= TOLD_EVERY_S:
            self._refusal_told_at = now
            log.warning("command refused verb=%s%s reason=%r", verb, _where(camera), error)
        data = {} if camera is None else {"camera": camera}
        return respond(self._node, verb, asked, error=error, data=data)


def _where(camera: str | None) -> str:
    return "" if camera is None else f" camera={camera}"


def _what(value: Value) -> str:
    return "" if value is None else f" value={value}"
