"""Clients that hold connections, guess tokens or send two lengths, against the real server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from brokers import free_port
from pages import RunningPage, page

from ferd.config import WebConfig
from ferd.outputs.web.security import WRONG_TOKEN_DELAY_S
from ferd.outputs.web.server import _listen

TOKEN = "a-token-for-tests-0123456789"
MANY = 70


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    file = tmp_path_factory.mktemp("token") / "web-token"
    file.write_text(TOKEN + "\n")
    with page({"token_file": str(file)}) as running:
        yield running


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


BEGINNINGS = {
    "nothing": b"",
    "half a header": b"GET /healthz HTTP/1.1\r\nHost: loc",
    "half a form": request("POST /login", "Content-Length: 1000") + b"token=",
    "half a chunk": request("POST /login", "Transfer-Encoding: chunked") + b"3e8\r\ntoken=",
    "half a setting": request(
        "POST /api/cameras/camera/enabled",
        "Content-Type: application/json",
        f"Authorization: Bearer {TOKEN}",
        "Content-Length: 1000",
    )
    + b"{",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_slow_connections_shut_nobody_out(locked: RunningPage, beginning: bytes):
    """70 of them did, for half a minute."""
    with ExitStack() as stack:
        for _ in range(MANY):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", locked.port), timeout=5))
            line.sendall(beginning)
        time.sleep(1.5)
        for _ in range(3):
            assert httpx.get(f"{locked.url}/healthz", timeout=5).status_code == 200


def answer_of(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(data)
        received = b""
        while part := line.recv(4096):
            received += part
        return received


def test_a_request_with_two_lengths_is_refused_and_its_connection_closed(locked: RunningPage):
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data = request("POST /login", "Content-Length: 4", "Transfer-Encoding: chunked") + smuggled
    received = answer_of(locked.port, data)
    assert b" 400 " in received
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("how", ["bearer", "cookie"])
def test_guesses_at_the_token_are_slowed_as_in_the_form(locked: RunningPage, how: str):
    headers = {"Authorization": "Bearer wrong"} if how == "bearer" else {"Cookie": "ferd=in.x.y"}
    codes: list[int] = []

    def guess() -> None:
        for _ in range(5):
            codes.append(httpx.get(f"{locked.url}/api/state", headers=headers, timeout=20).status_code)

    began = time.monotonic()
    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    right = httpx.get(f"{locked.url}/api/state", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert right.status_code == 200, "who knows the token does not wait"
    for thread in threads:
        thread.join()
    answered = codes.count(401)
    assert set(codes) == {401, 429}
    assert answered <= 4 * (1 + (time.monotonic() - began) / WRONG_TOKEN_DELAY_S)


def test_who_shows_no_token_does_not_wait_among_the_guesses(locked: RunningPage):
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(httpx.get(f"{locked.url}/api/state", timeout=10).status_code))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [401] * 12


def test_small_answers_are_sent_at_once():
    """Without TCP_NODELAY each answer on a connection that is kept open took 40 ms longer."""
    config = WebConfig(enabled=True, port=free_port())
    options: list[int] = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sock = transport.get_extra_info("socket")
            options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def serve(make: Callable[[], asyncio.Protocol]) -> None:
        with _listen(config) as listener:
            server = await asyncio.get_running_loop().create_server(make, sock=listener)
            reader, writer = await asyncio.open_connection("127.0.0.1", config.port)
            await reader.read()
            writer.close()
            server.close()

    asyncio.run(serve(Protocol))
    assert options == [1]
