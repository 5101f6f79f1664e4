"""Real MQTT brokers on free loopback ports, and an ear that hears what they pass on."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for(happened: Callable[[], Any], timeout_s: float = 20.0, what: str = "") -> None:
    """Returns when ``happened`` is true; AssertionError when it is not in time."""
    until = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < until, what or "it did not happen in time"
        time.sleep(0.01)


class Mosquitto:
    """A mosquitto process. It keeps nothing over a restart, so a restart is a new broker on the same port."""

    def __init__(self, folder: Path, port: int, lines: Sequence[str]) -> None:
        self.port = port
        self.host = LOOPBACK
        self._config = folder / f"mosquitto-{port}.conf"
        self._config.write_text("\n".join([f"listener {port} {LOOPBACK}", *lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [_program("mosquitto"), "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._listens, what=f"mosquitto does not listen, see {self._config}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(5)
            self._process = None

    def rewrite(self, text: str) -> None:
        """Another configuration for the next start."""
        self._config.write_text(text)

    def freeze(self) -> None:
        """It is there, its port takes connections, and it never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"mosquitto ended, try: mosquitto -c {self._config}"
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False


@contextmanager
def mosquitto(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    acl: str | None = None,
    tls: tuple[Path, Path] | None = None,
    more: Sequence[str] = (),
    started: bool = True,
) -> Iterator[Mosquitto]:
    """A broker for as long as the block runs. ``folder`` (tmp_path) holds its files.

    ``users``: passwords by name, nobody else is let in. ``acl``: the text of an acl_file. ``tls``: certificate and
    key. ``more``: lines of its configuration. ``started``: False to begin without it.
    """
    lines = ["persistence false", f"user {getpass.getuser()}", "log_dest none"]
    lines.append(f"allow_anonymous {'false' if users else 'true'}")
    if users:
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        for name, password in users.items():
            subprocess.run(
                [_program("mosquitto_passwd"), "-b", str(passwords), name, password], check=True, capture_output=True
            )
        lines.append(f"password_file {passwords}")
    if acl is not None:
        (folder / "acl").write_text(acl)
        lines.append(f"acl_file {folder / 'acl'}")
    if tls is not None:
        lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
    lines += more
    broker = Mosquitto(folder, free_port(), lines)
    try:
        if started:
            broker.start()
        yield broker
    finally:
        broker.stop()


class Ear:
    """Hears all that a broker passes on, retained messages first: (topic, payload, whether it was retained)."""

    def __init__(self, port: int, topic: str = "#", username: str | None = None, password: str | None = None) -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self._subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.on_message = lambda _c, _u, m: self.heard.append(
            (m.topic, m.payload.decode(errors="replace"), m.retain)
        )
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = self._ready
        self._connect(port)

    def _connect(self, port: int) -> None:
        """A broker that has just been started may open its second port a little later."""
        until = time.monotonic() + 20
        while True:
            try:
                self._client.connect(LOOPBACK, port)
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def _ready(self, *_: Any) -> None:
        self._subscribed = True

    def __enter__(self) -> Ear:
        self._client.loop_start()
        wait_for(lambda: self._subscribed, what="the ear is not subscribed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(5)

    def payloads(self, topic: str) -> list[str]:
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def wait(self, topic: str, payload: str | None = None, timeout_s: float = 20.0) -> str:
        """The last payload of a topic, once it is (or is as wanted)."""

        def there() -> bool:
            told = self.payloads(topic)
            return bool(told) and payload in (None, told[-1])

        wait_for(there, timeout_s, f"{topic} did not say {payload}; heard: {self.heard}")
        return self.payloads(topic)[-1]


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed, and the tests need a real broker: apt install mosquitto")
    return found
