"""The last rung of a camera's recovery: where its driver hangs for good, systemd starts ferd anew.

The keeper climbs the first two by itself: it opens a camera again, and it leaves a hung attempt behind and builds a new
one. But a hung call holds the device, so that the new attempt finds it busy: only the end of the process frees it.
What was done is noted in systemd's RuntimeDirectory, in memory: it outlasts the restart, and nothing is written to a
card.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ferd.fs import replace_file
from ferd.sources.supervisor import Report, State

log = logging.getLogger(__name__)

HANGS_S = 60.0
"""A call that has not come back for so long after it was given up will not: drivers and streams time out within 10 s, a
name that nobody answers for within 30."""
OTHERS_WATCH = 10
"""So many times longer is waited while another camera works: a restart blinds it for some seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
"""Between two restarts, doubled from one to the next: a broken camera must not restart the others every minute."""
FORGOTTEN_S = 2 * LONGEST_PAUSE_S
FILE = "recovery.json"
MOST_WORDS = 200


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """The restarts for one camera since the service was started. `row`: those that came close upon each other.

    `at`: when the last one was, in monotonic seconds, which go on over a restart of the process.
    """

    restarts: int = 0
    row: int = 0
    at: float = float("-inf")
    reason: str | None = None

    def may_restart(self, now: float) -> bool:
        if self.row == 0:
            return True
        return now - self.at >= min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.row - 1))

    def restarted(self, now: float, reason: str) -> RestartHistory:
        row = 1 if now - self.at > FORGOTTEN_S else self.row + 1
        return RestartHistory(self.restarts + 1, row, now, reason[:MOST_WORDS])


class RestartPolicy:
    """Remembers the restarts and says when the next one is due. Without a `file` there is none: who would start it?"""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._past = _read(file)

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> RestartPolicy:
        """For the process that systemd keeps, else one that never asks for a restart."""
        environ = os.environ if environ is None else environ
        folder = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return cls(Path(folder) / FILE if folder and "NOTIFY_SOCKET" in environ else None)

    def past(self, camera: str) -> RestartHistory:
        return self._past.get(camera, RestartHistory())

    def due(self, reports: Mapping[str, Report], now: float) -> str | None:
        """The camera for which ferd must be started anew, None while all is well or may yet become so."""
        if self._file is None:
            return None
        others = any(report.state is State.ONLINE for report in reports.values())
        patience = HANGS_S * (OTHERS_WATCH if others else 1)
        for name, report in reports.items():
            if hangs_for(report, now) >= patience and self.past(name).may_restart(now):
                return name
        return None

    def note(self, camera: str, reason: str, now: float) -> bool:
        """To be called before the restart. False when it cannot be noted: without a count it could go on for ever."""
        self._past[camera] = self.past(camera).restarted(now, reason)
        if self._file is None:
            return False
        try:
            replace_file(self._file, json.dumps({name: asdict(past) for name, past in self._past.items()}))
        except OSError as error:
            log.warning("no restart for a hung camera file=%s reason=%r", self._file, error.strerror or str(error))
            return False
        return True


def hangs_for(report: Report, now: float) -> float:
    """Seconds since the oldest call was given up that still hangs; 0 while the camera works, or nothing hangs.

    Also 0 until it was built anew in vain.
    """
    if report.state is not State.OFFLINE or report.hanging_since is None or not report.in_vain:
        return 0.0
    return max(0.0, now - report.hanging_since)


def _read(file: Path | None) -> dict[str, RestartHistory]:
    if file is None:
        return {}
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): _past(given) for name, given in noted.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("recoveries begin anew file=%s reason=%r", file, f"{type(error).__name__}: {error}")
        return {}


def _past(given: Mapping[str, object]) -> RestartHistory:
    reason = given["reason"]
    return RestartHistory(
        restarts=int(str(given["restarts"])),
        row=int(str(given["row"])),
        at=float(str(given["at"])),
        reason=None if reason is None else str(reason),
    )
