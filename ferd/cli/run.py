"""`ferd run`: the daemon."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ferd.cli import hints
from ferd.cli.common import Command, add_config_option, set_up_logging
from ferd.config import CameraConfig, Config, MqttConfig, WebConfig, load_config
from ferd.config.exposure import exposed_secrets
from ferd.config.loader import SYSTEM_FILE
from ferd.config.source import check_source, is_browser
from ferd.errors import EXIT_RESTART, ConfigError
from ferd.extras import how_to_add
from ferd.fs import exists
from ferd.redaction import redact_text

if TYPE_CHECKING:
    from ferd.app import Application
    from ferd.outputs.mqtt.client import Protocol
    from ferd.topics import Message

DETAILS = """
Examples:
  ferd run                              with /etc/ferd/ferd.toml if it exists, else the defaults
  ferd run --config ./my.toml           another configuration
  ferd run --source usb:1               one camera, whatever the configuration says
  ferd run --try --source browser       the camera of the device that shows the page: press Start there
  ferd run --try                        for a first look (what ./scripts/run does): without a camera it plays a demo
                                        scene, without a broker it starts its own on this machine, the terminal shows
                                        live what is published, and the page is enabled

Ctrl-C or SIGTERM ends it; its last message is "offline". SIGHUP reloads the configuration: only the parts that changed
restart, and an invalid file is reported and changes nothing.
"""

PORT_ENV = "FERD_TRY_PORT"
"""The port where --try looks for a broker, and for a free port, when none is configured (default 1883)."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_option(parser)
    parser.add_argument("--source", metavar="S", help='"auto", "usb", "picamera2", "browser", "demo", a file, …')
    parser.add_argument(
        "--try", dest="trying", action="store_true", help="for a first look: demo scene, own broker, live screen"
    )
    parser.add_argument("--verbose", action="store_true", help="log debug messages")


def _run(args: argparse.Namespace) -> int:
    def load() -> Config:
        config = load_config(args.config, os.environ)
        if args.source is None:
            return config
        config = config.model_copy(update={"cameras": _one_camera(config, args.source)})
        if not args.trying:
            _check_page(config)
        return config

    config = load()
    set_up_logging(logging.DEBUG if args.verbose else logging.INFO)
    for warning in exposed_secrets(config, _file(args.config)):
        logging.getLogger(__name__).warning("%s", warning)
    if args.trying:
        return _try(config, _file(args.config))
    from ferd.app import Application

    daemon = Application(config, load=load, file=_file(args.config))
    _handle_signals(daemon)
    return _restart() if daemon.run() else 0


def _restart() -> int:
    """Restart ferd: exit with the code on which systemd restarts it; without systemd, replace this process."""
    if "NOTIFY_SOCKET" in os.environ:
        logging.shutdown()
        os._exit(EXIT_RESTART)  # at once: the clean-up of libraries would wait for a camera that hangs
    logging.getLogger(__name__).info("restarting")
    logging.shutdown()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a hung camera must not stay open in the new process
        if int(name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(name), False)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # the command line of this process
    raise AssertionError("execv does not return")


def _one_camera(config: Config, source: str) -> dict[str, CameraConfig]:
    """Only the first configured camera, with another source."""
    name, camera = next(iter(config.cameras.items()))
    try:
        return {name: camera.model_copy(update={"source": check_source(source)})}
    except ValueError as error:
        raise ConfigError(f"--source: {error}") from None


def _check_page(config: Config) -> None:
    """Raise ConfigError for a browser's camera without the page."""
    if not config.web.enabled and any(is_browser(camera.source) for camera in config.cameras.values()):
        raise ConfigError("--source browser needs the page: set enabled = true in [web], or add --try")


def _handle_signals(daemon: Application) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: daemon.stop())
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        at_terminal = sys.stdin is not None and sys.stdin.isatty()  # there SIGHUP means: the terminal was closed
        on_hangup = daemon.stop if at_terminal else daemon.ask_to_reload
        signal.signal(signal.SIGHUP, lambda _number, _frame: on_hangup())


def _try(config: Config, file: Path | None) -> int:
    """Run for a first look: replace everything that is missing, and report it."""
    from ferd.app import Application
    from ferd.sources.factory import open_source

    with _broker(config) as (mqtt, protocol, broker_line):
        config = config.model_copy(update={"mqtt": mqtt, "web": _web(config.web)})
        _check_page(config)
        daemon = Application(
            config,
            open_camera=lambda camera: open_source(camera, live=True, demo=True),
            protocol=protocol,
            file=file,
        )
        _handle_signals(daemon)
        delivery = Delivery(daemon)
        head = [broker_line, *_head_lines(config, file)]
        if sys.stdout.isatty():
            with _screen(daemon, head, delivery) as handler:
                set_up_logging(logging.WARNING, handler)
                wants_restart = daemon.run()
        else:
            print(*head, sep="\n", flush=True)
            daemon.mqtt.subscribe(_print_message)
            wants_restart = daemon.run()
    print(delivery.last_words(), flush=True)
    return _restart() if wants_restart else 0


def _head_lines(config: Config, file: Path | None) -> list[str]:
    """How to subscribe, and where the page is: from another machine too."""
    from ferd.outputs.mqtt.broker_settings import broker_settings

    username = broker_settings(config.mqtt).username
    lines = [f"subscribe with: {hints.subscribe(config.mqtt, file, username)}"]
    if not config.web.enabled:
        return [*lines, f"page: needs `{how_to_add('web')}`"]
    lines.append(f"page: http://{config.web.bind}:{config.web.port}/")
    if config.web.local and (tunnel := hints.tunnel(config.web.port)):
        lines.append(f"page, from the machine where you sit: {tunnel}")
    return lines


