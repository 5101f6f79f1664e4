"""A connection that another library makes: it is bounded, and its wait can be ended."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from camera_tools import wait_for

from ferd.errors import SourceError
from ferd.sources.connection_guard import EVERY_S, ConnectionGuard
from ferd.sources.stream import StreamCamera

LIMIT = 200_000
SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkAoEf+yA==,aM48gA==\r\na=control:track1\r\n"
)
"""Of a camera that sends H.264 of 640x128 (RFC 8866, RFC 6184)."""


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def guard_of(server: socket.socket) -> Iterator[Callable[[], ConnectionGuard]]:
    with contextlib.ExitStack() as guards:

        def make() -> ConnectionGuard:
            guard = ConnectionGuard("127.0.0.1", server.getsockname()[1], LIMIT)
            guards.callback(guard.close)
            guard.start()
            return guard

        yield make


def connected(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new connection: the reader's, and the server's."""
    reader = socket.create_connection(server.getsockname())
    reader.settimeout(20)
    return reader, server.accept()[0]


def is_watched(guard: ConnectionGuard) -> bool:
    return guard._connection is not None


def take(reader: socket.socket, sender: socket.socket, size: int) -> bool:
    """Let so many bytes through; returns whether they arrived."""
    sender.sendall(bytes(size))
    left = size
    while left and (data := reader.recv(min(left, 65_536))):
        left -= len(data)
    return left == 0


