"""Servers that keep a reader waiting: what is expected has to arrive by one moment, however it trickles."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from camera_tools import gray_picture

from ferd.errors import FerdError, SourceError
from ferd.sources.http import _challenges
from ferd.sources.stream import StreamCamera

LIMITS = {"open_s": 1.5, "read_s": 0.7}
GENEROUS_S = 20.0
"""A loaded machine needs no more for what ends after at most 2.2 s; without a limit none of it would end."""
STEP_S = 0.05

Talk = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\n"
MULTIPART = OK + b"Content-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n"
JPEG = OK + b"Content-Type: image/jpeg\r\n"
PART = b"--x\r\nContent-Type: image/jpeg\r\n\r\n"


def picture(value: int) -> bytes:
    return cv2.imencode(".jpg", gray_picture(value, 64, 48))[1].tobytes()


def drip(connection: socket.socket, data: bytes) -> None:
    for value in itertools.cycle(data):
        connection.sendall(bytes([value]))
        time.sleep(STEP_S)


def flood(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data * 100)


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], int]]:
    """Start a server that reads a request and then calls `talk`, for each connection; returns its port."""
    servers: list[socket.socket] = []
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def answer(connection: socket.socket, talk: Talk) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65_536)
            talk(connection)

    def accept(server: socket.socket, talk: Talk) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = server.accept()[0]
                connections.append(connection)
                threads.append(threading.Thread(target=answer, args=(connection, talk)))
                threads[-1].start()

    def start(talk: Talk) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threads.append(threading.Thread(target=accept, args=(server, talk)))
        threads[-1].start()
        return int(server.getsockname()[1])

    yield start
    for used in (*servers, *connections):
        with contextlib.suppress(OSError):
            used.shutdown(socket.SHUT_RDWR)
        used.close()
    for thread in threads:
        thread.join()


def failure(source: StreamCamera) -> str:
    """Open and read until the source fails. Fails itself where that takes too long."""
    started = time.monotonic()
    try:
        source.open()
        while time.monotonic() - started < GENEROUS_S:
            source.read()
    except SourceError as error:
        assert time.monotonic() - started < GENEROUS_S
        return str(error)
    finally:
        source.close()
    pytest.fail("it read without end")


def heads(connection: socket.socket) -> None:
    connection.sendall(OK)
    flood(connection, b"X-Long: " + b"a" * 1000 + b"\r\n")


def trickled_head(connection: socket.socket) -> None:
    connection.sendall(OK)
    drip(connection, b"X-Long: a\r\n")


def informs(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def trickled_refusal(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 60000\r\n\r\n')
    drip(connection, b" ")


def trickled_picture(connection: socket.socket) -> None:
    connection.sendall(MULTIPART + PART)
    drip(connection, picture(9)[:300])


def trickled_after_pictures(connection: socket.socket) -> None:
    connection.sendall(MULTIPART + b"".join(PART + picture(value) for value in range(5)) + PART + picture(9)[:-9])
    drip(connection, b"\0")


def trickled_notes(connection: socket.socket) -> None:
    connection.sendall(MULTIPART + b"".join(PART + picture(value) for value in range(5)))
    drip(connection, b"--x\r\nContent-Type: text/plain\r\n\r\nmotion=0\r\n")


def notes(connection: socket.socket) -> None:
    connection.sendall(MULTIPART + b"".join(PART + picture(value) for value in range(5)))
    flood(connection, b"--x\r\nContent-Type: text/plain\r\n\r\nmotion=0\r\n")


def noise(connection: socket.socket) -> None:
    connection.sendall(MULTIPART)
    flood(connection, bytes(range(255)))


def trickled_chunks(connection: socket.socket) -> None:
    connection.sendall(JPEG + b"Transfer-Encoding: chunked\r\n\r\n")
    drip(connection, b"1\r\na\r\n")


def blanks(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Type: application/octet-stream\r\n\r\n")
    flood(connection, b" " * 100)


def trickled_blanks(connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n")
    drip(connection, b" ")


HTTP = (
    heads,
    trickled_head,
    informs,
    trickled_refusal,
    trickled_picture,
    trickled_after_pictures,
    trickled_notes,
    notes,
    noise,
    trickled_chunks,
    blanks,
    trickled_blanks,
)


@pytest.mark.parametrize("talk", HTTP)
def test_http_ends(serve: Callable[[Talk], int], talk: Talk) -> None:
    text = failure(StreamCamera(f"http://me:geheim@127.0.0.1:{serve(talk)}/x", **LIMITS))
    assert "in time" in text or "sends more before its answer" in text
    assert "geheim" not in text


def test_a_slow_chain_of_redirects_ends(serve: Callable[[Talk], int]) -> None:
    """Each answer is in time, all together are not."""

    def redirects(connection: socket.socket) -> None:
        time.sleep(0.6)
        connection.sendall(b"HTTP/1.1 302 On\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    assert "does not answer in time" in failure(StreamCamera(f"http://127.0.0.1:{serve(redirects)}/x", **LIMITS))


def test_a_snapshot_that_trickles_ends(serve: Callable[[Talk], int]) -> None:
    number = itertools.count()

    def snapshot(connection: socket.socket) -> None:
        data = picture(next(number))
        connection.sendall(JPEG + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(data))
        if next(number) < 6:
            connection.sendall(data)
        else:
            connection.sendall(data[:300])
            drip(connection, b"\0")

    text = failure(StreamCamera(f"http://127.0.0.1:{serve(snapshot)}/x", fps=50, **LIMITS))
    assert "no complete picture in time" in text


def test_empty_snapshots_end(serve: Callable[[Talk], int]) -> None:
    number = itertools.count()

    def snapshot(connection: socket.socket) -> None:
        data = picture(9) if next(number) < 3 else b""
        connection.sendall(JPEG + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(data) + data)

    text = failure(StreamCamera(f"http://127.0.0.1:{serve(snapshot)}/x", fps=50, **LIMITS))
    assert "answers with nothing" in text or "in time" in text


HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(32)
"""The start of a TLS server's first message, which announces 16 kB."""


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_trickled_encryption_ends(serve: Callable[[Talk], int], scheme: str) -> None:
    text = failure(StreamCamera(f"{scheme}://127.0.0.1:{serve(lambda sock: drip(sock, HELLO))}/x", **LIMITS))
    assert "in time" in text


