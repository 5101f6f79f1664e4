"""examples/fleet/prometheus with the real tools: promtool, the blackbox exporter, a Prometheus that scrapes a ferd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from brokers import free_port, mosquitto, wait_for
from ferd_process import broker_environ, ferd

FOLDER = Path(__file__).parents[3] / "examples/fleet/prometheus"
LONG_S = 60.0
TOKEN = "a-token-of-the-tests"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt install prometheus prometheus-blackbox-exporter")
    return found


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy, with the token that the configuration names."""
    copy = tmp_path / "prometheus"
    shutil.copytree(FOLDER, copy)
    (copy / "ferd-token").write_text(f"{TOKEN}\n")
    return copy


def test_promtool_accepts_configuration_and_rules(folder: Path) -> None:
    assert "SUCCESS" in run(program("promtool"), "check", "config", "prometheus.yml", folder=folder)
    assert "9 rules found" in run(program("promtool"), "check", "rules", "ferd-rules.yml", folder=folder)


def test_the_rules_fire_when_they_should_and_not_otherwise(folder: Path) -> None:
    assert "SUCCESS" in run(program("promtool"), "test", "rules", "ferd-rules-test.yml", folder=folder)


def test_every_rule_is_tested() -> None:
    rules = yaml.safe_load((FOLDER / "ferd-rules.yml").read_text())["groups"]
    names = {rule["alert"] for group in rules for rule in group["rules"]}
    healthy, failing = yaml.safe_load((FOLDER / "ferd-rules-test.yml").read_text())["tests"]
    assert {it["alertname"] for it in healthy["alert_rule_test"]} == names
    assert {it["alertname"] for it in failing["alert_rule_test"] if it["exp_alerts"]} == names


def test_the_blackbox_exporter_accepts_its_configuration(folder: Path) -> None:
    command = program("prometheus-blackbox-exporter")
    assert "ok" in run(command, "--config.check", "--config.file=blackbox.yml", folder=folder)


@contextmanager
def started(folder: Path, *command: str) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def ask(port: int, query: str) -> list[dict[str, Any]]:
    """The samples that Prometheus has; none while it starts."""
    address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except urllib.error.URLError:
        return []
    return found


def test_prometheus_scrapes_a_real_ferd(tmp_path: Path, folder: Path) -> None:
    """With a token, through the examples as they are but for addresses and intervals; and the blackbox probes."""
    server, exporter = program("prometheus"), program("prometheus-blackbox-exporter")
    page, port, probes = free_port(), free_port(), free_port()
    with mosquitto(tmp_path) as broker:
        for name, changes in {
            "prometheus.yml": {
                "30s": "1s",
                "localhost:9115": f"127.0.0.1:{probes}",
                "broker.lan:1883": f"127.0.0.1:{broker.port}",
            },
            "targets/ferd-berlin.yml": {'"hall-pi.lan:8322", "desk-pi.lan:8322"': f'"127.0.0.1:{page}"'},
        }.items():
            text = (folder / name).read_text()
            for old, new in changes.items():
                assert old in text
                text = text.replace(old, new)
            (folder / name).write_text(text)
        web = {"ENABLED": "true", "PORT": str(page), "TOKEN_FILE": str(folder / "ferd-token")}
        environ = broker_environ(broker.port) | {f"FERD_WEB__{key}": value for key, value in web.items()}
        files = ["--config.file=prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        with (
            ferd("run", "--source", "demo", folder=tmp_path, environ=environ) as daemon,
            started(folder, exporter, "--config.file=blackbox.yml", f"--web.listen-address=127.0.0.1:{probes}"),
            started(folder, server, *files, f"--web.listen-address=127.0.0.1:{port}"),
        ):

            def why() -> str:
                return f"{daemon.log[-2000:]}\n{(folder / 'prometheus.log').read_text()[-2000:]}"

            wait_for(lambda: ask(port, 'up{job="ferd"} == 1'), LONG_S, why())
            wait_for(lambda: ask(port, "ferd_broker_connected == 1"), LONG_S, why())
            wait_for(lambda: ask(port, "ferd_camera_online == 1"), LONG_S, why())
            wait_for(lambda: ask(port, "ferd_camera_frames_total > 0"), LONG_S, why())
            wait_for(lambda: ask(port, 'probe_success{job="broker"} == 1'), LONG_S, why())
            wait_for(lambda: ask(port, 'probe_http_status_code{job="ferd-healthz"} == 200'), LONG_S, why())
            assert ask(port, "up")[0]["metric"]
            (up,) = ask(port, 'up{job="ferd"}')
            assert up["metric"]["site"] == "berlin"
            rules = yaml.safe_load((folder / "ferd-rules.yml").read_text())["groups"]
            for group in rules:
                for name in set(
                    re.findall(r"\b(?:ferd|probe)_\w+|\bup\b", " ".join(it["expr"] for it in group["rules"]))
                ):
                    wait_for(lambda name=name: ask(port, name), LONG_S, f"no metric {name}")
            assert ask(port, 'ALERTS{alertstate="firing"}') == []
