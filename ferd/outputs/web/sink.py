"""Serve the page: a sink that starts and stops the web server and feeds it with snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.config import Config, WebConfig
from ferd.credentials import first_line
from ferd.errors import ConfigError
from ferd.extras import how_to_add
from ferd.snapshot import CameraEvent, Command, Snapshot, section_changed

if TYPE_CHECKING:
    from ferd.outputs.web.daemon_view import BrokerState
    from ferd.outputs.web.server import WebServer

PACKAGES = ("fastapi", "itsdangerous", "prometheus_client", "tomlkit", "uvicorn", "wsproto")
"""What the extra "web" installs."""
MIN_TOKEN_LENGTH = 16


class WebSink:
    """The web server, and what it needs to know of the daemon.

    No module of the page is imported while [web] is off, and the web framework is imported in the server's thread.

    Args:
        snapshot: gives the latest snapshot; called from the server's thread.
        submit: hands a command to the loop; called from the server's thread.
        use: hands another configuration to the loop, which uses it until the next reload.
        file: gives the path that the configuration was read from, None without one.
        broker: gives the state of the connection to the MQTT broker.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        submit: Callable[[Command], None],
        use: Callable[[Config], None],
        file: Callable[[], Path | None],
        broker: Callable[[], BrokerState],
    ) -> None:
        self._snapshot, self._submit, self._use, self._file, self._broker = snapshot, submit, use, file, broker
        self.server: WebServer | None = None

    @property
    def address(self) -> str | None:
        """The page's address; None before the first update, and while the page is off."""
        return None if self.server is None else self.server.address

    def check(self, config: Config) -> None:
        """Raise ConfigError when a package is missing or the token cannot be used."""
        if not config.web.enabled:
            return
        if missing := [package for package in PACKAGES if find_spec(package) is None]:
            raise ConfigError(
                f"[web] needs {', '.join(missing)}: run `{how_to_add('web')}`, or set enabled = false in [web]"
            )
        read_token(config.web)

    def update(self, before: Snapshot | None, after: Snapshot, events: Sequence[CameraEvent]) -> None:
        if section_changed(before, after, "web"):
            self._restart(after.config.web)
        if self.server is not None:
            self.server.feed(before, after, events)

    def stop(self) -> None:
        """End the server; returns within 1.5 s, also when a browser holds a connection open."""
        server, self.server = self.server, None
        if server is not None:
            server.stop()

    def _restart(self, config: WebConfig) -> None:
        """End the server and start one with the new configuration. The new one waits for the old one, not the loop."""
        previous, self.server = self.server, None
        if previous is not None:
            previous.begin_stop()
        if not config.enabled:
            return
        from ferd.outputs.web.daemon_view import DaemonView
        from ferd.outputs.web.server import WebServer

        view = DaemonView(self._snapshot, self._submit, self._use, self._file, self._broker)
        self.server = WebServer(config, read_token(config), view)
        self.server.start(previous)


def address_of(config: WebConfig) -> str:
    """The address under which the page is served: "http://127.0.0.1:8322/"."""
    host = f"[{config.bind}]" if ":" in config.bind else config.bind
    return f"http://{host}:{config.port}/"


def read_token(config: WebConfig) -> str | None:
    """Read the token, None where none is configured. Raise ConfigError for a missing file or a short token."""
    if config.token_file is None:
        return None
    token = first_line("web.token_file", config.token_file, "token").strip()
    if len(token) < MIN_TOKEN_LENGTH:
        raise ConfigError(
            f"web.token_file: the token has {len(token)} characters; at least {MIN_TOKEN_LENGTH} are needed"
        )
    return token
