"""A broker with TLS and the real process: what is wrong is told once with its remedy, and a reload mends it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from brokers import mosquitto, wait_for
from certificates import Authority
from ferd_process import ferd

START_S = 30.0


def configuration(folder: Path, port: int, *lines: str) -> Path:
    file = folder / "ferd.toml"
    mqtt = ["[mqtt]", 'host = "127.0.0.1"', f"port = {port}", "tls = true", *lines]
    file.write_text("\n".join(['[node]\nname = "test-pi"\n[cameras.camera]\nsource = "demo"', *mqtt, ""]))
    return file


def test_a_wrong_authority_is_told_and_mended_by_a_reload(tmp_path: Path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    shutil.copy(other.file, tmp_path / "ca.pem")
    with mosquitto(tmp_path, tls=authority.sign("broker")) as broker:
        file = configuration(tmp_path, broker.port, 'ca_file = "ca.pem"')
        with ferd("run", "--config", str(file), folder=tmp_path) as daemon:
            wait_for(lambda: "untrusted" in daemon.log and "ready" in daemon.log, START_S, daemon.log)
            assert "set mqtt.ca_file to the certificate of the authority that signed the broker's" in daemon.log
            assert "connected" not in daemon.log
            shutil.copy(authority.file, tmp_path / "ca.pem")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "ferd.outputs.mqtt.client: connected" in daemon.log, START_S, daemon.log)
            assert daemon.log.count("untrusted") == 1
            assert daemon.stop() == 0


def test_insecure_is_warned_of_at_each_start_and_by_check(tmp_path: Path):
    with mosquitto(tmp_path, tls=Authority(tmp_path).sign("broker", "DNS:elsewhere", days=-1)) as broker:
        file = configuration(tmp_path, broker.port, "tls_verify = false")
        with ferd("run", "--config", str(file), folder=tmp_path) as daemon:
            wait_for(lambda: "ferd.outputs.mqtt.client: connected" in daemon.log, START_S, daemon.log)
            assert daemon.log.count("mqtt.tls_verify is false") == 1
            assert daemon.stop() == 0
        with ferd("check", str(file), folder=tmp_path) as check:
            assert check.process.wait(60) == 0
            assert "warning   mqtt.tls_verify is false" in check.log