def test_more_than_its_bytes_ends_it(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    guard = guard_of()
    reader, sender = connected(server)
    with reader, sender:
        wait_for(lambda: is_watched(guard))
        assert take(reader, sender, LIMIT - 1000)
        time.sleep(3 * EVERY_S)
        assert not guard.exceeded
        take(reader, sender, 2000)
        wait_for(lambda: guard.exceeded)
        assert reader.recv(1) == b""


def test_packets_start_the_count_again(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    guard = guard_of()
    reader, sender = connected(server)
    with reader, sender:
        wait_for(lambda: is_watched(guard))
        for _ in range(6):
            assert take(reader, sender, LIMIT // 2)
            guard.packet_arrived()
            time.sleep(2 * EVERY_S)
        assert not guard.exceeded


def test_what_is_not_read_yet_does_not_count(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    """A reader that was slow for a while has not taken it."""
    guard = guard_of()
    reader, sender = connected(server)
    with reader, sender:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * LIMIT)
        wait_for(lambda: is_watched(guard))
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100):
                sender.send(bytes(10_000))
        time.sleep(4 * EVERY_S)
        assert not guard.exceeded
        assert len(reader.recv(1000)) == 1000


def test_other_connections_are_left_alone(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    """Those that were there before, and those to other servers."""
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as other:
        older = [stack.enter_context(end) for end in connected(server)]
        guard = guard_of()
        elsewhere = [stack.enter_context(end) for end in connected(other)]
        for reader, sender in (older, elsewhere):
            assert take(reader, sender, 2 * LIMIT)
        time.sleep(4 * EVERY_S)
        assert not is_watched(guard)
        guard.interrupt()
        for reader, sender in (older, elsewhere):
            assert take(reader, sender, 1000)


def test_each_guard_watches_its_own(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    """Two streams of one recorder."""
    with contextlib.ExitStack() as stack:
        pairs, guards = [], []
        for _ in range(2):
            guards.append(guard_of())
            pairs.append([stack.enter_context(end) for end in connected(server)])
            wait_for(lambda: is_watched(guards[-1]))
        take(*pairs[0], 2 * LIMIT)
        wait_for(lambda: guards[0].exceeded)
        assert take(*pairs[1], 1000)
        assert not guards[1].exceeded


def test_over_ipv6() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server, contextlib.closing(ConnectionGuard("::1", server.getsockname()[1], LIMIT)) as guard:
        guard.start()
        reader = socket.create_connection(server.getsockname()[:2])
        with reader, server.accept()[0] as sender:
            wait_for(lambda: is_watched(guard))
            take(reader, sender, 2 * LIMIT)
            wait_for(lambda: guard.exceeded)


def test_an_interrupt_ends_a_wait(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    guard = guard_of()
    reader, sender = connected(server)
    with reader, sender:
        wait_for(lambda: is_watched(guard))
        threading.Timer(0.1, guard.interrupt).start()
        assert reader.recv(1) == b""


def test_an_interrupt_before_it_is_made(server: socket.socket, guard_of: Callable[[], ConnectionGuard]) -> None:
    guard = guard_of()
    guard.interrupt()
    reader, sender = connected(server)
    with reader, sender:
        assert reader.recv(1) == b""


def test_closing_the_guard_leaves_the_connection(
    server: socket.socket, guard_of: Callable[[], ConnectionGuard]
) -> None:
    guard = guard_of()
    reader, sender = connected(server)
    with reader, sender:
        wait_for(lambda: is_watched(guard))
        guard.close()
        guard.close()
        guard.packet_arrived()
        guard.interrupt()
        assert take(reader, sender, 2 * LIMIT)


class Camera(threading.Thread):
    """An RTSP server (RFC 2326) for one client, over TCP; after PLAY it calls `play`."""

    def __init__(self, server: socket.socket, play: Callable[[socket.socket], None], sdp: bytes = SDP) -> None:
        super().__init__(daemon=True)
        self.server, self.play, self.sdp = server, play, sdp
        self.playing = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            connection = self.server.accept()[0]
            with connection, connection.makefile("rb") as lines:
                while self._answer(connection, lines):
                    pass

    def _answer(self, connection: socket.socket, lines: Iterable[bytes]) -> bool:
        head = list(itertools.takewhile(lambda line: line not in (b"", b"\r\n"), lines))
        if not head:
            return False
        number = next(line for line in head if line.lower().startswith(b"cseq")).split(b":")[1].strip()
        start = b"RTSP/1.0 200 OK\r\nCSeq: " + number + b"\r\n"
        more = {
            b"OPTIONS": b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n",
            b"DESCRIBE": b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(self.sdp) + self.sdp,
            b"SETUP": b"Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        }.get(head[0].split()[0], b"Session: 1\r\n\r\n")
        connection.sendall(start + more)
        if head[0].startswith(b"PLAY"):
            self.playing.set()
            self.play(connection)
            return False
        return not head[0].startswith(b"TEARDOWN")


def endless(connection: socket.socket) -> None:
    """Send fragments of one picture (RFC 6184, 5.8), the last of which never comes."""
    for number in range(1, 1 << 16):
        payload = bytes([0x7C, 0x85 if number == 1 else 0x05]) + b"\x88" * 60_000
        packet = bytes([0x80, 96]) + number.to_bytes(2, "big") + bytes([0, 0, 4, 0, 0, 0, 0, 7]) + payload
        connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        time.sleep(0.0005)


def silent(connection: socket.socket) -> None:
    connection.recv(1000)


def stream(server: socket.socket) -> StreamCamera:
    return StreamCamera(f"rtsp://me:geheim@127.0.0.1:{server.getsockname()[1]}/x", open_s=60, read_s=60)


def failure(source: StreamCamera) -> str:
    def open_and_read() -> None:
        source.open()
        while True:
            source.read()

    with contextlib.closing(source), pytest.raises(SourceError) as caught:
        open_and_read()
    return str(caught.value)


def test_an_rtsp_camera_whose_picture_does_not_end(server: socket.socket) -> None:
    Camera(server, endless).start()
    assert "sends more than 4 MB without a picture" in failure(stream(server))


def test_an_rtsp_camera_whose_description_does_not_end(server: socket.socket) -> None:
    tracks = b"".join(b"m=video 0 RTP/AVP 96\r\na=control:track%d\r\n" % number for number in range(200_000))
    Camera(server, silent, SDP + tracks).start()
    assert "sends more than 4 MB without a picture" in failure(stream(server))


def test_an_rtsp_camera_that_sends_nothing_is_left_at_once(server: socket.socket) -> None:
    """Although its time limits are long."""
    camera = Camera(server, silent)
    camera.start()
    source = stream(server)
    began = threading.Thread(target=lambda: camera.playing.wait(20) and source.interrupt())
    began.start()
    started = time.monotonic()
    assert "geheim" not in failure(source)
    assert time.monotonic() - started < 30
    began.join()
