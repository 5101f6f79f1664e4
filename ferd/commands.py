"""Queue commands from any thread and carry them out in the loop: switches, and requests of the node."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from ferd.errors import FerdError
from ferd.snapshot import Command

LOG_EVERY_S = 60.0
"""Minimum interval between log lines about refused commands: a flood must not fill the disk."""
LOGGED_A_SECOND = 3
"""Log lines about accepted commands a second at most."""
ANSWERS_KEPT = 100
"""Replaced commands that are still answered; of a larger flood only the newest are."""
REPLACED = "a newer command for the same switch came before this one was carried out"

log = logging.getLogger(__name__)


class CommandQueue:
    """Hold at most one command of each kind: the last value wins. Thread-safe.

    A flood therefore ends in the state that was asked for last, and cannot grow. `wake` is set with every command.
    """

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str | None], Command] = {}
        self._replaced: list[Command] = []

    def submit(self, command: Command) -> None:
        """Queue a command; return at once."""
        with self._lock:
            before = self._pending.pop((command.verb, command.camera), None)
            self._pending[command.verb, command.camera] = command
            if before is not None and before.reply is not None:
                self._replaced = [*self._replaced[-ANSWERS_KEPT + 1 :], before]
        self._wake.set()

    def take(self) -> list[Command]:
        """Return what is pending, in the order of the last values; answer those that were replaced."""
        with self._lock:
            commands, self._pending = list(self._pending.values()), {}
            replaced, self._replaced = self._replaced, []
        for command in replaced:
            answer(command, REPLACED)
        return commands


class CommandTarget(Protocol):
    """What can be commanded. A method returns the response's data; FerdError carries the text for the response.

    `reload` answers later, through the command's reply, once the new models are loaded.
    """

    def set_switch(self, camera: str, switch: str, value: Any) -> dict[str, object]: ...
    def restart(self, now: float) -> dict[str, object]: ...
    def republish(self) -> dict[str, object]: ...
    def reload(self, command: Command) -> None: ...
    def snooze(self, seconds: float) -> dict[str, object]: ...
    def log_level(self, level: str) -> dict[str, object]: ...


class CommandHandler:
    """Carry out one command after another and answer each. `handle` never raises."""

    def __init__(self, target: CommandTarget) -> None:
        self._target = target
        self._refused_at = float("-inf")
        self._second, self._logged = 0, 0

    def handle(self, command: Command, now: float) -> None:
        """Carry out `command`; `now` is in monotonic seconds."""
        self._log(command, now)
        try:
            data = self._run(command, now)
        except FerdError as error:
            self._refuse(command, str(error), now)
        except Exception:  # whatever it is, cameras and alarms must go on
            log.exception("command failed verb=%s", command.verb)
            answer(command, "ferd failed at this; see its log")
        else:
            if data is not None:
                answer(command, None, data)

    def _run(self, command: Command, now: float) -> dict[str, object] | None:
        target, value = self._target, command.value
        if command.camera is not None:
            return target.set_switch(command.camera, command.verb, value)
        match command.verb:
            case "snooze":
                return target.snooze(float(value) if isinstance(value, int | float) else 0.0)
            case "log_level":
                return target.log_level(str(value))
            case "restart":
                return target.restart(now)
            case "republish":
                return target.republish()
            case "reload":
                target.reload(command)
                return None
        raise FerdError(f"there is no {command.verb} here")

    def _log(self, command: Command, now: float) -> None:
        if int(now) != self._second:
            self._second, self._logged = int(now), 0
        self._logged += 1
        if self._logged <= LOGGED_A_SECOND:
            where = "" if command.camera is None else f" camera={command.camera}"
            what = "" if command.value is None else f" value={command.value}"
            source = f" source={command.source}" if command.source else ""
            log.info("command verb=%s%s%s%s", command.verb, where, what, source)

    def _refuse(self, command: Command, error: str, now: float) -> None:
        if now - self._refused_at >= LOG_EVERY_S:
            self._refused_at = now
            log.warning("command refused verb=%s reason=%r", command.verb, error)
        answer(command, error)


def answer(command: Command, error: str | None, data: Mapping[str, object] | None = None) -> None:
    """Answer the sender if one waits for it."""
    if command.reply is None:
        return
    try:
        command.reply(error, dict(data or {}))
    except Exception:
        log.exception("command not answered verb=%s", command.verb)
