"""docs/security.md: its commands run in the order in which they stand there, and do what the page says."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from brokers import Mosquitto, free_port, wait_for

from ferd.config import load_config
from ferd.outputs.mqtt.outbox import Outbox
from ferd.outputs.mqtt.publisher import Publisher

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
HOST, PORT = "broker.lan", "8883"


def blocks(kind: str, here: dict[str, str]) -> list[str]:
    """Those of the page, with this machine's names."""
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub("|".join(map(re.escape, here)), lambda m: here[m[0]], block) for block in found]


@pytest.fixture
def here() -> dict[str, str]:
    return {HOST: "localhost", PORT: str(free_port())}


@pytest.fixture
def broker(tmp_path: Path, here: dict[str, str]) -> Iterator[Mosquitto]:
    """As the examples say, with the files that the page made; not yet started."""
    text = (ROOT / "examples/mosquitto/ferd.conf").read_text()
    for line, ours in {
        "listener 1883 127.0.0.1\n": "",
        "listener 8883": f"listener {here[PORT]}",
        "/etc/mosquitto/ferd-acl": str(ROOT / "examples/mosquitto/acl"),
        "/etc/mosquitto/certs": str(tmp_path),
        "/etc/mosquitto": str(tmp_path),
    }.items():
        assert line in text
        text = text.replace(line, ours)
    broker = Mosquitto(tmp_path, int(here[PORT]), [])
    broker.rewrite(f"user {getpass.getuser()}\n{text}")
    yield broker
    broker.stop()


def run(block: str, folder: Path) -> str:
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"}
    shell = ["bash", "-e", "-o", "pipefail", "-c", block]
    done = subprocess.run(shell, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_page_leads_to_a_ferd_that_is_let_in_and_kept_in(tmp_path: Path, here: dict[str, str], broker: Mosquitto):
    certificates, users, check, tries = blocks("sh", here)
    (configuration,) = blocks("toml", here)
    run(certificates, tmp_path)
    run(users, tmp_path)
    assert {file.stat().st_mode & 0o077 for file in tmp_path.glob("*password*")} == {0}
    (tmp_path / "ferd.toml").write_text(configuration)
    assert "TLS, as hall-pi with a password" in run(check, tmp_path)
    broker.start()
    config = load_config(tmp_path / "ferd.toml", {})
    publisher = Publisher(config.mqtt, config.node.name, "ferd_0a1b2c", Outbox())
    publisher.start()
    try:
        wait_for(lambda: publisher.status.connected, 10, str(publisher.status))
    finally:
        publisher.stop()
    assert run(tries, tmp_path).count("Not authorized") == 2


def test_every_setting_of_the_page_is_one(tmp_path: Path):
    config = load_config(None, {})
    known = {*type(config.mqtt).model_fields, *type(config.cameras["camera"]).model_fields}
    for key in re.findall(r"`(\w+_file|tls_verify|tls)\b", PAGE):
        assert key in known, key
