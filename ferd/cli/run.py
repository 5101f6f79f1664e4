"""ferd run: the daemon."""

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

from ferd.config import CameraConfig, Config, MqttConfig, load_config
from ferd.config.loader import SYSTEM_FILE
from ferd.config.source import check_source
from ferd.config.web import WebConfig
from ferd.errors import EXIT_RESTART, ConfigError
from ferd.fs import exists

if TYPE_CHECKING:
    from ferd.engine import Engine
    from ferd.outputs.mqtt.client import Protocol
    from ferd.outputs.mqtt.topics import Message

HELP = "run the daemon: read expressions from the cameras and publish them"
MORE = """
  ferd run                              /etc/ferd/ferd.toml if it is there, else the defaults
  ferd run --config ./my.toml           another configuration
  ferd run --source usb:1               one camera, whatever the configuration says
  ferd run --try                        for a first look (what ./scripts/run does): without a camera it plays a demo
                                        scene, without a broker it starts one of its own on this machine, and the
                                        terminal shows live what is published; the page is on, its address is told

Ctrl-C or SIGTERM ends it; the last message says offline. SIGHUP reads the configuration again: what changed is built
anew, and a file that is wrong leaves everything as it was.
"""

PORT_ENV = "FERD_TRY_PORT"
"""Where --try looks for a broker, and begins to look for a free port, when none is configured (1883)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="F", help="settings of this file instead of the system's")
    parser.add_argument("--source", metavar="S", help='"auto", "usb", "picamera2", "demo", a file, an address …')
    parser.add_argument(
        "--try", dest="trying", action="store_true", help="a first look: demo scene, own broker, screen"
    )
    parser.add_argument("--verbose", action="store_true", help="log more")


def run(args: argparse.Namespace) -> int:
    from ferd.cli import logs

    def load() -> Config:
        config = load_config(args.config, os.environ)
        if args.source is None:
            return config
        return config.model_copy(update={"cameras": _one_camera(config, args.source)})

    config = load()
    logs.set_up(logging.DEBUG if args.verbose else logging.INFO)
    if args.trying:
        return _try(config, _file(args.config))
    from ferd.engine import Engine

    daemon = Engine(config, load=load, file=_file(args.config))
    _listen_to_signals(daemon)
    return _restart() if daemon.run() else 0


def _restart() -> int:
    """The exit code with which systemd starts ferd anew; without systemd this process becomes a new ferd."""
    if "NOTIFY_SOCKET" in os.environ:
        logging.shutdown()
        os._exit(EXIT_RESTART)  # at once: the libraries' own clearing up would wait for a camera that hangs
    logging.getLogger(__name__).info("starts anew")
    logging.shutdown()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a camera that hangs must not stay open in the new ferd
        if int(name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(name), False)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # ourselves, as we were started
    raise AssertionError("execv does not return")


def _one_camera(config: Config, source: str) -> dict[str, CameraConfig]:
    """The first configured camera, with another source."""
    name, camera = next(iter(config.cameras.items()))
    try:
        return {name: camera.model_copy(update={"source": check_source(source)})}
    except ValueError as error:
        raise ConfigError(f"--source: {error}") from None


def _listen_to_signals(daemon: Engine) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: daemon.stop())
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        at_terminal = sys.stdin is not None and sys.stdin.isatty()  # there it says that the terminal was closed
        hang_up = daemon.stop if at_terminal else daemon.ask_to_reload
        signal.signal(signal.SIGHUP, lambda _number, _frame: hang_up())


def _try(config: Config, file: Path | None) -> int:
    """A first look: everything that is missing is replaced, and said."""
    from ferd.cli import logs
    from ferd.engine import Engine
    from ferd.sources.factory import open_source

    with _broker(config) as (mqtt, protocol, broker_line):
        config = config.model_copy(update={"mqtt": mqtt, "web": _web(config.web)})
        daemon = Engine(
            config,
            open_camera=lambda camera: open_source(camera, live=True, demo=True),
            protocol=protocol,
            file=file,
        )
        _listen_to_signals(daemon)
        subscribe = f"subscribe with: mosquitto_sub -h {mqtt.host} -p {mqtt.port} -v -t 'ferd/#'"
        page = f"page: {daemon.page}" if daemon.page else "page: needs `pip install 'ferd[web]'`"
        if sys.stdout.isatty():
            with _screen(daemon, [broker_line, subscribe, page]) as handler:
                logs.set_up(logging.WARNING, handler)
                wants_restart = daemon.run()
        else:
            print(broker_line, subscribe, page, sep="\n", flush=True)
            daemon.board.subscribe(_print_message)
            wants_restart = daemon.run()
    print("ferd ended; its last message was: offline", flush=True)
    return _restart() if wants_restart else 0


def _file(given: Path | None) -> Path | None:
    """Where the configuration is read from; None for the defaults."""
    if given is not None:
        return given.absolute()
    return SYSTEM_FILE if exists(SYSTEM_FILE) else None


def _web(config: WebConfig) -> WebConfig:
    """Switched on where it was not said otherwise, on a free port of this machine."""
    installed = importlib.util.find_spec("starlette") is not None
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
    """The configured broker, or the one on this machine, or a new one in this process."""
    from ferd.outputs.mqtt.embedded import EmbeddedBroker, is_broker_there

    mqtt = config.mqtt
    configured = bool({"host", "port"} & mqtt.model_fields_set)
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
        # It never answers a version 5 connect: do not make the user wait for the fallback.
        yield own, "3.1.1", f"broker: none on {where}, so ferd runs one of its own on {broker.host}:{broker.port}"
    finally:
        broker.stop()


@contextmanager
def _screen(daemon: Engine, head: list[str]) -> Iterator[logging.Handler]:
    """The live screen; yields a handler that shows the last log line in its foot instead of breaking it up."""
    from rich.live import Live

    from ferd.cli.screen import Screen

    screen = Screen(head)
    end = daemon.board.subscribe(lambda message: screen.feed(message.topic, message.payload, time.monotonic()))

    def render() -> object:
        screen.head = [*head, *_camera_lines(daemon)]
        if reason := daemon.publisher.status.reason:
            screen.head.append(f"broker: {reason}")
        return screen.render(time.monotonic())

    class Foot(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            screen.foot = record.getMessage()

    try:
        with Live(get_renderable=render, refresh_per_second=8, screen=True):  # type: ignore[arg-type]
            yield Foot()
    finally:
        end()


def _camera_lines(daemon: Engine) -> list[str]:
    """What each camera really is, and what that means where it is none."""
    lines = []
    for name, source in daemon.camera_names().items():
        made_up = source == "demo scene" and daemon.config.cameras[name].source == "auto"
        lines.append(f"camera {name}: {'no camera found, so this is the ' if made_up else ''}{source or 'opening …'}")
    return lines


def _print_message(message: Message) -> None:
    print(message.topic, message.payload.decode(errors="replace"), flush=True)
