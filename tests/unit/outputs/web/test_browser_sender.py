"""The pictures of a visitor's own camera: one sender at a time, bounded in size and rate, hostile bytes refused."""

import json
import os
import time

import pytest
from brokers import wait_for
from pages import page
from websocket_client import Rejected, WebSocketClient

from ferd.errors import SourceError
from ferd.outputs.web import browser_sender, senders
from ferd.sources import browser
from ferd.sources.browser import BrowserCamera, inbox
from ferd.sources.demo import PORTRAIT

JPEG = PORTRAIT.read_bytes()
PATH = "/api/camera?camera=hall"
FIREFOX = {"User-Agent": "Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0"}
HUGE = bytearray(JPEG)  # says that it has 60000x60000 pixels
AT = JPEG.index(b"\xff\xc0") + 5
HUGE[AT : AT + 4] = (60000).to_bytes(2, "big") * 2


@pytest.fixture(autouse=True)
def _inboxes(monkeypatch):
    monkeypatch.setattr(browser, "_inboxes", {})


@pytest.fixture(scope="module")
def sent():
    with page(cameras={"hall": {"source": "browser", "fps": 100}, "desk": {"source": "demo"}}) as running:
        running.wait_online()
        yield running


@pytest.fixture
def client(sent):
    with WebSocketClient(sent.port, PATH, FIREFOX) as one:
        assert one.hear()["kind"] == "go"
        yield one
    wait_for(lambda: sent.camera()["sender"] is None, 20)


def reason():
    return inbox("browser").reason()


def test_pictures_are_asked_for_one_by_one_and_arrive_as_they_were_sent(sent, client):
    camera = BrowserCamera("browser", frame_s=20)
    for _ in range(3):
        client.send(JPEG)
        assert client.hear() == {"kind": "next"}
    camera.open()
    frame = camera.read()
    assert frame.encoded == JPEG
    assert frame.image.shape == (600, 512, 3)
    sender = sent.camera()["sender"]
    assert (sender["who"], sender["state"]) == ("Firefox on Android", "sending")


def test_the_size_that_is_wanted_is_that_of_the_configuration(sent):
    with WebSocketClient(sent.port, PATH) as one:
        assert one.hear() == {"kind": "go", "width": 640, "height": 480, "fps": 100, "max_bytes": 1 << 20}


@pytest.mark.parametrize("camera", ["desk", "nobody", ""])
def test_other_cameras_take_no_pictures(sent, camera):
    with pytest.raises(Rejected, match="403"):
        WebSocketClient(sent.port, f"/api/camera?camera={camera}")


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"\xff",
        os.urandom(5000),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        JPEG[: JPEG.index(b"\xff\xda")],
        bytes(HUGE),
        b"\xff\xd8\xff" + b"\xff" * 4000,
        b"\xff\xd8\xff\xc0\x00\x00",
    ],
    ids=["empty", "one byte", "noise", "PNG", "SVG", "header only", "3600 megapixels", "padding", "length 0"],
)
def test_what_is_no_picture_is_refused_before_it_is_decoded(sent, client, picture):
    client.send(picture)
    refused = client.hear()
    assert refused["kind"] == "bad"
    assert refused["error"]
    assert client.hear() == {"closed": browser_sender.REFUSED_PICTURE}
    with pytest.raises(SourceError):
        BrowserCamera("browser", frame_s=2).open()


def test_a_message_that_is_too_long_ends_the_connection(sent, client):
    client.send(b"\xff\xd8\xff" + bytes(browser_sender.MAX_PICTURE_BYTES))
    assert client.hear() == {"closed": 1009}


def test_a_viewer_may_acknowledge_only_shortly(sent):
    with WebSocketClient(sent.port, "/api/live?camera=hall") as viewer:
        viewer.receive()
        viewer.send("x" * 5000)
        with pytest.raises(EOFError):
            viewer.receive()


def test_who_sends_faster_than_the_camera_is_slowed_down(sent):
    with page(cameras={"hall": {"source": "browser", "fps": 10}}) as slow, WebSocketClient(slow.port, PATH) as one:
        one.hear()
        began = time.monotonic()
        for _ in range(12):
            one.send(JPEG)
        for _ in range(12):
            assert one.hear() == {"kind": "next"}
        assert time.monotonic() - began > 0.9  # 12 pictures at 10 a second, of which the first two come at once