def transport_stream(path: Path, frames: int = 0) -> bytes:
    """A MPEG transport stream with sound, and with `frames` pictures at its start."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("mp2", rate=16_000)
        sound.layout = "mono"
        for value in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(gray_picture(value), format="bgr24")))
        container.mux(video.encode())
        for number in range(4000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), layout="mono")
            frame.rate, frame.pts = 16_000, number * 1152
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path.read_bytes()


class TestVideo:
    def test_trickled(self, serve: Callable[[Talk], int], tmp_path: Path) -> None:
        data = transport_stream(tmp_path / "a.ts", 40)

        def talk(connection: socket.socket) -> None:
            connection.sendall(OK + b"Content-Type: video/mp2t\r\n\r\n" + data[:2000])
            drip(connection, data[2000:])

        text = failure(StreamCamera(f"http://127.0.0.1:{serve(talk)}/x", **LIMITS))
        assert "in time" in text

    def test_nothing_but_sound(self, serve: Callable[[Talk], int], tmp_path: Path) -> None:
        """Its packets come in time, and none of them is a picture."""
        data = transport_stream(tmp_path / "a.ts", 40)

        def talk(connection: socket.socket) -> None:
            connection.sendall(OK + b"Content-Type: video/mp2t\r\n\r\n" + data[:200_000])
            for at in itertools.count(200_000, 188):
                connection.sendall(data[at : at + 188])
                time.sleep(0.01)

        text = failure(StreamCamera(f"http://127.0.0.1:{serve(talk)}/x", **LIMITS))
        assert "no complete picture in time" in text

    def test_a_trickled_playlist(self, serve: Callable[[Talk], int]) -> None:
        lines = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nx.ts\n"

        def talk(connection: socket.socket) -> None:
            connection.sendall(OK + b"Content-Type: application/vnd.apple.mpegurl\r\n\r\n" + lines)
            drip(connection, b"#EXTINF:1,\nx.ts\n")

        assert "in time" in failure(StreamCamera(f"http://127.0.0.1:{serve(talk)}/x.m3u8", **LIMITS))

    def test_a_playlist_of_trickled_video(self, serve: Callable[[Talk], int], tmp_path: Path) -> None:
        data = transport_stream(tmp_path / "a.ts", 40)
        number = itertools.count()

        def talk(connection: socket.socket) -> None:
            if next(number) < 2:  # asked for by ferd, then by FFmpeg
                lines = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + b"#EXTINF:1,\nx.ts\n" * 9
                connection.sendall(OK + b"Content-Length: %d\r\n" % len(lines))
                connection.sendall(b"Content-Type: application/vnd.apple.mpegurl\r\n\r\n" + lines)
            else:
                connection.sendall(OK + b"Content-Type: video/mp2t\r\n\r\n" + data[:1000])
                drip(connection, data[1000:])

        assert "in time" in failure(StreamCamera(f"http://127.0.0.1:{serve(talk)}/x.m3u8", **LIMITS))

    @pytest.mark.parametrize(
        "step", [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: ", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: y\r\nX: "]
    )
    def test_rtsp(self, serve: Callable[[Talk], int], step: bytes) -> None:
        def talk(connection: socket.socket) -> None:
            connection.sendall(step)
            drip(connection, step)

        assert "in time" in failure(StreamCamera(f"rtsp://me:geheim@127.0.0.1:{serve(talk)}/x", **LIMITS))


def open_and_read(source: StreamCamera) -> None:
    source.open()
    source.read()


class TestInterrupt:
    """Where the limits are long, an interrupt ends a wait at once."""

    @pytest.mark.parametrize("talk", [trickled_head, trickled_refusal, trickled_picture, trickled_blanks, noise])
    def test_http(self, serve: Callable[[Talk], int], talk: Talk) -> None:
        self._check(f"http://me:geheim@127.0.0.1:{serve(talk)}/x")

    def test_encryption(self, serve: Callable[[Talk], int]) -> None:
        self._check(f"https://127.0.0.1:{serve(lambda sock: drip(sock, HELLO))}/x")

    def test_connecting(self) -> None:
        """To a server whose queue is full: its system answers nothing."""
        with socket.socket() as server, contextlib.ExitStack() as stack:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            for _ in range(4):
                filling = stack.enter_context(socket.socket())
                filling.setblocking(False)
                filling.connect_ex(server.getsockname())
            self._check(f"http://127.0.0.1:{server.getsockname()[1]}/x")

    def _check(self, url: str) -> None:
        source = StreamCamera(url, open_s=300, read_s=300)
        threading.Timer(0.5, source.interrupt).start()
        started = time.monotonic()
        try:
            with pytest.raises(FerdError):
                open_and_read(source)
        finally:
            source.close()
        assert time.monotonic() - started < GENEROUS_S


@pytest.mark.parametrize(
    "header",
    ['Digest x="' + '\\"' * 30_000, "Digest " + "a" * 60_000, 'Digest x="' * 6_000, "Digest a=" + " " * 60_000],
)
def test_a_long_challenge_is_read_at_once(header: str) -> None:
    """It once took minutes, during which nothing else ran in the process."""
    started = time.process_time()
    list(_challenges([header]))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Digest realm="c",nonce = "a=b", qop="auth,auth-int", algorithm=MD5, Bearer',
         [("digest", {"realm": "c", "nonce": "a=b", "qop": "auth,auth-int", "algorithm": "MD5"}), ("bearer", {})]),
        ("Digest nonce=abc==, realm=\"\"", [("digest", {"nonce": "abc==", "realm": ""})]),
        ('Digest realm="cam" nonce="x" stale=false', [("digest", {"realm": "cam", "nonce": "x", "stale": "false"})]),
        ("", []),
    ],
)  # fmt: skip
def test_challenges(header: str, found: list[object]) -> None:
    assert list(_challenges([header])) == found
