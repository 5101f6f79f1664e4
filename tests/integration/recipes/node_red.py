"""A real Node-RED, headless on a loopback port, with one flow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import LOOPBACK, free_port, wait_for

RED = os.environ.get("FERD_TEST_NODE_RED")
"""Its red.js, as `scripts/test-recipes` names it; None in a plain run of all tests."""

NODE = shutil.which("node")
SETTINGS = """
module.exports = {{
    flowFile: "flow.json", uiHost: "{host}", uiPort: {port}, httpAdminRoot: "/", telemetry: {{ enabled: false }},
    logging: {{ console: {{ level: "info" }} }}, diagnostics: {{ enabled: false }},
}};
"""


class NodeRed:
    """What it wrote is in ``log``."""

    def __init__(self, folder: Path, flow: Path, broker_port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        (folder / "settings.js").write_text(SETTINGS.format(host=LOOPBACK, port=self.port))
        (folder / "flow.json").write_text(json.dumps(_at_broker(json.loads(flow.read_text()), broker_port)))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Returns when the flow runs and is connected to the broker."""
        assert NODE is not None
        assert RED is not None
        with (self.folder / "log").open("wb") as out:
            command = [NODE, RED, "--userDir", str(self.folder), "--settings", str(self.folder / "settings.js")]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        wait_for(self._is_ready, 60, f"Node-RED does not connect to the broker, see {self.folder / 'log'}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def press(self, node: str) -> None:
        """Presses the button of an inject node."""
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}/inject/{node}", b"", method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return "Started flows" in self.log and "Connected to broker" in self.log


def _at_broker(flow: list[dict[str, object]], port: int) -> list[dict[str, object]]:
    """The flow with the one thing changed that a user would change: where the broker is."""
    return [node | {"broker": LOOPBACK, "port": str(port)} if node["type"] == "mqtt-broker" else node for node in flow]


@contextmanager
def node_red(folder: Path, flow: Path, broker_port: int) -> Iterator[NodeRed]:
    """Runs for as long as the block does."""
    running = NodeRed(folder, flow, broker_port)
    try:
        running.start()
        yield running
    finally:
        running.stop()
