"""Keeps one camera going: the only place in ferd that opens a source again.

Two threads a camera. The *reader* opens the source and reads; any of its calls may hang for ever. The *keeper*
itself makes no call that can hang: it looks at the reader's progress, gives a hung or failed one up, waits and begins
anew with a new source. A reader that was given up closes its source as soon as its call comes back.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from ferd.errors import FerdError
from ferd.sources.base import Source
from ferd.sources.stall import StallDetector, Timing, wait_before_next
from ferd.types import Frame

log = logging.getLogger(__name__)

MOST_HUNG = 4
"""Readers that may hang at a time. Every one holds a thread and maybe the device; more of them would not help."""
HELD = ". An earlier call of ferd's own still hangs, and may hold the camera"


class State(StrEnum):
    STARTING = "starting"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Report:
    """What a keeper has seen since its start. Times are those of its clock, in seconds.

    `hung`: attempts that were given up in a call that did not come back, and replaced. `hanging_since`: when the oldest
    of those that still hang was given up, None when all came back; `hangs_for`: why it was. `in_vain`: attempts after
    that one that failed as well. What hangs may hold the device.
    """

    state: State = State.STARTING
    since: float = 0.0
    source: str = ""
    frames: int = 0
    skipped: int = 0
    opens: int = 0
    failures: int = 0
    hung: int = 0
    hanging_since: float | None = None
    hangs_for: str | None = None
    in_vain: int = 0
    last_error: str | None = None
    last_frame_at: float | None = None


class CameraSupervisor:
    """Keeps the camera `name` going, with sources that `factory` makes.

    The newest frame waits in a slot until ``take`` fetches it; a newer one replaces it, and the replaced one counts
    as skipped. `wake` is set whenever a frame came or the state changed. ``start`` and ``stop`` come in pairs, and
    may be called again.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[], Source],
        wake: threading.Event,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.name = name
        self._factory = factory
        self._wake = wake
        self._timing = timing or Timing()
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._report = Report()
        self._frame: Frame | None = None
        self._reader: _Reader | None = None
        self._hung: list[_Reader] = []
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begins to open the source and returns at once."""
        if self._thread is not None:
            raise RuntimeError(f"keeper {self.name} was started already")
        self._stopping = threading.Event()
        with self._lock:
            self._report = replace(self._report, state=State.STARTING, since=self._clock())
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping,), name=f"ferd-camera-{self.name}", daemon=True
        )
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begins to close the source and returns at once: several keepers then stop side by side."""
        self._stopping.set()

    def stop(self) -> None:
        """Closes the source and forgets its last picture. Waits for that at most `timing.stop_s`."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        thread.join(self._timing.stop_s)
        with self._lock:
            self._frame = None
        log.info("camera stopped name=%s closed=%s", self.name, "no" if thread.is_alive() else "yes")

    @property
    def stopping(self) -> bool:
        """True from ``ask_to_stop`` on, until the next ``start``."""
        return self._stopping.is_set()

    @property
    def running(self) -> bool:
        """False before ``start``, and once the camera is closed after ``ask_to_stop``."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def take(self) -> Frame | None:
        """The newest frame, if one came since the last call."""
        with self._lock:
            frame, self._frame = self._frame, None
            return frame

    def report(self) -> Report:
        """What happened so far."""
        with self._lock:
            oldest = next((reader for reader in self._hung if reader.is_alive()), None)
            if oldest is None:
                return self._report
            in_vain = max(0, self._report.failures - oldest.failures_then)
            return replace(
                self._report,
                hanging_since=oldest.given_up_at,
                hangs_for=oldest.given_up_for,
                in_vain=in_vain,
            )

    def _run(self, stopping: threading.Event) -> None:
        row = 0
        while not stopping.is_set():
            reason = self._attempt(stopping)
            if reason is None:
                return
            row = 1 if self._was_long_online() else row + 1
            wait_s = wait_before_next(row, self._timing, self._jitter)
            self._tell_failure(reason, wait_s)
            stopping.wait(wait_s)

    def _attempt(self, stopping: threading.Event) -> str | None:
        """Opens and reads until it fails: the reason, or None when the keeper is stopped."""
        with self._lock:
            self._hung = [reader for reader in self._hung if reader.is_alive()]
            held = HELD if self._hung else ""
            if len(self._hung) >= MOST_HUNG:
                return f"{MOST_HUNG} attempts still hang in the driver. Unplug the camera, or start ferd again"
            self._report = replace(self._report, opens=self._report.opens + 1)
        try:
            source = self._factory()
        except FerdError as error:
            return str(error)
        except Exception as error:  # whatever it is, this thread must live on to try again
            log.debug("source cannot be made name=%s", self.name, exc_info=True)
            return f"{type(error).__name__}: {error}"
        watch = StallDetector(self._clock(), self._timing)
        reader = _Reader(source, watch, self._deliver, f"ferd-camera-{self.name}-reader")
        with self._lock:
            self._reader = reader
        reader.start()
        try:
            reason = reader.given_up_for = self._observe(reader, stopping)
        finally:
            self._give_up(reader)
        return None if reason is None else reason + held

    def _observe(self, reader: _Reader, stopping: threading.Event) -> str | None:
        while not stopping.wait(self._timing.check_s):
            if reader.reason is not None:
                return reader.reason
            with self._lock:
                failure = reader.watch.failure(self._clock())
            if failure is not None:
                return f"{reader.source.name}: {failure}"
        return None

    def _give_up(self, reader: _Reader) -> None:
        with self._lock:
            self._reader = None
            self._frame = None
        if not reader.finish(self._timing.stop_s):
            reader.given_up_at = self._clock()
            with self._lock:
                reader.failures_then = self._report.failures + 1  # this one is told in a moment
                self._hung.append(reader)
                self._report = replace(self._report, hung=self._report.hung + 1)

    def _deliver(self, reader: _Reader, frame: Frame) -> None:
        with self._lock:
            if reader is not self._reader:
                return
            now = self._clock()
            reader.watch.frame(now, frame.image, noisy=reader.source.noisy)
            report = self._report
            self._report = replace(
                report,
                frames=report.frames + 1,
                skipped=report.skipped + (self._frame is not None),
                last_frame_at=now,
            )
            self._frame = frame
            is_back = report.state is not State.ONLINE
            if is_back:
                self._report = replace(self._report, state=State.ONLINE, since=now, source=reader.source.name)
        if is_back:
            size = f"{frame.width}x{frame.height}"
            log.info("camera online name=%s source=%r size=%s", self.name, reader.source.name, size)
        self._wake.set()

    def _was_long_online(self) -> bool:
        report = self.report()
        return report.state is State.ONLINE and self._clock() - report.since >= self._timing.longest_wait_s

    def _tell_failure(self, reason: str, wait_s: float) -> None:
        with self._lock:
            report = self._report
            is_news = report.state is not State.OFFLINE or report.last_error != reason
            since = report.since if report.state is State.OFFLINE else self._clock()
            self._report = replace(
                report, state=State.OFFLINE, since=since, failures=report.failures + 1, last_error=reason
            )
        if is_news:
            log.warning("camera offline name=%s reason=%r retry_s=%.1f", self.name, reason, wait_s)
        self._wake.set()


