"""The page's thread. Whatever happens in it, the daemon goes on."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from ferd.app import Application
from ferd.commands import CommandQueue
from ferd.config import Config
from ferd.config.web import WebConfig
from ferd.outputs.web.api import Api
from ferd.outputs.web.app import build
from ferd.outputs.web.connection_limits import ConnectionLimits, protocols
from ferd.outputs.web.daemon_view import DaemonView
from ferd.outputs.web.describe import Describer
from ferd.outputs.web.log_buffer import LogBuffer
from ferd.outputs.web.server import QuietServer
from ferd.outputs.web.sink import WebSink
from ferd.outputs.web.stream import FrameBroadcaster
from ferd.outputs.web.teach_api import TeachApi
from ferd.outputs.web.token import TokenAuth
from ferd.outputs.web.training import TrainingManager
from ferd.outputs.web.tune_api import TuneApi

STOP_WAITS_S = 1.5
AGAIN_AFTER_S = 10.0
"""A page that died is started again after so long."""

log = logging.getLogger(__name__)


class Page:
    """`start` and `stop` come in pairs, in the thread of the loop. Raises ConfigError for a wrong token file."""

    def __init__(
        self,
        config: WebConfig,
        works: Application,
        inbox: CommandQueue,
        *,
        use: Callable[[Config], None],
        file: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self._config, self._works = config, works
        self._keys = TokenAuth.of(config)
        self._window = DaemonView(works, inbox, use, file)
        self._describer = Describer(self._window, asks_token=self._keys.asked_for)
        self._studio = FrameBroadcaster(config.max_fps, self._describer)
        self._onlooker = WebSink(self._studio)
        self._lines = LogBuffer()
        self._stopping = threading.Event()
        self._server: QuietServer | None = None
        self._thread: threading.Thread | None = None
        self.door = ConnectionLimits(config.max_connections)

    @property
    def address(self) -> str:
        host = f"[{self._config.bind}]" if ":" in self._config.bind else self._config.bind
        return f"http://{host}:{self._config.port}/"

    def start(self) -> None:
        """Returns at once. A port that is taken is told, and tried again."""
        logging.getLogger().addHandler(self._lines)
        self._unsubscribe = self._works.board.subscribe(self._onlooker.heard)
        self._works.show_to(self._onlooker)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        self._works.show_to(None)
        self._unsubscribe()
        if (server := self._server) is not None:
            server.end()
        thread.join(STOP_WAITS_S)
        logging.getLogger().removeHandler(self._lines)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _listen(self._config) as listener:
                    log.info("page at %s%s", self.address, "" if self._config.local else " (token asked for)")
                    asyncio.run(self._serve(listener))
            except OSError as error:
                reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
                log.warning("page not served address=%s reason=%r", self.address, reason)
            except Exception:
                log.exception("page failed")
            self._stopping.wait(AGAIN_AFTER_S)

    async def _serve(self, listener: socket.socket) -> None:
        """Until `stop`. Built anew each time, so that nothing half-broken survives."""
        self.door = ConnectionLimits(self._config.max_connections)
        api = Api(self._window, self._onlooker, self._studio, self._lines, self._describer)
        teacher = TrainingManager(self._studio, self._works.parts.detector.name)
        tune, teach = TuneApi(self._window, self._onlooker), TeachApi(self._window, teacher)
        endpoints = [*api.endpoints(), *tune.endpoints(), *teach.endpoints()]
        app = build(self._config, self._keys, window=self._window, studio=self._studio, api=api, endpoints=endpoints)
        http, websocket = protocols(self.door)
        server = QuietServer(
            uvicorn.Config(
                app,
                http=http,
                ws=websocket,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                ws_max_size=4096,
                ws_per_message_deflate=False,  # a JPEG does not become smaller, and each looker would have it done anew
                timeout_keep_alive=10,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=16384,
            )
        )
        self._server = server
        if self._stopping.is_set():
            return
        self._studio.open(asyncio.get_running_loop())
        sweeping = asyncio.create_task(self.door.watch())
        try:
            await server.serve(sockets=[listener])
        finally:
            self._studio.close()
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            self._server = None


def _listen(config: WebConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.bind, config.port))
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
