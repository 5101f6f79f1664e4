"""Hold when the page is served: by the configuration, without loading anything while it is off."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from brokers import free_port, wait_for
from pages import Broker, page

from ferd.config import Config
from ferd.errors import ConfigError
from ferd.outputs.web.sink import WebSink
from ferd.snapshot import ModelInfo, Snapshot

FRAMEWORK = ("fastapi", "itsdangerous", "prometheus_client", "starlette", "tomlkit", "uvicorn", "wsproto", "asyncio")


def snapshot(**web):
    return Snapshot(
        time.monotonic(), time.time(), Config.model_validate({"web": web}), ModelInfo("m", (), "d", "r"), {}
    )


@pytest.fixture
def sink():
    now = snapshot()
    sink = WebSink(snapshot=lambda: now, submit=print, use=print, file=lambda: None, broker=Broker)
    yield sink
    sink.stop()


def answers(url, path="healthz", headers=None):
    try:
        return httpx.get(f"{url}{path}", headers=headers).status_code == 200
    except httpx.TransportError:
        return False


def test_nothing_of_the_page_is_loaded_while_it_is_off():
    code = (
        "import sys\nfrom ferd.config import Config\nfrom ferd.outputs.web.sink import WebSink\n"
        "from ferd.snapshot import ModelInfo, Snapshot\n"
        "sink = WebSink(snapshot=None, submit=None, use=None, file=None, broker=None)\n"
        "sink.check(Config())\n"
        "sink.update(None, Snapshot(0.0, 0.0, Config(), ModelInfo('m', (), 'd', 'r'), {}), ())\n"
        f"loaded = [name for name in {FRAMEWORK!r} if name in sys.modules]\n"
        "loaded += [name for name in sys.modules if name.startswith('ferd.outputs.web.') and name[17:] != 'sink']\n"
        "assert not loaded, loaded\nassert sink.address is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])


def test_a_reload_starts_moves_and_ends_the_server(sink):
    off, first, second = snapshot(), snapshot(enabled=True, port=free_port()), snapshot(enabled=True, port=free_port())
    sink.update(None, off, ())
    assert sink.address is None
    sink.update(off, first, ())
    old = sink.address
    assert old == f"http://127.0.0.1:{first.config.web.port}/"
    wait_for(lambda: answers(old), 15)
    began = time.monotonic()
    sink.update(first, second, ())
    assert time.monotonic() - began < 0.1, "the loop does not wait for the old server"
    wait_for(lambda: answers(sink.address), 15)
    assert not answers(old)
    last = sink.address
    sink.update(second, off, ())
    wait_for(lambda: not answers(last), 5)


def test_an_unchanged_configuration_keeps_the_server(sink):
    first = snapshot(enabled=True, port=free_port())
    sink.update(None, first, ())
    server = sink.server
    sink.update(first, replace(first, at=first.at + 1), ())
    assert sink.server is server


def test_another_token_file_content_restarts_the_server(sink, tmp_path):
    token = tmp_path / "token"
    token.write_text("a-token-of-enough-length")
    first = snapshot(enabled=True, port=free_port(), token_file=str(token))
    sink.update(None, first, ())
    wait_for(lambda: answers(sink.address), 15)
    address = sink.address
    token.write_text("another-token-of-enough-length")
    sink.update(first, replace(first, files={"web": ((str(token), 1, 1),)}), ())
    given = {"Authorization": "Bearer another-token-of-enough-length"}
    wait_for(lambda: answers(address, "api/state", given), 15)


@pytest.mark.parametrize(("token", "message"), [(None, "does not exist"), ("short", "at least 16"), ("", "is empty")])
def test_a_wrong_token_file_is_refused(sink, tmp_path, token, message):
    file = tmp_path / "token"
    if token is not None:
        file.write_text(token)
    with pytest.raises(ConfigError, match=message):
        sink.check(snapshot(enabled=True, token_file=str(file)).config)


def test_a_missing_package_is_reported_with_its_remedy(sink, monkeypatch):
    monkeypatch.setattr("ferd.outputs.web.sink.find_spec", lambda name: None if name == "fastapi" else name)
    with pytest.raises(ConfigError, match=r"needs fastapi: run `.*install .*`, or set enabled"):
        sink.check(snapshot(enabled=True).config)
    sink.check(snapshot().config)


def test_it_ends_in_time():
    with page() as shown:
        shown.wait_online()
        threads = threading.active_count()
        began = time.monotonic()
        shown.loop.stop()
        assert time.monotonic() - began < 2.5
        assert threading.active_count() <= threads - 2, "neither the loop nor the page is left"
