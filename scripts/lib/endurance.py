"""What scripts/soak and scripts/fuzz-broker share: a broker that is killed and frozen, and a ferd that is watched."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
STARTS_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Broker:
    """A mosquitto that writes sessions and retained messages to disk at once, so that a kill loses none of them."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {HOST}", "allow_anonymous true", f"user {getpass.getuser()}", "log_dest none"]
        lines += ["persistence true", f"persistence_location {folder}/", "autosave_on_changes true"]
        lines += ["autosave_interval 1", "max_queued_messages 0", ""]
        self._config.write_text("\n".join(lines))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            sys.exit("mosquitto is not installed: apt install mosquitto")
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(0.05)
        sys.exit("mosquitto does not start")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal; SIGKILL is a power cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Stop it: its port accepts connections, and it never answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process holds: memory in MB, open descriptors, threads. ``at``: seconds since its start."""

    at: float
    rss_mb: float
    descriptors: int
    threads: int


class Ferd:
    """The real daemon in a process of its own."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.log = folder / "ferd.log"
        environ = {key: value for key, value in os.environ.items() if not key.startswith("FERD_")}
        environ |= {"STATE_DIRECTORY": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "ferd", "run", "--config", str(config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._began = time.monotonic()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, text: str, within_s: float = STARTS_S) -> None:
        end = time.monotonic() + within_s
        while time.monotonic() < end and self.alive:
            if text in self.log.read_text(errors="replace"):
                return
            time.sleep(0.1)
        sys.exit(f"ferd does not report {text!r}:\n{self.log.read_text(errors='replace')[-4000:]}")

    def usage(self) -> Usage:
        folder = Path(f"/proc/{self._process.pid}")
        status = (folder / "status").read_text()
        rss, threads = (int(status.partition(f"{key}:")[2].split()[0]) for key in ("VmRSS", "Threads"))
        return Usage(time.monotonic() - self._began, rss / 1024, len(list((folder / "fd").iterdir())), threads)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> int | str:
        """Ask it to end; returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            return "did not end within 30 s"

    def tracebacks(self) -> int:
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


def get_json(url: str, timeout_s: float = 10.0) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return json.load(answer)


def growth(usages: list[Usage], name: str) -> float:
    """Return how much a figure grew: the median of the last quarter less that of the second.

    The first quarter is left out: models load, caches fill.
    """
    values = [float(getattr(usage, name)) for usage in usages]
    if len(values) < 8:
        return 0.0
    quarter = len(values) // 4
    second, last = sorted(values[quarter : 2 * quarter]), sorted(values[-quarter:])
    return last[len(last) // 2] - second[len(second) // 2]


def table(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows)