class _Reader:
    """Opens a source and reads it in a thread of its own until it fails or is finished."""

    def __init__(
        self, source: Source, watch: StallDetector, deliver: Callable[[_Reader, Frame], None], name: str
    ) -> None:
        self.source = source
        self.watch = watch
        self.reason: str | None = None
        self.given_up_at, self.failures_then = 0.0, 0
        self.given_up_for: str | None = None
        self._deliver = deliver
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closer = threading.Thread(target=self._close, name=f"{name}-closer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Closes the source and ends the thread, both within `timeout_s`: False when one of them hangs."""
        self._finished.set()
        end = time.monotonic() + timeout_s
        if self._thread.is_alive():
            self._closer.start()
            self._closer.join(timeout_s)
        self._thread.join(max(0.0, end - time.monotonic()))
        return not self.is_alive()

    def is_alive(self) -> bool:
        """True while anything of it hangs, also in a thread of the source's own."""
        return self._thread.is_alive() or self._closer.is_alive() or self.source.hangs

    def _run(self) -> None:
        reason = "stopped"
        try:
            self.source.open()
            while not self._finished.is_set():
                self._deliver(self, self.source.read())
        except FerdError as error:
            reason = str(error)
        except Exception as error:  # a driver's bug must not end the daemon; it is told and retried
            reason = f"{self.source.name}: {type(error).__name__}: {error}"
            log.debug("unexpected error source=%r", self.source.name, exc_info=True)
        finally:
            self._close()
        self.reason = reason

    def _close(self) -> None:
        try:
            self.source.close()
        except Exception as error:  # noqa: BLE001  # as above
            log.warning("camera does not close source=%r reason=%r", self.source.name, str(error))
