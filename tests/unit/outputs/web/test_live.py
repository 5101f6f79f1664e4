"""Hold the live pictures: encoded once for all viewers, only while somebody watches, not delayed by a slow viewer."""

import json
import socket
import struct
import time
from contextlib import ExitStack

import pytest
from brokers import wait_for
from websocket_client import Rejected, WebSocketClient


def test_a_viewer_gets_pictures_with_their_readings(shown):
    with WebSocketClient(shown.port, "/api/live?camera=camera") as viewer:
        wait_for(lambda: any(face["label"] for face in viewer.take()[0].get("faces", [])), 15)
        head, picture = viewer.take()
        assert picture[:3] == b"\xff\xd8\xff"
        face = head["faces"][0]
        assert face["label"] in face["smooth"]
        assert len(face["points"]) == 5
        assert face["why"]["text"]
        assert face["quality"]["light"] > 20
        assert head["age_ms"] < 5000
        assert head["gestures"] == []
        wait_for(lambda: shown.camera()["pictures_to"] == 1)
    wait_for(lambda: shown.camera()["lookers"] == 0, 10, "a closed viewer is forgotten")


def test_no_picture_is_encoded_for_readings_alone(shown):
    encoded = shown.server.frames.encoded
    with WebSocketClient(shown.port, "/api/live?camera=camera&picture=0") as viewer:
        for _ in range(3):
            head, picture = viewer.take()
            assert head["kind"] == "reading"
            assert picture == b""
        assert shown.camera()["pictures_to"] == 0
    assert shown.server.frames.encoded == encoded


def test_nothing_is_encoded_without_a_viewer(shown):
    wait_for(lambda: shown.camera()["lookers"] == 0, 10)
    frames = shown.server.frames
    before, count = frames.encoded, shown.camera()["frames"]
    wait_for(lambda: shown.camera()["frames"] > count + 5, 10)
    assert frames.encoded == before
    assert frames.idle()


def test_each_picture_is_encoded_once_for_ten_viewers(shown):
    frames = shown.server.frames
    with ExitStack() as stack:
        viewers = [stack.enter_context(WebSocketClient(shown.port, "/api/live?camera=camera")) for _ in range(10)]
        before, first = frames.encoded, frames.offered
        for _ in range(4):
            for viewer in viewers:
                viewer.take()
        assert frames.encoded - before <= frames.offered - first + 1


def test_a_slow_viewer_does_not_delay_others(shown):
    """It never acknowledges a picture, so it gets no more; the others get theirs."""
    with (
        WebSocketClient(shown.port, "/api/live?camera=camera") as slow,
        WebSocketClient(shown.port, "/api/live?camera=camera") as quick,
    ):
        slow.receive()
        frames = shown.camera()["frames"]
        for _ in range(8):
            assert quick.take()[0]["kind"] == "reading"
        wait_for(lambda: shown.camera()["frames"] > frames, 10)
        wait_for(lambda: shown.camera()["lookers"] == 1 or quick.take() is None, 30, "the slow one is disconnected")


def test_a_camera_that_is_stopped_says_so(shown):
    with WebSocketClient(shown.port, "/api/live?camera=camera") as viewer:
        viewer.take()
        shown.post("/api/cameras/camera/enabled", {"value": False})
        wait_for(lambda: viewer.take()[0].get("cameras", [{}])[0].get("status") == "disabled", 20)
        shown.post("/api/cameras/camera/enabled", {"value": True})
        wait_for(lambda: viewer.take()[0]["kind"] == "reading", 20)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_is_refused(shown, headers):
    """Cross-site WebSockets know no CORS: the server alone can refuse them."""
    with pytest.raises(Rejected, match="403"):
        WebSocketClient(shown.port, "/api/live?camera=camera", headers)


def test_an_unknown_camera_is_refused(shown):
    with pytest.raises(Rejected, match="403"):
        WebSocketClient(shown.port, "/api/live?camera=attic")


@pytest.mark.parametrize(
    "frame", [b"\x82\x85\0\0\0\0abcde", b"\x81\xfe\xff\xff\0\0\0\0" + b"a" * 65535, b"\xff\xff", b"\x81\x05abcde"]
)
def test_a_malformed_message_ends_the_connection(shown, frame):
    with WebSocketClient(shown.port, "/api/live?camera=camera") as viewer:
        viewer.receive()
        viewer.line.sendall(frame)
        wait_for(lambda: shown.camera()["lookers"] == 0, 20)
    assert shown.get("/healthz").status_code == 200


def test_idle_connections_stop_neither_the_page_nor_the_camera(shown):
    lines = []
    try:
        for _ in range(300):
            lines.append(socket.create_connection(("127.0.0.1", shown.port), 5))
        frames = shown.camera()["frames"]
        assert shown.server.connections() <= 64
        wait_for(lambda: shown.camera()["frames"] > frames + 5, 10)
    finally:
        for line in lines:
            line.close()
    wait_for(lambda: shown.server.connections() <= 2, 10)


def test_a_reset_connection_harms_nobody(shown):
    for _ in range(5):
        viewer = WebSocketClient(shown.port, "/api/live?camera=camera")
        viewer.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        viewer.line.close()
    wait_for(lambda: shown.camera()["lookers"] == 0, 20)
    time.sleep(0.1)
    assert json.loads(shown.get("/api/state").text)["node"] == "test"
