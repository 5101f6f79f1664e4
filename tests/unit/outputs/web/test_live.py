"""Pictures to those who look: encoded once for all, only while somebody looks, and never held up by a slow one."""

import json
import socket
import struct
import time
from contextlib import ExitStack

import pytest
from brokers import wait_for
from websocket_client import Looker, Rejected


def test_a_looker_gets_pictures_with_their_readings(shown):
    with Looker(shown.port, "/api/live?camera=camera") as looker:
        wait_for(lambda: looker.take()[0].get("faces"), 15)
        head, picture = looker.take()
        assert picture[:3] == b"\xff\xd8\xff"
        face = head["faces"][0]
        assert face["label"] in face["smooth"]
        assert len(face["points"]) == 5
        assert face["why"]["text"]
        assert face["quality"]["light"] > 20
        assert head["age_ms"] < 5000
        wait_for(lambda: shown.camera()["pictures_to"] == 1)
    wait_for(lambda: shown.camera()["lookers"] == 0, 10, "who closes is gone")


def test_without_the_picture_none_is_made(shown):
    encoded = shown.daemon._page._studio.encoded
    with Looker(shown.port, "/api/live?camera=camera&picture=0") as looker:
        for _ in range(3):
            head, picture = looker.take()
            assert head["kind"] == "reading"
            assert picture == b""
        assert shown.camera()["pictures_to"] == 0
    assert shown.daemon._page._studio.encoded == encoded


def test_nobody_looks_and_nothing_is_encoded(shown):
    wait_for(lambda: shown.camera()["lookers"] == 0, 10)
    studio = shown.daemon._page._studio
    before, frames = studio.encoded, shown.camera()["frames"]
    wait_for(lambda: shown.camera()["frames"] > frames + 5, 10)
    assert studio.encoded == before
    assert not studio._shots


def test_ten_look_and_each_picture_is_encoded_once(shown):
    studio = shown.daemon._page._studio
    with ExitStack() as stack:
        lookers = [stack.enter_context(Looker(shown.port, "/api/live?camera=camera")) for _ in range(10)]
        before, first = studio.encoded, studio._number
        for _ in range(4):
            for looker in lookers:
                looker.take()
        assert studio.encoded - before <= studio._number - first + 1


def test_who_does_not_read_holds_nobody_up(shown):
    """It never says that a picture has arrived: the next one is not sent, and the others have theirs."""
    with Looker(shown.port, "/api/live?camera=camera") as slow, Looker(shown.port, "/api/live?camera=camera") as quick:
        slow.receive()
        frames = shown.camera()["frames"]
        for _ in range(8):
            assert quick.take()[0]["kind"] == "reading"
        wait_for(lambda: shown.camera()["frames"] > frames, 10)
        wait_for(lambda: shown.camera()["lookers"] == 1 or quick.take() is None, 30, "the slow one is sent away")


def test_a_camera_that_is_stopped_says_so(shown):
    with Looker(shown.port, "/api/live?camera=camera") as looker:
        looker.take()
        shown.post("/api/cameras/camera/enabled", {"value": False})
        wait_for(lambda: looker.take()[0].get("cameras", [{}])[0].get("status") == "disabled", 20)
        shown.post("/api/cameras/camera/enabled", {"value": True})
        wait_for(lambda: looker.take()[0]["kind"] == "reading", 20)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_sites_page_sees_nothing(shown, headers):
    """Cross-site WebSockets know no CORS: the server alone can refuse them."""
    with pytest.raises(Rejected, match="403"):
        Looker(shown.port, "/api/live?camera=camera", headers)


def test_a_camera_that_is_not_there_is_refused(shown):
    with pytest.raises(Rejected, match="403"):
        Looker(shown.port, "/api/live?camera=attic")


@pytest.mark.parametrize(
    "frame", [b"\x82\x85\0\0\0\0abcde", b"\x81\xfe\xff\xff\0\0\0\0" + b"a" * 65535, b"\xff\xff", b"\x81\x05abcde"]
)
def test_who_speaks_nonsense_is_sent_away(shown, frame):
    with Looker(shown.port, "/api/live?camera=camera") as looker:
        looker.receive()
        looker.line.sendall(frame)
        wait_for(lambda: shown.camera()["lookers"] == 0, 20)
    assert shown.get("/healthz").status_code == 200


def test_idle_connections_neither_stop_the_page_nor_the_camera(shown):
    lines = []
    try:
        for _ in range(300):
            lines.append(socket.create_connection(("127.0.0.1", shown.port), 5))
        frames = shown.camera()["frames"]
        assert len(shown.daemon._page.door) <= 64
        wait_for(lambda: shown.camera()["frames"] > frames + 5, 10)
    finally:
        for line in lines:
            line.close()
    wait_for(lambda: len(shown.daemon._page.door) <= 2, 10)


def test_a_reset_in_the_middle_harms_nobody(shown):
    for _ in range(5):
        looker = Looker(shown.port, "/api/live?camera=camera")
        looker.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        looker.line.close()
    wait_for(lambda: shown.camera()["lookers"] == 0, 20)
    time.sleep(0.1)
    assert json.loads(shown.get("/api/state").text)["node"] == "test"
