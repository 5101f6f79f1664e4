from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.server
import logging
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import cv2
import numpy as np
import pytest
from camera_tools import gray_picture, wait_for

from ferd.errors import ConfigError, SourceError
from ferd.sources.stall import Timing
from ferd.sources.stream import StreamCamera, with_password
from ferd.sources.supervisor import CameraHandle
from ferd.types import Frame


class MjpegHandler(http.server.BaseHTTPRequestHandler):
    """Serves /mjpeg endlessly; /stops and /stalls send 30 images. Of /torn every other image is broken, of /noise all
    after the first; everything else is 404.
    """

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in ("/mjpeg", "/stops", "/stalls", "/torn", "/noise"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            self._stream(path)
        except OSError:
            return  # the reader went away

    def _stream(self, path: str) -> None:
        count = 0
        while not self.server.stop.is_set() and not (path == "/stops" and count == 30):
            if path == "/stalls" and count == 30:
                self.server.stop.wait(60)
                return
            data = cv2.imencode(".jpg", gray_picture(count % 200, 160, 120))[1].tobytes()
            if (path == "/torn" and count % 2) or (path == "/noise" and count > 0):
                data = b"\xff\xd8" + bytes(500)
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
            self.wfile.write(data + b"\r\n")
            count += 1
            time.sleep(0.005)

    def log_message(self, format: str, *args: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    stop: threading.Event
    asked: list[str]


@pytest.fixture
def address() -> Iterator[str]:
    """host:port of an http camera."""
    server = Server(("127.0.0.1", 0), MjpegHandler)
    server.stop = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Dialects(http.server.BaseHTTPRequestHandler):
    """Answers each path in another way."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization', '')}".strip())
        path = self.path.partition("?")[0].strip("/")
        answer = getattr(self, f"_{path}", None)
        if answer is None:
            self.send_error(404)
            return
        try:
            answer()
        except OSError:
            return  # the reader went away

    def log_message(self, format: str, *args: object) -> None: ...

    def _answer(self, kind: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, kind: str, parts: list[bytes]) -> None:
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        for part in parts:
            self.wfile.write(part)
        self.server.stop.wait(20)

    def _snapshot(self) -> None:
        self._answer("image/jpeg", numbered(len(self.server.asked)))

    def _untyped(self) -> None:
        self._stream("", [numbered(n) for n in range(3)])

    def _octets(self) -> None:
        self._stream("application/octet-stream", [b"--x\r\n\r\n" + numbered(n) for n in range(3)])

    def _redirected(self) -> None:
        self._answer("", status=302, Location="/untyped")

    def _loop(self) -> None:
        self._answer("", status=302, Location="/loop")

    def _file(self) -> None:
        self._answer("", status=302, Location="file:///etc/hostname")

    def _page(self) -> None:
        self._answer("text/html", b"<html>" * 1000)

    def _png(self) -> None:
        self._answer("image/png", b"\x89PNG")

    def _basic(self) -> None:
        want = "Basic " + base64.b64encode(b"me:p@ss:w#rd/%").decode()
        if self.headers.get("Authorization") == want:
            self._untyped()
        else:
            self._answer("", b"no", 401, WWW_Authenticate='Basic realm="a, b"')

    def _letters(self) -> None:
        self._digest("łukasz", "grün łódź")

    def _digest(self, user: str = "me", password: str = "geheim") -> None:
        if self.headers.get("Authorization", "").startswith("Digest ") and self._proves_password(user, password):
            self._answer("image/jpeg", numbered(len(self.server.asked)))
        else:
            self._answer("", b"no", 401, WWW_Authenticate='Digest realm="cam", nonce="abc", qop="auth", algorithm=MD5')

    def _proves_password(self, user: str, password: str) -> bool:
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers["Authorization"]))

        def md5(*parts: str) -> str:
            return hashlib.md5(":".join(parts).encode()).hexdigest()

        secret = md5(user, "cam", password)
        proof = md5(secret, given["nonce"], given["nc"], given["cnonce"], "auth", md5("GET", given["uri"]))
        return given["uri"] == self.path and given["response"] == proof

    def _sha256(self) -> None:
        """Digest by SHA-256 (RFC 7616), behind a kind of login that ferd does not have, in one header."""
        challenge = 'Negotiate, Digest realm="cam", nonce="abc", qop="auth,auth-int", algorithm=SHA-256'
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get("Authorization", "")))

        def sha(*parts: str) -> str:
            return hashlib.sha256(":".join(parts).encode()).hexdigest()

        secret, asked = sha("me", "cam", "geheim"), sha("GET", self.path)
        if given and given["response"] == sha(secret, "abc", given["nc"], given["cnonce"], "auth", asked):
            self._snapshot()
        else:
            self._answer("", b"no", 401, WWW_Authenticate=challenge)

    def _bearer(self) -> None:
        self._answer("", b"no", 401, WWW_Authenticate='Bearer realm="cam"')

    def _session(self) -> None:
        self._answer("", b"no", 401, WWW_Authenticate='Digest realm="c", nonce="a", qop="auth", algorithm=MD5-sess')

    def _bare(self) -> None:
        self._answer("", b"no", 401, WWW_Authenticate="Digest")

    def _gzip(self) -> None:
        self._answer("image/jpeg", gzip.compress(numbered(0)), Content_Encoding="gzip")

    def _webp(self) -> None:
        self._answer("image/jpeg", cv2.imencode(".webp", gray_picture(9, 160, 120))[1].tobytes())

    def _empty(self) -> None:
        self._answer("image/jpeg")

    def _cut(self) -> None:
        self._answer("image/jpeg", numbered(0)[:-20])

    def _nowhere(self) -> None:
        self._answer("", status=302)

    def _broken(self) -> None:
        self._answer("", status=302, Location="http://[1/untyped")

    def _blank(self) -> None:
        self._answer("", status=302, Location="/sn\xe4p 1")

    def _notes(self) -> None:
        """Between the pictures stand parts of text."""
        note = b"--x\r\nContent-Type: text/plain\r\n\r\nmotion=1\r\n"
        self._stream("multipart/x-mixed-replace; boundary=x", [part for n in range(9) for part in (numbered(n), note)])

    def _elsewhere(self) -> None:
        self._answer("", status=302, Location=f"http://localhost:{self.server.server_address[1]}/untyped")

    def _drips(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"\xff\xd8")
        while not self.server.stop.wait(0.05):
            self.wfile.write(b"\xff")

    def _huge(self) -> None:
        data = bytearray(numbered(0))
        at = data.find(b"\xff\xc0")
        data[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
        self._stream("multipart/x-mixed-replace; boundary=x", [bytes(data)])

    def _video(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".ts") as file:
            with av.open(file.name, "w") as container:
                stream = container.add_stream("mpeg2video", rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                for value in range(20, 120):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(gray_picture(value), format="bgr24")))
                container.mux(stream.encode())
            self._answer("video/mp2t", Path(file.name).read_bytes())


def numbered(number: int) -> bytes:
    return cv2.imencode(".jpg", gray_picture(number % 200, 160, 120))[1].tobytes()


@pytest.fixture
def dialects() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Dialects)
    server.stop = threading.Event()
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def camera(server: Server, path: str, login: str = "", **keys: Any) -> StreamCamera:
    return StreamCamera(f"http://{login}127.0.0.1:{server.server_address[1]}/{path}", **{"read_s": 5, **keys})


def first_frame(source: StreamCamera) -> Frame:
    try:
        source.open()
        return source.read()
    finally:
        source.close()


class TestDialects:
    @pytest.mark.parametrize("path", ["untyped", "octets", "redirected", "snapshot"])
    def test_jpeg_whatever_it_is_called(self, dialects: Server, path: str) -> None:
        assert first_frame(camera(dialects, path)).image.shape == (120, 160, 3)

    def test_a_snapshot_is_asked_for_again(self, dialects: Server) -> None:
        source = camera(dialects, "snapshot", fps=50)
        source.open()
        started = time.monotonic()
        values = [int(source.read().image[0, 0, 0]) for _ in range(6)]
        took_s = time.monotonic() - started
        source.close()
        assert values == [1, 2, 3, 4, 5, 6]
        assert len(dialects.asked) == 6
        assert took_s >= 4 / 50

    def test_an_interrupt_ends_the_wait_for_the_next_snapshot(self, dialects: Server) -> None:
        source = camera(dialects, "snapshot", fps=0.01)
        source.open()
        source.read()
        threading.Timer(0.1, source.interrupt).start()
        with pytest.raises(SourceError, match="is closed"):
            source.read()
        source.close()

    def test_an_interrupt_ends_a_read(self, dialects: Server) -> None:
        source = camera(dialects, "drips", read_s=60)
        source.open()
        threading.Timer(0.1, source.interrupt).start()
        with pytest.raises(SourceError, match="stopped delivering"):
            source.read()
        source.close()

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("loop", "redirects more than 5 times"),
            ("file", "redirects to a file address"),
            ("page", r"a page \(text/html\)"),
            ("png", "sends image/png, not JPEG"),
            ("basic", r"asks for a user and a password \(401\)"),
            ("huge", "65500x65500 pixels, more than the limit"),
            ("gzip", r"compressed \(gzip\)"),
            ("webp", "sends WebP, not JPEG"),
            ("empty", "answers with nothing"),
            ("cut", "a JPEG that is cut off"),
            ("nowhere", "without saying where to"),
            ("broken", "redirects to an address that is broken"),
        ],
    )
    def test_what_is_not_read_is_named(self, dialects: Server, path: str, words: str) -> None:
        with pytest.raises(SourceError, match=words):
            first_frame(camera(dialects, path))

    def test_a_redirect_with_a_blank_and_a_letter_is_followed(self, dialects: Server) -> None:
        with pytest.raises(SourceError, match="404"):
            first_frame(camera(dialects, "blank"))
        assert dialects.asked == ["/blank", "/sn%E4p%201"]

    def test_an_address_with_a_blank_and_a_letter(self, dialects: Server) -> None:
        with pytest.raises(SourceError, match="404"):
            first_frame(camera(dialects, "snäp 1?a=b c"))
        assert dialects.asked == ["/sn%C3%A4p%201?a=b%20c"]

    def test_notes_between_the_pictures(self, dialects: Server) -> None:
        source = camera(dialects, "notes")
        source.open()
        assert [int(source.read().image[0, 0, 0]) for _ in range(9)] == list(range(9))
        source.close()

    def test_video_over_http(self, dialects: Server) -> None:
        source = camera(dialects, "video")
        source.open()
        frame = source.read()
        still_s = source.still_s
        source.close()
        assert (frame.width, frame.height) == (64, 48)
        assert still_s > 0, "its encoder may repeat a static scene"


class TestLogin:
    def test_basic_with_every_character(self, dialects: Server) -> None:
        assert first_frame(camera(dialects, "basic", "me:p%40ss%3Aw%23rd%2F%25@")).width == 160

    def test_digest_with_letters_of_all_alphabets(self, dialects: Server, tmp_path: Path) -> None:
        assert first_frame(camera(dialects, "letters", f"{quote('łukasz')}:{quote('grün łódź')}@")).width == 160
        (tmp_path / "password").write_text("grün łódź\n", encoding="utf-8")
        assert first_frame(camera(dialects, "letters", "łukasz@", password_file=tmp_path / "password")).width == 160

    def test_password_from_a_file(self, dialects: Server, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("p@ss:w#rd/%\n")
        assert first_frame(camera(dialects, "basic", "me@", password_file=file)).width == 160

    def test_a_password_file_that_is_not_there(self, dialects: Server, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"source_password_file: the file that it names in .* does not exist"):
            first_frame(camera(dialects, "basic", "me@", password_file=tmp_path / "none"))

    def test_digest_for_each_snapshot(self, dialects: Server) -> None:
        source = camera(dialects, "digest", "me:geheim@", fps=50)
        source.open()
        assert [source.read().width for _ in range(3)] == [160] * 3
        source.close()
        assert len(dialects.asked) == 4, "the first without a login, which is then remembered"

    def test_digest_by_sha_256_among_other_challenges(self, dialects: Server) -> None:
        assert first_frame(camera(dialects, "sha256", "me:geheim@")).width == 160

    @pytest.mark.parametrize(
        ("path", "kind"), [("bearer", "Bearer"), ("session", "Digest MD5-sess auth"), ("bare", "Digest")]
    )
    def test_a_kind_that_ferd_does_not_have_is_named(self, dialects: Server, path: str, kind: str) -> None:
        with pytest.raises(SourceError, match=rf"a kind of login that ferd does not have \({kind}\)"):
            first_frame(camera(dialects, path, "me:geheim@"))

    @pytest.mark.parametrize("path", ["basic", "digest", "sha256"])
    def test_wrong(self, dialects: Server, path: str) -> None:
        with pytest.raises(
            SourceError, match=r"http://127\.0\.0\.1:\d+/…: user or password is wrong \(401\)"
        ) as caught:
            first_frame(camera(dialects, path, "me:falsch@"))
        assert "falsch" not in str(caught.value)

    def test_another_host_does_not_get_it(self, dialects: Server) -> None:
        first_frame(camera(dialects, "elsewhere", "me:geheim@"))
        assert dialects.asked == ["/elsewhere", "/untyped"]


def test_with_password() -> None:
    assert with_password("rtsp://me@cam:554/1", "a/b@c") == "rtsp://me:a%2Fb%40c@cam:554/1"
    assert with_password("rtsp://cam/1", None) == "rtsp://cam/1"


class TestDeadCameras:
    def test_do_not_delay_a_good_one(self, address: str) -> None:
        """Three that accept the connection and never answer, for which a library may hold a lock meanwhile."""
        with contextlib.ExitStack() as stack:
            silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = silent.getsockname()[1]
            urls = [f"rtsp://127.0.0.1:{port}/1", f"http://127.0.0.1:{port}/2", f"rtsp://127.0.0.1:{port}/3"]
            dead = [StreamCamera(url, open_s=4) for url in urls]
            threads = [threading.Thread(target=lambda source=source: failure_of(source)) for source in dead]
            for thread in threads:
                thread.start()
            time.sleep(0.2)
            started = time.monotonic()
            first_frame(StreamCamera(f"http://{address}/mjpeg"))
            took_s = time.monotonic() - started
            assert all(thread.is_alive() for thread in threads), "they still wait"
            assert took_s < 2
            for thread in threads:
                thread.join()


def failure_of(source: StreamCamera) -> str:
    try:
        source.open()
    except SourceError as error:
        return str(error)
    finally:
        source.close()
    return ""


def read_many(source: StreamCamera) -> None:
    for _ in range(100):
        source.read()


class TestDoesNotOpen:
    @pytest.mark.parametrize("url", ["http://me:geheim@127.0.0.1:1/x", "rtsp://me:geheim@127.0.0.1:1/x"])
    def test_nobody_there(self, url: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(url)
        with pytest.raises(SourceError, match="Connection refused") as caught:
            source.open()
        seen = capfd.readouterr()
        assert "geheim" not in str(caught.value) + seen.err + seen.out

    def test_not_found(self, address: str) -> None:
        with pytest.raises(SourceError, match=r"no such address \(404\)"):
            StreamCamera(f"http://{address}/other").open()


class TestStreams:
    def test_images_with_the_time_of_their_arrival(self, address: str) -> None:
        times = iter(range(100))
        source = StreamCamera(f"http://{address}/mjpeg", clock=lambda: float(next(times)))
        source.open()
        frames = [source.read() for _ in range(5)]
        source.close()
        assert [frame.t for frame in frames] == [0, 1, 2, 3, 4]
        assert all(frame.image.shape == (120, 160, 3) for frame in frames)

    def test_when_a_picture_was_captured(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/mjpeg")
        source.open()
        before = time.monotonic()
        captured_at = source.read().captured_at
        source.close()
        assert captured_at is not None
        assert before <= captured_at <= time.monotonic()

    def test_a_jpeg_comes_with_its_picture(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/mjpeg")
        source.open()
        frame = source.read()
        source.close()
        assert frame.jpeg is not None
        assert (cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR) == frame.image).all()

    def test_a_broken_image_is_skipped(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/torn")
        source.open()
        assert all(source.read().image.shape == (120, 160, 3) for _ in range(5))
        source.close()

    def test_nothing_but_broken_pictures_is_an_error(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/noise")
        source.open()
        with pytest.raises(SourceError, match="broken pictures"):
            read_many(source)
        source.close()

    def test_the_end_is_an_error(self, address: str) -> None:
        source = StreamCamera(f"http://{address}/stops")
        source.open()
        with pytest.raises(SourceError, match="stopped delivering"):
            read_many(source)
        source.close()

    def test_a_stall_is_no_hang(self, address: str) -> None:
        """FFmpeg's time-out and the supervisor's limit are one: the read returns, and its descriptors are closed."""
        timing = Timing(frame_s=0.3, shortest_wait_s=0.01, longest_wait_s=0.02)
        camera = CameraHandle(
            "stream",
            lambda: StreamCamera(f"http://{address}/stalls", read_s=timing.frame_s),
            threading.Event(),
            timing=timing,
        )
        camera.start()
        wait_for(lambda: camera.report().failures >= 4)
        report = camera.report()
        camera.stop()
        assert (report.hung, report.hanging_since) == (0, None)

    def test_a_stall_is_an_error(self, address: str, capfd: pytest.CaptureFixture[str]) -> None:
        source = StreamCamera(f"http://{address}/stalls?token=geheim", read_s=0.5)
        source.open()
        with pytest.raises(SourceError, match="stopped delivering"):
            read_many(source)
        source.close()
        assert capfd.readouterr().err == ""


def test_the_name_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = StreamCamera("rtsp://me:geheim@cam/1")
    assert source.name == "rtsp://cam/…"
    with pytest.raises(SourceError, match="is not open"):
        source.read()
    source.close()
    assert "geheim" not in caplog.text
