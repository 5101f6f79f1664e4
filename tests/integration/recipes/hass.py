"""A real Home Assistant, headless on a loopback port, and the few questions that the tests ask it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from brokers import LOOPBACK, free_port, wait_for
from websockets.sync.client import connect

HASS = os.environ.get("FERD_TEST_HASS")
"""The program, as `scripts/test-recipes` names it; None in a plain run of all tests, for which this is too much."""

START_S = 240
"""So long may it take to answer: its first start compiles everything, on a slow machine."""

CONFIGURATION = """
homeassistant: {{name: test, latitude: 0, longitude: 0, elevation: 0, unit_system: metric, time_zone: UTC}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
api:
auth:
config:
websocket_api:
onboarding:
mqtt:
logger: {{default: warning}}
{more}
"""


class RefusedError(Exception):
    """Home Assistant refused a request."""


class HomeAssistant:
    """One installation in ``folder``, a copy of what is in ``like``. ``more``: lines of its configuration.yaml."""

    def __init__(self, folder: Path, more: str = "", like: Path | None = None) -> None:
        if like is not None:
            shutil.copytree(like, folder, dirs_exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._token: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port, more=more))

    def start(self) -> None:
        """Returns when it runs and has set up all that is configured. The first time it makes its first user."""
        with (self.folder / "stdout.log").open("ab") as out:
            assert HASS is not None
            command = [HASS, "-c", str(self.folder), "--skip-pip"]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        wait_for(self._answers, START_S, f"Home Assistant does not answer: {self.folder}")
        if self._token is None:
            self._onboard()
        wait_for(lambda: self.get("/api/config")["state"] == "RUNNING", START_S, "Home Assistant does not run")
        self._keep_port()

    def stop(self) -> None:
        """A clean stop; killed when it does not come in time."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def _onboard(self) -> None:
        """Makes the first user, as a browser would; all further requests are made in its name."""
        user = {"client_id": self.url, "name": "t", "username": "t", "password": "t-pass-1", "language": "en"}
        code = self.post("/api/onboarding/users", user)["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": self.url}
        self._token = self._request("POST", "/auth/token", urllib.parse.urlencode(form).encode())["access_token"]

    def _keep_port(self) -> None:
        """Confirms the port: 2026.11 returns to its own one and restarts when nobody does that within 5 minutes."""
        with suppress(RefusedError):  # older versions know no such command, and it can be confirmed once only
            self.ask("http/config/promote")

    def add_broker(self, port: int) -> None:
        """The MQTT integration, as a user adds it."""
        flows = "/api/config/config_entries/flow"
        flow = self.post(flows, {"handler": "mqtt", "show_advanced_options": False})
        answer: dict[str, object] = {"broker": LOOPBACK, "port": port}
        if any(field["name"] == "other_settings" for field in flow["data_schema"]):  # since 2026
            answer["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        entry = self.post(f"{flows}/{flow['flow_id']}", answer)
        assert entry["type"] == "create_entry", entry

    def get(self, path: str) -> Any:
        return self._request("GET", path)

    def post(self, path: str, document: object) -> Any:
        return self._request("POST", path, json.dumps(document).encode(), "application/json")

    def states(self) -> dict[str, dict[str, Any]]:
        """Every entity: its state and its attributes."""
        return {entity["entity_id"]: entity for entity in self.get("/api/states")}

    def ours(self) -> dict[str, str]:
        """The states of what a ferd called hall-pi made."""
        return {name: entity["state"] for name, entity in self.states().items() if ".hall_pi_" in name}

    def knows_devices(self) -> bool:
        """Whether it takes one discovery document for a device: since 2024.11."""
        year, month, *_ = self.get("/api/config")["version"].split(".")
        return (int(year), int(month)) >= (2024, 11)

    def state(self, entity: str) -> str | None:
        """None where there is no such entity."""
        found = self.states().get(entity)
        return None if found is None else str(found["state"])

    def render(self, template: str) -> str:
        return str(self.post("/api/template", {"template": template}))

    def call(self, action: str, **data: object) -> None:
        """Performs an action such as light.turn_on."""
        self.post("/api/services/" + action.replace(".", "/"), data)

    def ask(self, kind: str, **more: object) -> Any:
        """The result of a command of its websocket API."""
        with connect(self.url.replace("http", "ws") + "/api/websocket", max_size=None) as line:
            line.recv()
            line.send(json.dumps({"type": "auth", "access_token": self._token}))
            line.recv()
            line.send(json.dumps({"id": 1, "type": kind, **more}))
            answer = json.loads(line.recv())
        if not answer["success"]:
            raise RefusedError(f"{kind}: {answer['error']}")
        return answer["result"]

    def device(self) -> dict[str, Any]:
        """The device that a ferd called hall-pi made, as the registry has it."""
        return next(it for it in self.ask("config/device_registry/list") if it["manufacturer"] == "ferd")

    def notices(self, title: str) -> list[str]:
        """The messages that its page shows under ``title``, the oldest first."""
        ours = [notice for notice in self.ask("persistent_notification/get") if notice["title"] == title]
        return [notice["message"] for notice in sorted(ours, key=lambda notice: str(notice["created_at"]))]

    def picture(self, entity: str) -> bytes:
        """What an image entity shows."""
        request = urllib.request.Request(f"{self.url}/api/image_proxy/{entity}")
        request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return bytes(reply.read())

    def problems(self, *about: str) -> list[str]:
        """What its log says at warning level and above, lines with one of ``about`` only."""
        lines = (self.folder / "home-assistant.log").read_text(errors="replace").splitlines()
        bad = [line for line in lines if " WARNING " in line or " ERROR " in line]
        return [line for line in bad if any(word.lower() in line.lower() for word in about)]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "stdout.log").read_text(errors="replace")[-3000:]
        try:
            self.get("/api/onboarding")
        except RefusedError:
            return True  # after onboarding that page is gone
        except OSError:
            time.sleep(0.3)
            return False
        return True

    def _request(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> Any:
        headers = {"Content-Type": kind} if kind else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text.decode()


@contextmanager
def home_assistant(folder: Path, more: str = "", like: Path | None = None) -> Iterator[HomeAssistant]:
    """Made, not yet started; stopped at the end of the block."""
    installation = HomeAssistant(folder, more, like)
    try:
        yield installation
    finally:
        installation.stop()
