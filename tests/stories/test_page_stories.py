"""Hold the page in the real process: off by default, its address printed, and no fault of it stops ferd."""

import os
import re
import signal
import socket

import httpx
import pytest
from brokers import free_port, wait_for
from ferd_process import broker_environ, ferd
from websocket_client import WebSocketClient

STARTS_S = 20


def answers(url, path="healthz"):
    try:
        return httpx.get(f"{url}{path}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def environ(**web):
    return broker_environ(1) | {f"FERD_WEB__{key.upper()}": str(value) for key, value in web.items()}


def test_run_try_prints_the_address_of_the_page(tmp_path):
    with ferd("run", "--try", "--source", "demo", folder=tmp_path, environ=broker_environ(free_port())) as daemon:
        wait_for(lambda: "page: http://127.0.0.1:" in daemon.log, STARTS_S, daemon.log)
        address = re.search(r"page: (http://\S+)", daemon.log)[1]
        wait_for(lambda: answers(address), STARTS_S, daemon.log)
        assert "<title>ferd</title>" in httpx.get(address).text
        assert daemon.stop(signal.SIGINT) == 0


def test_the_page_is_off_by_default(tmp_path):
    with ferd("run", "--source", "demo", folder=tmp_path, environ=environ(port=free_port())) as daemon:
        wait_for(lambda: "ready" in daemon.log, STARTS_S, daemon.log)
        assert "page" not in daemon.log
        assert daemon.stop() == 0


def test_a_taken_port_is_reported_and_ferd_continues(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with ferd(
            "run", "--source", "demo", folder=tmp_path, environ=environ(enabled="true", port=other.getsockname()[1])
        ) as daemon:
            wait_for(lambda: "the port is taken" in daemon.log, STARTS_S, daemon.log)
            wait_for(lambda: "ready" in daemon.log, STARTS_S, daemon.log)
            assert daemon.stop() == 0


@pytest.mark.parametrize(("token", "message"), [(None, "does not exist"), ("short", "at least 16"), ("", "is empty")])
def test_a_wrong_token_file_is_refused_at_the_start(tmp_path, token, message):
    if token is not None:
        (tmp_path / "token").write_text(token)
    with ferd(
        "run", "--source", "demo", folder=tmp_path, environ=environ(enabled="true", token_file=tmp_path / "token")
    ) as daemon:
        assert daemon.process.wait(STARTS_S) == 78
        assert message in daemon.log
        assert token is None or not token or token not in daemon.log


def test_other_machines_need_a_token(tmp_path):
    with ferd("run", "--source", "demo", folder=tmp_path, environ=environ(enabled="true", bind="0.0.0.0")) as daemon:
        assert daemon.process.wait(STARTS_S) == 78
        assert "token_file is needed" in daemon.log


def test_a_reload_switches_the_page_on_and_off(tmp_path):
    file, port = tmp_path / "ferd.toml", free_port()
    url = f"http://127.0.0.1:{port}/"
    base = '[node]\nname = "test-pi"\n[mqtt]\nport = 1\n'
    file.write_text(base)
    with ferd("run", "--config", str(file), "--source", "demo", folder=tmp_path) as daemon:
        wait_for(lambda: "ready" in daemon.log, STARTS_S, daemon.log)
        file.write_text(f"{base}[web]\nenabled = true\nport = {port}\n")
        os.kill(daemon.process.pid, signal.SIGHUP)
        wait_for(lambda: answers(url), STARTS_S, daemon.log)
        wait_for(lambda: re.search(r"reloaded changed='.*\bweb'", daemon.log), 10, daemon.log)
        with WebSocketClient(port, "/api/live?camera=camera") as viewer:
            assert viewer.take()[0]["kind"] == "reading"
            file.write_text(base)
            os.kill(daemon.process.pid, signal.SIGHUP)
            wait_for(lambda: not answers(url), STARTS_S, daemon.log)
        assert daemon.stop() == 0


def test_ferd_ends_in_time_with_viewers_that_do_not_read(tmp_path):
    port = free_port()
    with ferd("run", "--source", "demo", folder=tmp_path, environ=environ(enabled="true", port=port)) as daemon:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), STARTS_S, daemon.log)
        with (
            WebSocketClient(port, "/api/live?camera=camera"),
            WebSocketClient(port, "/api/live?camera=camera&picture=0"),
        ):
            assert daemon.stop(within_s=8) == 0
    assert "Traceback" not in daemon.log