class Delivery:
    """Know whether a broker took the messages: what is shown on the screen may only wait for one."""

    def __init__(self, daemon: Application) -> None:
        self._mqtt, self._status_topic = daemon.mqtt, f"ferd/{daemon.config.node.name}/status"
        self._reason, self._said_offline = "", False
        self.ever = False
        daemon.mqtt.subscribe(self._note)

    def look(self) -> str:
        """Return why the broker takes nothing at the moment; empty while it takes the messages."""
        status = self._mqtt.status
        self.ever = self.ever or status.connected
        if not status.connected and status.reason not in ("", "not started", "stopped"):
            self._reason = status.reason
        return "" if status.connected else self._reason

    def last_words(self) -> str:
        """Return the line for the end. The status "offline" is shown only by a connection that could say it."""
        if self._said_offline:
            return "ferd ended; its last message was: offline"
        reason = f" ({self._reason})" if self._reason else ""
        return f"ferd ended; {'the broker was away' if self.ever else 'no broker took its messages'}{reason}"

    def _note(self, message: Message) -> None:
        before = self._reason
        if (reason := self.look()) and reason != before and not sys.stdout.isatty():
            print(f"broker: {reason}. What follows was not delivered", flush=True)
        if message.topic == self._status_topic:
            self._said_offline = message.encoded() == b"offline"


def _file(given: Path | None) -> Path | None:
    """The configuration file in use; None for the defaults."""
    if given is not None:
        return given.absolute()
    return SYSTEM_FILE if exists(SYSTEM_FILE) else None


def _web(config: WebConfig) -> WebConfig:
    """Enable the page unless it is configured, on a free port of this machine."""
    installed = importlib.util.find_spec("fastapi") is not None
    if "enabled" in config.model_fields_set or config.bind != "127.0.0.1" or not installed:
        return config
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.bind, config.port))
            port = config.port
        except OSError:
            probe.bind((config.bind, 0))
            port = int(probe.getsockname()[1])
    return config.model_copy(update={"enabled": True, "port": port})


@contextmanager
def _broker(config: Config) -> Iterator[tuple[MqttConfig, Protocol, str]]:
    """The configured broker, or one on this machine, or a new one in this process."""
    from ferd.outputs.mqtt.embedded import EmbeddedBroker, is_broker_there

    mqtt = config.mqtt
    configured = bool({"host", "hosts", "port"} & mqtt.model_fields_set)
    if not configured:
        mqtt = mqtt.model_copy(update={"port": int(os.environ.get(PORT_ENV, mqtt.port))})
    where = f"{mqtt.host}:{mqtt.port}"
    if configured or is_broker_there(mqtt.host, mqtt.port):
        yield mqtt, "5", f"broker: {where}{'' if configured else ' (found on this machine)'}"
        return
    broker = EmbeddedBroker(mqtt.port)
    broker.start()
    try:
        own = mqtt.model_copy(update={"host": broker.host, "port": broker.port})
        # It does not answer a version 5 CONNECT: skip the wait for the fallback.
        yield own, "3.1.1", f"broker: none on {where}, so ferd runs one of its own on {broker.host}:{broker.port}"
    finally:
        broker.stop()


@contextmanager
def _screen(daemon: Application, head: list[str], delivery: Delivery) -> Iterator[logging.Handler]:
    """Show the live screen. Yields a log handler that puts the last line into the screen's footer."""
    from rich.live import Live

    from ferd.outputs.terminal import Screen

    screen = Screen(head)
    unsubscribe = daemon.mqtt.subscribe(lambda message: screen.feed(message.topic, message.encoded(), time.monotonic()))

    def render() -> object:
        screen.head = [*head, *_camera_lines(daemon)]
        if reason := delivery.look() or daemon.mqtt.status.reason:
            screen.head.append(f"broker: {reason}")
        screen.delivered = delivery.ever
        return screen.render(time.monotonic())

    class Footer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            screen.foot = redact_text(record.getMessage())

    try:
        with Live(get_renderable=render, refresh_per_second=8, screen=True):  # type: ignore[arg-type]
            yield Footer()
    finally:
        unsubscribe()


def _camera_lines(daemon: Application) -> list[str]:
    """One line for each camera: what its source really is."""
    lines = []
    snapshot = daemon.snapshot
    off = [] if snapshot is None else [name for name, one in snapshot.cameras.items() if not one.settings.enabled]
    config = daemon.config
    page = f"http://{config.web.bind}:{config.web.port}/" if config.web.enabled else None
    lines += [hints.switched_off(name, config.node.name, config.mqtt, config.mqtt.username, page) for name in off]
    for name, source in daemon.camera_sources().items():
        if name in off:
            continue
        demo = source == "demo scene" and daemon.config.cameras[name].source == "auto"
        lines.append(f"camera {name}: {'no camera found, so this is the ' if demo else ''}{source or 'opening …'}")
        if demo and page:
            lines.append(f"your own camera instead: {hints.first_look()} --source browser, then Start on the page")
    return lines


def _print_message(message: Message) -> None:
    from ferd.topics import printable

    print(message.topic, printable(message.topic, message.encoded()), flush=True)


RUN = Command(
    "run", "run the daemon: read expressions from the cameras and publish them", DETAILS, _add_arguments, _run
)
