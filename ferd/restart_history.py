"""Decide when a hung camera driver requires a new process, and remember the restarts that were made for it.

The supervisor handles the rest: it opens a camera again, and it abandons a hung capture thread and starts another. But
a hung call holds the device, so that the next attempt finds it busy: only the end of the process releases it. Then
systemd starts ferd again. The restarts are noted in systemd's RuntimeDirectory, in memory: the note survives the
restart, and nothing is written to an SD card.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ferd.fs import replace_file
from ferd.sources.supervisor import CameraReport, CameraState

log = logging.getLogger(__name__)

HUNG_FOR_GOOD_S = 60.0
"""A call that has not returned this long after it was given up will not: drivers time out within 10 s, streams and
name lookups that nobody answers within 35."""
PATIENCE_FACTOR = 10
"""How many times longer to wait while another camera works: a restart blinds it for some seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
"""Between two restarts, doubled from one to the next: a broken camera must not restart the others every minute."""
FORGET_AFTER_S = 2 * LONGEST_PAUSE_S
FILE = "recovery.json"
REQUESTS_FILE = "requested-restarts.json"
REQUESTS, REQUESTS_WINDOW_S = 10, 600.0
"""Restarts on request within a time: systemd allows 20 starts in 10 minutes (StartLimitBurst in systemd/ferd.service),
and then the service would stay down for good."""
MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """The restarts for one camera since the service was started.

    ``row``: how many followed closely upon each other. ``at``: when the last one was, in monotonic seconds, which go on
    over a restart of the process.
    """

    restarts: int = 0
    row: int = 0
    at: float = float("-inf")
    reason: str | None = None

    def may_restart(self, now: float) -> bool:
        """Tell whether the pause after the last restart is over."""
        if self.row == 0:
            return True
        return now - self.at >= min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (self.row - 1))

    def restarted(self, now: float, reason: str) -> RestartHistory:
        """Return the history with one more restart, at `now`."""
        row = 1 if now - self.at > FORGET_AFTER_S else self.row + 1
        return RestartHistory(self.restarts + 1, row, now, reason[:MAX_REASON_LENGTH])


class RequestedRestarts:
    """Count the restarts on request over the end of the process. Without a `file` there is no limit."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> RequestedRestarts:
        """Make the count of this process: under systemd with a file, else without one."""
        folder = _runtime_directory(os.environ if environ is None else environ)
        return cls(folder / REQUESTS_FILE if folder else None)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next one is allowed; 0 when it is. `now` is in monotonic seconds."""
        times = self._times(now)
        return 0.0 if len(times) < REQUESTS else times[-REQUESTS] + REQUESTS_WINDOW_S - now

    def note(self, now: float) -> None:
        """Count one; a file that cannot be written is logged and harms nothing but the count."""
        if self._file is None:
            return
        try:
            replace_file(self._file, json.dumps([*self._times(now), now]))
        except OSError as error:
            log.warning("restart not counted file=%s reason=%r", self._file, error.strerror or str(error))

    def _times(self, now: float) -> list[float]:
        """Return the restarts within the window; times after `now` are from before a reboot."""
        if self._file is None:
            return []
        try:
            times = [float(value) for value in json.loads(self._file.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return []
        return [at for at in times if 0 <= now - at < REQUESTS_WINDOW_S]


class RestartPolicy:
    """Keeps the history and decides when a restart is due. Without a `file` never: nobody would start ferd again."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._histories = _read(file)

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> RestartPolicy:
        """Make the policy of this process: under systemd with a file, else without one."""
        folder = _runtime_directory(os.environ if environ is None else environ)
        return cls(folder / FILE if folder else None)

    def history(self, camera: str) -> RestartHistory:
        """Return the restarts that were made for `camera`."""
        return self._histories.get(camera, RestartHistory())

    def due(self, reports: Mapping[str, CameraReport], now: float) -> str | None:
        """Return the camera for which ferd must be restarted, None while there is none.

        `now`: of the clock of the reports, which is the monotonic one.
        """
        if self._file is None:
            return None
        others_work = any(report.state is CameraState.ONLINE for report in reports.values())
        patience_s = HUNG_FOR_GOOD_S * (PATIENCE_FACTOR if others_work else 1)
        for name, report in reports.items():
            if hung_for(report, now) >= patience_s and self.history(name).may_restart(now):
                return name
        return None

    def note(self, camera: str, reason: str, now: float) -> bool:
        """Note a restart before it is made. Returns False when that fails: uncounted, it could repeat without end."""
        self._histories[camera] = self.history(camera).restarted(now, reason)
        if self._file is None:
            return False
        try:
            replace_file(self._file, json.dumps({name: asdict(past) for name, past in self._histories.items()}))
        except OSError as error:
            log.warning("no restart for a hung camera file=%s reason=%r", self._file, error.strerror or str(error))
            return False
        return True


def hung_for(report: CameraReport, now: float) -> float:
    """Return the seconds since the oldest call that still hangs was given up.

    0 while the camera works or nothing hangs, and until a new attempt has failed as well.
    """
    if report.state is not CameraState.OFFLINE or report.hanging_since is None or not report.failures_since_hang:
        return 0.0
    return max(0.0, now - report.hanging_since)


def _runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """Return systemd's runtime folder; None without systemd, where nobody would start ferd again."""
    folder = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder) if folder and "NOTIFY_SOCKET" in environ else None


def _read(file: Path | None) -> dict[str, RestartHistory]:
    if file is None:
        return {}
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): _history(values) for name, values in noted.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("restart history is lost file=%s reason=%r", file, f"{type(error).__name__}: {error}")
        return {}


def _history(values: Mapping[str, object]) -> RestartHistory:
    reason = values["reason"]
    return RestartHistory(
        restarts=int(str(values["restarts"])),
        row=int(str(values["row"])),
        at=float(str(values["at"])),
        reason=None if reason is None else str(reason),
    )
