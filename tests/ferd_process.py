"""A real `ferd` process, as a user or systemd would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Ferd:
    """What it wrote is in `log` (both streams); `stop` asks it to end and gives the exit code."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        program: Sequence[str] = ("-m", "ferd"),
    ) -> None:
        self._log = folder / f"ferd-{time.monotonic_ns()}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FERD_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=clean | {"PYTHONUNBUFFERED": "1", "XDG_DATA_HOME": str(folder), "FERD_OWN": "1"} | dict(environ),
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM, within_s: float = 15) -> int:
        self.process.send_signal(number)
        return self.process.wait(within_s)


@contextmanager
def ferd(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "ferd"),
) -> Iterator[Ferd]:
    """Runs for as long as the block does. ``program``: what Python runs, where it is to be ferd with a difference."""
    running = Ferd(arguments, folder, environ or {}, program)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(10)


def broker_environ(port: int) -> dict[str, str]:
    return {"FERD_MQTT__HOST": "127.0.0.1", "FERD_MQTT__PORT": str(port), "FERD_NODE__NAME": "test-pi"}
