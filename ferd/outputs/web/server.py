"""Run the page in a thread of its own. A fault in it never reaches the daemon."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

from ferd.config import WebConfig
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.history import ReadingLog
from ferd.outputs.web.senders import Senders
from ferd.outputs.web.serialise import Describer
from ferd.outputs.web.sink import address_of
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.redaction import redact_text
from ferd.snapshot import CameraEvent, Snapshot
from ferd.sources.browser import note_page

STOP_TIMEOUT_S = 1.5
RETRY_AFTER_S = 10.0
"""Pause before a server that failed is started again."""
LOG_LINES, MAX_LINE_LENGTH = 200, 1000

log = logging.getLogger(__name__)


class LogBuffer(logging.Handler):
    """Keep the last LOG_LINES log records of level INFO and above, without those of the web server itself."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[dict[str, object]] = deque(maxlen=LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("uvicorn"):
            return
        try:
            text = redact_text(record.getMessage())[:MAX_LINE_LENGTH]
        except Exception:  # noqa: BLE001  # wrong arguments of a log call; the other handlers report it
            return
        self._lines.append({"at": round(record.created, 1), "level": record.levelname.lower(), "text": text})

    def lines(self) -> list[dict[str, object]]:
        """Copy the lines, the oldest first."""
        self.acquire()
        try:
            return list(self._lines)
        finally:
            self.release()


class WebServer:
    """The page's thread, and what it collects for the page. `start`, `feed` and `stop` are called by the loop.

    Attributes:
        readings: timelines, recordings and events of all cameras.
        frames: the newest frames, for the browsers that watch.
        senders: the browsers that send their own camera's pictures.
        log: the last log lines.
        connections: gives the number of open connections; for tests.
    """

    def __init__(self, config: WebConfig, token: str | None, view: DaemonView) -> None:
        self.config, self.token, self.view = config, token, view
        self.readings = ReadingLog()
        self.senders = Senders()
        describer = Describer(view, token_required=token is not None, sender=self.senders.describe)
        self.frames = FrameBroadcaster(config.max_fps, describer)
        self.log = LogBuffer()
        self.connections: Callable[[], int] = lambda: 0
        self.stopping = threading.Event()
        self.on_stop: Callable[[], None] = lambda: None
        """Ends the running server; set by the server's thread."""
        self._thread: threading.Thread | None = None
        self._failed = False

    @property
    def address(self) -> str:
        return address_of(self.config)

    def start(self, previous: WebServer | None = None) -> None:
        """Start the thread; returns at once. It waits for `previous`, which may hold the same port, to end."""
        logging.getLogger().addHandler(self.log)
        note_page()
        self._thread = threading.Thread(target=self._run, args=(previous,), name="page", daemon=True)
        self._thread.start()

    def feed(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:
        """Take over the new readings and events; returns at once."""
        self.view.note_progress(after)
        self.readings.add_events(after, events)
        for name, camera in after.cameras.items():
            reading, frame = camera.reading, camera.frame
            if reading is None or frame is None:
                continue
            known = before.cameras.get(name) if before is not None else None
            if known is None or known.reading is not reading:
                self.readings.add(name, reading)
                self.frames.offer(name, frame, reading)

    def begin_stop(self) -> None:
        """Tell the thread to end; returns at once."""
        self.stopping.set()
        self.on_stop()
        logging.getLogger().removeHandler(self.log)

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End the thread; returns within STOP_TIMEOUT_S."""
        self.begin_stop()
        self.join()

    def _run(self, previous: WebServer | None) -> None:
        if previous is not None:
            previous.join()
        while not self.stopping.is_set():
            try:
                from ferd.outputs.web.app import serve

                with _listen(self.config) as listener:
                    log.info("page at %s%s", self.address, "" if self.token is None else " (token required)")
                    asyncio.run(serve(self, listener))
            except OSError as error:
                reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
                log.warning("page not served address=%s reason=%r", self.address, reason)
            except Exception:
                log.exception("page failed, started again in %.0f s", RETRY_AFTER_S)
            self.stopping.wait(RETRY_AFTER_S)


def _listen(config: WebConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    # asyncio sets TCP_NODELAY on connections only when their protocol is given; without it an answer on a connection
    # that is kept open waits for the acknowledgement of its header, 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.bind, config.port))
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