def test_the_second_visitor_is_told_who_has_it_and_may_take_over(sent, client):
    with WebSocketClient(sent.port, PATH) as second:
        told = second.hear()
        assert (told["kind"], told["by"]) == ("busy", "Firefox on Android")
        assert abs(told["since"] - time.time()) < 60
        assert second.hear() == {"closed": browser_sender.BUSY}
    client.send(JPEG)
    assert client.hear() == {"kind": "next"}
    with WebSocketClient(sent.port, f"{PATH}&take=1", {"User-Agent": "Mozilla/5.0 (iPad) Safari/605"}) as second:
        assert second.hear()["kind"] == "go"
        assert client.hear() == {"kind": "taken", "by": "Safari on iPad"}
        assert client.hear() == {"closed": browser_sender.TAKEN_OVER}
        assert sent.camera()["sender"]["who"] == "Safari on iPad"
        second.send(JPEG)
        assert second.hear() == {"kind": "next"}


@pytest.mark.parametrize("word", sorted(browser_sender.REASONS))
def test_each_reason_of_the_page_becomes_that_of_the_camera(sent, client, word):
    client.send(JPEG)
    client.hear()
    client.send(json.dumps({"state": word}))
    wait_for(lambda: reason() == browser_sender.REASONS[word], 20)
    assert sent.camera()["sender"]["state"] == word


@pytest.mark.parametrize("word", ["refused", "stopped", "insecure"])
def test_the_reason_stays_when_the_page_leaves(sent, word):
    with WebSocketClient(sent.port, PATH) as one:
        one.hear()
        one.send(json.dumps({"state": word}))
        wait_for(lambda: reason() == browser_sender.REASONS[word], 20)
    wait_for(lambda: sent.camera()["sender"] is None, 20)
    assert reason() == browser_sender.REASONS[word]


@pytest.mark.parametrize("before", [None, "hidden", "asking"])
def test_a_closed_tab_is_one(sent, before):
    with WebSocketClient(sent.port, PATH) as one:
        one.hear()
        one.send(JPEG)
        one.hear()
        if before:
            one.send(json.dumps({"state": before}))
            wait_for(lambda: reason() == browser_sender.REASONS[before], 20)
    wait_for(lambda: reason() == browser_sender.CLOSED, 20)


@pytest.mark.parametrize(
    "text", ["", "next", "{}", "[]", '{"state": 1}', '{"state": "<b>"}', "[" * 3000, "x" * 100_000]
)
def test_what_the_page_never_writes_is_ignored_and_goes_nowhere(sent, client, text):
    client.send(text)
    client.send(JPEG)
    assert client.hear() == {"kind": "next"}
    assert reason() is None


def test_a_camera_that_is_switched_off_tells_the_page(sent, client):
    client.send(JPEG)
    client.hear()
    sent.post("/api/cameras/hall/enabled", {"value": False})
    try:
        assert client.hear() == {"kind": "off"}
        assert client.hear() == {"closed": browser_sender.SWITCHED_OFF}
        wait_for(lambda: reason() == browser.NOBODY, 20)
    finally:
        sent.post("/api/cameras/hall/enabled", {"value": True})
        wait_for(lambda: sent.camera()["enabled"], 20)


def test_another_sites_page_and_a_visitor_without_the_token_may_not_send(tmp_path):
    token = "a-token-of-some-length"
    (tmp_path / "token").write_text(token)
    with page({"token_file": str(tmp_path / "token")}, cameras={"hall": {"source": "browser"}}) as guarded:
        with pytest.raises(Rejected, match="403"):
            WebSocketClient(guarded.port, PATH)
        bearer = {"Authorization": f"Bearer {token}"}
        with pytest.raises(Rejected, match="403"):
            WebSocketClient(guarded.port, PATH, {**bearer, "Origin": "https://evil.example"})
        with WebSocketClient(guarded.port, PATH, bearer) as one:
            assert one.hear()["kind"] == "go"


def test_the_page_may_ask_for_the_camera_only_where_it_is_one(sent, shown):
    assert sent.get("/").headers["Permissions-Policy"].startswith("camera=(self),")
    assert shown.get("/").headers["Permissions-Policy"].startswith("camera=(),")
    assert sent.get("/api/state").json()["cameras"][1]["browser"] is False


@pytest.mark.parametrize(
    ("agent", "host", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130 Safari/537 Edg/130", "192.0.2.7", "Edge on Windows at 192.0.2.7"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/130 Safari/537", "127.0.0.1", "Chrome on Linux"),
        ("<script>alert(1)</script>", "::1", "a browser"),
        ("", "", "a browser"),
    ],
)
def test_a_browser_is_named_without_copying_its_headers(agent, host, name):
    scope = {"type": "http", "headers": [(b"user-agent", agent.encode())], "client": (host, 5)}
    assert senders.who(senders.HTTPConnection(scope)) == name
