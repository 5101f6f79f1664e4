"""source = "browser" in the real process with a real broker: readings from what a browser sends, and why none come."""

import json
import socket
import threading
from contextlib import suppress

import pytest
from brokers import Ear, free_port, mosquitto, wait_for
from ferd_process import broker_environ, ferd
from websocket_client import WebSocketClient

from ferd.outputs.web.browser_sender import CLOSED, REASONS
from ferd.sources.browser import NOBODY
from ferd.sources.demo import render

CAMERA = "ferd/test-pi/camera"
START_S = 60.0


def listens(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def pictures():
    """The demo scene as JPEGs, as a browser would send them."""
    import cv2

    return [cv2.imencode(".jpg", render(index / 10).image)[1].tobytes() for index in range(80)]


def test_what_a_browser_sends_is_read_and_every_silence_is_published_with_its_reason(tmp_path):
    web = {"FERD_WEB__ENABLED": "true", "FERD_WEB__PORT": str(free_port())}
    path = "/api/camera?camera=camera"
    with (
        mosquitto(tmp_path) as broker,
        Ear(broker.port) as ear,
        ferd("run", "--source", "browser", folder=tmp_path, environ=broker_environ(broker.port) | web) as daemon,
    ):
        wait_for(lambda: NOBODY in daemon.log, START_S, daemon.log)
        ear.wait(f"{CAMERA}/status", "offline", START_S)
        sent = pictures()
        wait_for(lambda: listens(int(web["FERD_WEB__PORT"])), START_S, daemon.log)
        with WebSocketClient(int(web["FERD_WEB__PORT"]), path) as client:
            assert client.hear()["kind"] == "go"

            def send():
                for picture in sent * 20:
                    client.send(picture)
                    if client.hear() != {"kind": "next"} or stopping.is_set():
                        return

            stopping = threading.Event()
            sending = threading.Thread(target=send)
            sending.start()
            try:
                ear.wait(f"{CAMERA}/status", "online", START_S)
                states = lambda: [json.loads(text) for text in ear.payloads(f"{CAMERA}/state")]  # noqa: E731
                wait_for(lambda: any(state["expression"] == "happiness" for state in states()), START_S, daemon.log)
            finally:
                stopping.set()
                sending.join(30)
            client.send(json.dumps({"state": "hidden"}))
            wait_for(lambda: REASONS["hidden"] in daemon.log, START_S, daemon.log)
            wait_for(lambda: ear.payloads(f"{CAMERA}/status")[-1] == "offline", START_S)
        wait_for(lambda: CLOSED in daemon.log, START_S, daemon.log)
        assert daemon.stop() == 0


@pytest.mark.parametrize("arguments", [("--source", "browser"), ("--config", "ferd.toml")])
def test_without_the_page_it_is_refused_with_the_remedy(tmp_path, arguments):
    (tmp_path / "ferd.toml").write_text('[cameras.hall]\nsource = "browser"\n')
    with ferd("run", *arguments, folder=tmp_path, environ=broker_environ(1)) as daemon:
        assert daemon.process.wait(START_S) == 78
        assert "needs the page: set enabled = true in [web]" in daemon.log
